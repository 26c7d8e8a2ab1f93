"""One scan laid over another: an affine transform, then a B-spline, both found by SimpleITK."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from equireg.processes.cores import one_itk_thread

if TYPE_CHECKING:
    import SimpleITK as sitk

_MOST_VOXELS = 30_000
"""Voxels on which transforms are sought; larger scans are coarsened until they have no more."""
_SAMPLES = 2_500
"""Points at which two scans are compared in each iteration."""
_LEAST_VOX = 4
"""Voxels that ITK's filters need along an axis; a shorter axis repeats its last slice."""
_COARSE_VOX = 16
"""Voxels from which an axis is halved for the first look."""
_CELLS = 5
"""Cells of the B-spline's grid along the longest axis; along the others in proportion."""
_AFFINE_STEPS, _SPLINE_STEPS = 40, 10
_MOST_STRETCH = 2.0
_LEAST_OVERLAP = 0.5
"""Part of the smaller scan that overlaps the other one, at least."""
_SEED = 1
SETTINGS = (
    *(_MOST_VOXELS, _SAMPLES, _LEAST_VOX, _COARSE_VOX, _CELLS),
    *(_AFFINE_STEPS, _SPLINE_STEPS, _MOST_STRETCH, _LEAST_OVERLAP, _SEED),
)
"""All that the result depends on beside the scans."""


@dataclass(frozen=True)
class Scan:
    """A scan as training sees it."""

    image: np.ndarray
    """Normalised intensities, float32 [C, D, H, W]."""
    spacing_mm: tuple[float, float, float]
    """Voxel size along D, H, W."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along D, H, W."""
        d, h, w = self.image.shape[1:]
        return d, h, w

    @cached_property
    def flat(self) -> bool:
        """Whether it is a single slice, such as a picture."""
        return self.image.shape[1] == 1

    @cached_property
    def working(self) -> "sitk.Image":
        """The first channel, coarsened to ``_MOST_VOXELS``."""
        import SimpleITK as sitk

        whole = self.itk(self.image[0])
        return sitk.BinShrink(whole, coarsening(whole.GetSize(), whole.GetSpacing()))

    def itk(self, array: np.ndarray) -> "sitk.Image":
        """Return an array [D, H, W] of the scan's grid as ITK takes it: a single slice in 2D, a thin scan thicker."""
        import SimpleITK as sitk

        flat = array.astype(np.float32)[0] if self.flat else array.astype(np.float32)
        thick = np.pad(flat, [(0, max(0, _LEAST_VOX - size)) for size in flat.shape], mode="edge")
        image = sitk.GetImageFromArray(thick)
        image.SetSpacing(
            [float(size) for size in self.spacing_mm[:0:-1]] + [float(self.spacing_mm[0])] * (not self.flat)
        )
        return image

    def array(self, image: "sitk.Image") -> np.ndarray:
        """Return what ``itk`` was given, [D, H, W]."""
        import SimpleITK as sitk

        found = sitk.GetArrayFromImage(image)
        d, h, w = self.shape
        return found[None, :h, :w] if self.flat else found[:d, :h, :w]


@dataclass(frozen=True)
class Overlay:
    """A moving scan laid over a fixed one."""

    fixed: Scan
    moving: Scan
    transform: "sitk.Transform"
    """From the fixed scan's places to the moving one's."""

    def carried(self, array: np.ndarray, outside: float) -> np.ndarray:
        """Return an array [D, H, W] of the moving scan on the fixed one's grid, interpolated linearly, float32.

        Args:
            array: values of the moving scan's voxels.
            outside: value where the moving scan does not reach.
        """
        import SimpleITK as sitk

        with one_itk_thread():
            moved = sitk.Resample(
                self.moving.itk(array), self.fixed.itk(self.fixed.image[0]), self.transform, sitk.sitkLinear, outside
            )
        return self.fixed.array(moved)


