"""A rival score: reverse classification accuracy with a registered scan as the classifier (Valindria et al. 2017).

The predicted scan with its predicted mask is an atlas: it is registered to labelled scans (affine, then B-spline, both
by mutual information), its mask goes along, and the best Dice with a true mask is the score. A good mask fits at least
one of them well.
"""

from typing import Any

import numpy as np
import SimpleITK as sitk
from cases import Case

ROUNDS, STEPS, NODES_MM, MOST_NODES = 25, 6, 25.0, 4
"""Iterations of the affine and of the B-spline part; width of the B-spline's cells, and their most along an axis."""


class Registrations:
    """Transforms between scans; each pair is registered once, because no mask takes part."""

    def __init__(self) -> None:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
        self._known: dict[tuple[str, str], sitk.Transform] = {}

    def moved(self, mask: np.ndarray, scan: Case, reference: Case) -> np.ndarray:
        """Return a mask [D, H, W] of ``scan`` on the voxels of ``reference``."""
        pair = (scan.name, reference.name)
        if pair not in self._known:
            self._known[pair] = registered(_image(reference), _image(scan))
        source = sitk.GetImageFromArray(mask.astype(np.uint8))
        source.SetSpacing([float(size) for size in reversed(scan.spacing_mm)])
        return sitk.GetArrayFromImage(
            sitk.Resample(source, _image(reference), self._known[pair], sitk.sitkNearestNeighbor)
        )


def registered(fixed: sitk.Image, moving: sitk.Image) -> sitk.Transform:
    """Return the transform from points of ``fixed`` to points of ``moving``."""
    start = sitk.CenteredTransformInitializer(
        fixed, moving, sitk.AffineTransform(3), sitk.CenteredTransformInitializerFilter.GEOMETRY
    )
    affine = _method()
    affine.SetOptimizerAsRegularStepGradientDescent(1.0, 1e-3, ROUNDS)
    affine.SetOptimizerScalesFromPhysicalShift()
    affine.SetInitialTransform(start, inPlace=False)
    first = affine.Execute(fixed, moving)
    extent = [size * spacing for size, spacing in zip(fixed.GetSize(), fixed.GetSpacing(), strict=True)]
    mesh = [min(max(1, round(length / NODES_MM)), MOST_NODES) for length in extent]
    bending = _method()
    bending.SetOptimizerAsLBFGSB(numberOfIterations=STEPS)
    bending.SetMovingInitialTransform(first)
    bending.SetInitialTransform(sitk.BSplineTransformInitializer(fixed, mesh), inPlace=False)
    second = bending.Execute(fixed, moving)
    return sitk.CompositeTransform([first, second])


def _method() -> Any:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(24)
    method.SetInterpolator(sitk.sitkLinear)
    return method


def _image(scan: Case) -> sitk.Image:
    """Return the mean of the channels."""
    result = sitk.GetImageFromArray(scan.image.mean(dim=0).numpy())
    result.SetSpacing([float(size) for size in reversed(scan.spacing_mm)])
    return result