def affine(fixed: Scan, moving: Scan) -> Overlay | None:
    """Lay one scan over another by an affine transform; None where they cannot be brought together.

    The correlation of the first channel is raised, at half the working resolution and then at all of it, from scans
    whose centres lie on each other. A transform that stretches or shrinks by more than ``_MOST_STRETCH``, or after
    which the scans hardly overlap, has lost its way: any two scans can be made alike in a few voxels.

    Raises:
        ValueError: if one is a single slice and the other is not.
    """
    import SimpleITK as sitk

    if fixed.flat != moving.flat:
        raise ValueError("got a single slice and a volume; expected two of a kind")
    sides = 2 if fixed.flat else 3
    with one_itk_thread():
        try:
            first = sitk.CenteredTransformInitializer(
                fixed.working,
                moving.working,
                sitk.AffineTransform(sides),
                sitk.CenteredTransformInitializerFilter.GEOMETRY,
            )
            for pair in ((_halved(fixed.working), _halved(moving.working)), (fixed.working, moving.working)):
                method = _method(pair[0])
                method.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-2, _AFFINE_STEPS, 0.5, 1e-4)
                method.SetOptimizerScalesFromPhysicalShift()
                method.SetInitialTransform(first, inPlace=True)
                method.Execute(*pair)
        except RuntimeError:  # they have nothing in common, or one is constant
            return None
    overlay = Overlay(fixed, moving, first)
    stretches = np.linalg.svd(np.reshape(first.GetMatrix(), (sides, sides)), compute_uv=False)
    kept = np.all(abs(np.log(np.maximum(stretches, 1e-8))) < np.log(_MOST_STRETCH))
    return overlay if kept and _overlap(overlay) > _LEAST_OVERLAP else None


def bent(overlay: Overlay) -> Overlay | None:
    """Bend an affine overlay by a B-spline, which raises the correlation further; None where that fails."""
    import SimpleITK as sitk

    fixed, moving = overlay.fixed.working, overlay.moving.working
    extent_mm = [size * step for size, step in zip(fixed.GetSize(), fixed.GetSpacing(), strict=True)]
    cells = [max(1, round(_CELLS * each / max(extent_mm))) for each in extent_mm]
    with one_itk_thread():
        try:
            spline = sitk.BSplineTransformInitializer(fixed, cells, 3)
            method = _method(fixed)
            method.SetOptimizerAsLBFGSB(1e-4, _SPLINE_STEPS, maximumNumberOfFunctionEvaluations=_SPLINE_STEPS + 2)
            method.SetMovingInitialTransform(overlay.transform)
            method.SetInitialTransform(spline, inPlace=True)
            method.Execute(fixed, moving)
        except RuntimeError:
            return None
    return Overlay(overlay.fixed, overlay.moving, sitk.CompositeTransform([overlay.transform, spline]))


def coarsening(size_vox: Sequence[int], spacing_mm: Sequence[float], most: int = _MOST_VOXELS) -> list[int]:
    """Return by how much each axis is coarsened so that few enough voxels remain, the finest axis first.

    Args:
        size_vox: voxels along each axis, [n].
        spacing_mm: their size, [n].
        most: voxels that may remain.
    """
    factors = [1] * len(size_vox)

    def remaining() -> int:
        return int(np.prod([size // factor for size, factor in zip(size_vox, factors, strict=True)]))

    while remaining() > most:
        able = [axis for axis, size in enumerate(size_vox) if size // (factors[axis] + 1) >= _LEAST_VOX]
        if not able:
            break
        factors[min(able, key=lambda axis: factors[axis] * spacing_mm[axis])] += 1
    return factors


def _overlap(overlay: Overlay) -> float:
    """Return the part of the smaller scan that overlaps the other one, from 0 to about 1."""
    import SimpleITK as sitk

    fixed, moving = overlay.fixed.working, overlay.moving.working
    volumes = [image.GetNumberOfPixels() * float(np.prod(image.GetSpacing())) for image in (fixed, moving)]
    inside = sitk.Resample(0 * moving + 1, fixed, overlay.transform, sitk.sitkNearestNeighbor, 0.0)
    return float(sitk.GetArrayViewFromImage(inside).mean()) * volumes[0] / min(volumes)


def _halved(image: "sitk.Image") -> "sitk.Image":
    import SimpleITK as sitk

    return sitk.BinShrink(image, [2 if size >= _COARSE_VOX else 1 for size in image.GetSize()])


def _method(fixed: "sitk.Image") -> Any:
    """Return a registration that compares so many points of the fixed image by their correlation."""
    import SimpleITK as sitk

    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsCorrelation()
    method.SetInterpolator(sitk.sitkLinear)
    part = _SAMPLES / fixed.GetNumberOfPixels()
    if part < 1:
        method.SetMetricSamplingStrategy(method.REGULAR)
        method.SetMetricSamplingPercentage(part, _SEED)
    return method
