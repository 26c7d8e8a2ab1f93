"""The way from a scan's own voxels to the array that a network sees, and back.

The working array is turned to the nearest canonical orientation (RAS+), resampled, ordered slice axis first
and cropped. Grids of both sides cover the same extent of the patient: output voxel o looks at input position
``(o + 0.5) * n_in / n_out - 0.5``, so centres stay centres and nothing shifts by half a voxel.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from equireg.imaging.geometry import AffineRows, Geometry
from equireg.imaging.resampling import blocks, needed_rows, resample, resample_box

SliceAxis = Literal["x", "y", "z"]
WorkingSlices = Callable[[int, int], np.ndarray]
"""Gives the slices ``start`` to ``stop`` of a working array [K, D, H, W]."""
Box = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
"""(start, stop) along D, H and W."""

SAME_SPACING = 0.01
"""Relative difference of spacings below which an axis is not resampled."""

_ORDERS = {"x": "xzy", "y": "yzx", "z": "zyx"}


@dataclass(frozen=True)
class WorkingGrid:
    """A scan's own grid, the working grid, and what leads from one to the other."""

    native: Geometry
    spacing_mm: tuple[float, float, float]
    """Voxel size of the working array along D, H, W."""
    axes: str
    """Canonical axes in working order, such as ``"zyx"``; each runs towards right, anterior or superior."""
    crop: Box
    """What the working array keeps of the resampled, reordered scan."""

    @classmethod
    def plan(
        cls,
        native: Geometry,
        spacing_mm_xyz: Sequence[float] | None,
        slice_axis: SliceAxis,
        crop: Box | None = None,
    ) -> "WorkingGrid":
        """Choose the working grid of one scan.

        Args:
            native: the scan's own grid.
            spacing_mm_xyz: voxel size to resample to along canonical x, y, z; None keeps the scan's own.
            slice_axis: the canonical axis that becomes D.
            crop: box to keep, in the working frame before cropping; None keeps all.

        Raises:
            ValueError: if a spacing is not positive, the axis is unknown, or the box reaches outside.
        """
        if slice_axis not in _ORDERS:
            raise ValueError(f"slice axis {slice_axis!r}; expected one of {sorted(_ORDERS)}.")
        if spacing_mm_xyz is not None and not (len(spacing_mm_xyz) == 3 and min(spacing_mm_xyz) > 0):
            raise ValueError(f"spacing {spacing_mm_xyz}; expected three positive numbers in mm.")
        axes = _ORDERS[slice_axis]
        own = [native.spacing_mm[axis] for axis, _ in _native_axes(native, axes)]
        wanted = own if spacing_mm_xyz is None else [float(spacing_mm_xyz["xyz".index(name)]) for name in axes]
        d, h, w = (
            have if abs(want / have - 1) <= SAME_SPACING else want for have, want in zip(own, wanted, strict=True)
        )
        whole = cls(native, (d, h, w), axes, ((0, 1), (0, 1), (0, 1)))
        return whole.with_crop(crop)

    @property
    def full_shape(self) -> tuple[int, int, int]:
        """Voxels along D, H, W of the resampled scan, before cropping."""
        d, h, w = (
            max(1, round(size * own / spacing))
            for size, own, spacing in zip(self._turned_shape, self._turned_spacing_mm, self.spacing_mm, strict=True)
        )
        return d, h, w

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along D, H, W of the working array."""
        d, h, w = (stop - start for start, stop in self.crop)
        return d, h, w

    @property
    def affine(self) -> np.ndarray:
        """Way from an index (d, h, w) of the working array to world mm, [4, 4]; centres of voxels lead to centres."""
        to_native = np.zeros((4, 4))
        to_native[3, 3] = 1.0
        order = _native_axes(self.native, self.axes)
        for place, ((axis, flipped), own, full) in enumerate(
            zip(order, self._turned_shape, self.full_shape, strict=True)
        ):
            step, start = own / full, self.crop[place][0]
            first = (start + 0.5) * step - 0.5
            to_native[axis, place] = -step if flipped else step
            to_native[axis, 3] = own - 1 - first if flipped else first
        return self.native.affine_array @ to_native

    def with_crop(self, crop: Box | None) -> "WorkingGrid":
        """Return a copy that keeps another box; None keeps all.

        Raises:
            ValueError: if the box is empty or reaches outside.
        """
        full = self.full_shape
        box = [(0, size) for size in full] if crop is None else [(int(start), int(stop)) for start, stop in crop]
        if len(box) != 3 or any(not 0 <= start < stop <= size for (start, stop), size in zip(box, full, strict=False)):
            raise ValueError(f"crop {crop}; expected a box of at least one voxel within {full}.")
        return replace(self, crop=(box[0], box[1], box[2]))

    def image_to_working(self, image: np.ndarray) -> np.ndarray:
        """Bring a scan to the working grid: linear, after a blur along axes that shrink.

        Args:
            image: voxels [C, X, Y, Z].

        Returns:
            A new array [C, D, H, W] float32.
        """
        self._expect(image.shape[1:], self.native.shape)
        working = np.empty((image.shape[0], *self.shape), dtype=np.float32)
        first, last = self.crop[0]
        for channel in range(image.shape[0]):
            turned = self._turn(image[channel])
            row = max(turned[0].size, self.shape[1] * self.shape[2])
            for start, stop in blocks(first, last, row):
                keeps = ((start, stop), *self.crop[1:])
                working[channel, start - first : stop - first] = resample_box(turned, self.full_shape, keeps)
        return working

    def label_to_working(self, label: np.ndarray) -> np.ndarray:
        """Bring a mask [X, Y, Z] to the working grid by nearest neighbour: a new [D, H, W] of its type."""
        self._expect(label.shape, self.native.shape)
        turned = self._turn(label)
        picks = [_nearest(*sizes) for sizes in zip(turned.shape, self.full_shape, self.crop, strict=True)]
        return np.ascontiguousarray(turned[np.ix_(*picks)])

    def label_to_native(self, label: np.ndarray, fill: int = 0) -> np.ndarray:
        """Bring a mask [D, H, W] back by nearest neighbour: a new [X, Y, Z] of its type, ``fill`` beyond the crop."""
        self._expect(label.shape, self.shape)
        full = np.full(self.full_shape, fill, dtype=label.dtype)
        full[tuple(slice(start, stop) for start, stop in self.crop)] = label
        sides = zip(self.full_shape, self._turned_shape, strict=True)
        picks = [_nearest(working, size, (0, size)) for working, size in sides]
        native = np.empty(self.native.shape, dtype=label.dtype)
        self._turn(native)[...] = full[np.ix_(*picks)]
        return native

    def probs_to_native(self, probs: np.ndarray) -> np.ndarray:
        """Bring probabilities back to the scan's own grid; what the crop left out is background (class 0).

        Args:
            probs: probabilities [K, D, H, W] that sum to 1 over K.

        Returns:
            A new array [K, X, Y, Z] float32 that sums to 1 over K; linear between working voxels.
        """
        self._expect(probs.shape[1:], self.shape)
        native = np.empty((probs.shape[0], *self.native.shape), dtype=np.float32)
        turned = [self._turn(of_class) for of_class in native]
        for slices, values in self._native_slices(_slices_of(probs), len(probs)):
            for index, of_class in enumerate(values):
                turned[index][slices] = of_class
        return native

    def argmax_to_native(self, probs: np.ndarray | WorkingSlices, classes: int | None = None) -> np.ndarray:
        """Return ``probs_to_native(probs).argmax(axis=0)`` without holding all classes of the scan's own grid.

        Args:
            probs: probabilities [K, D, H, W], or a function that returns those of the slices ``start`` to ``stop``
                of D as [K, stop - start, H, W]; both only grow from call to call, so that a network may run as it
                goes. Any float type.
            classes: K; needed beside a function.

        Returns:
            Class indices [X, Y, Z] in the smallest unsigned type; 0 beyond the crop.
        """
        if isinstance(probs, np.ndarray):
            self._expect(probs.shape[1:], self.shape)
            slices_of, classes = _slices_of(probs), len(probs)
        elif classes is None:
            raise ValueError("argmax_to_native got a function and no number of classes; expected both.")
        else:
            slices_of = probs
        native = np.empty(self.native.shape, dtype=np.min_scalar_type(classes - 1))
        turned = self._turn(native)
        for slices, values in self._native_slices(slices_of, classes):
            turned[slices] = values.argmax(axis=0)
        return native

    def _native_slices(self, slices_of: WorkingSlices, classes: int) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield probabilities of the scan's own voxels, some slices along the first working axis at a time.

        Yields:
            The slices of the turned scan, and their values [K, slices, H, W] float32, which sum to 1 over K.
        """
        depth, height, width = self._turned_shape
        full, (first, last) = self.full_shape, self.crop[0]
        inside = tuple(slice(*bounds) for bounds in self.crop[1:])
        for start, stop in blocks(0, depth, classes * max(height * width, full[1] * full[2])):
            low, high = needed_rows(full[0], depth, (start, stop))
            kept_low, kept_high = max(low, first), min(high, last)
            known = slices_of(kept_low - first, kept_high - first) if kept_low < kept_high else None
            values = np.empty((classes, stop - start, height, width), dtype=np.float32)
            for index in range(classes):
                padded = np.full((high - low, *full[1:]), 1.0 if index == 0 else 0.0, dtype=np.float32)
                if known is not None:
                    padded[(slice(kept_low - low, kept_high - low), *inside)] = known[index]
                padded = resample(padded, 0, depth, (start, stop), blur=False, of=(full[0], low))
                for axis, size in ((1, height), (2, width)):
                    padded = resample(padded, axis, size, (0, size), blur=False)
                values[index] = padded
            total = values[0].copy()
            for of_class in values[1:]:
                total += of_class
            values /= np.maximum(total, np.finfo(np.float32).tiny, out=total)
            yield slice(start, stop), values

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; ``from_dict`` reads them back."""
        return {
            "native": self.native.as_dict(),
            "spacing_mm": list(self.spacing_mm),
            "axes": self.axes,
            "crop": [list(bounds) for bounds in self.crop],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "WorkingGrid":
        """Read what ``as_dict`` wrote."""
        d, h, w = (float(value) for value in content["spacing_mm"])
        grid = cls(Geometry.from_dict(content["native"]), (d, h, w), content["axes"], ((0, 1), (0, 1), (0, 1)))
        return grid.with_crop(content["crop"])

    @property
    def _turned_shape(self) -> tuple[int, ...]:
        """Voxels of the scan along the working axes, before resampling."""
        return tuple(self.native.shape[axis] for axis, _ in _native_axes(self.native, self.axes))

    @property
    def _turned_spacing_mm(self) -> tuple[float, ...]:
        """Voxel size of the scan along the working axes, before resampling."""
        return tuple(self.native.spacing_mm[axis] for axis, _ in _native_axes(self.native, self.axes))

    def _turn(self, volume: np.ndarray) -> np.ndarray:
        """View [X, Y, Z] along the working axes."""
        order = _native_axes(self.native, self.axes)
        flips = tuple(slice(None, None, -1) if flipped else slice(None) for _, flipped in order)
        return volume.transpose([axis for axis, _ in order])[flips]

    @staticmethod
    def _expect(found: tuple[int, ...], expected: tuple[int, int, int]) -> None:
        if tuple(found) != expected:
            raise ValueError(f"got an array of spatial shape {tuple(found)}; expected {expected}.")


def _slices_of(probs: np.ndarray) -> WorkingSlices:
    return lambda start, stop: probs[:, start:stop]


def _nearest(size: int, new_size: int, keep: tuple[int, int]) -> np.ndarray:
    """Return for the kept voxels of a new grid which voxels of the old one hold their centres."""
    return ((2 * np.arange(*keep) + 1) * size) // (2 * new_size)


def _native_axes(native: Geometry, axes: str) -> list[tuple[int, bool]]:
    """Return for each working axis the file's axis nearest to it, and whether that runs backwards."""
    of_canonical = _orientation(native.affine)
    return [of_canonical["xyz".index(name)] for name in axes]


@lru_cache(maxsize=256)  # asked for many times of each scan, and slow
def _orientation(affine: AffineRows) -> Mapping[int, tuple[int, bool]]:
    """Return for each canonical axis the file's axis nearest to it, and whether that runs backwards."""
    from nibabel.orientations import io_orientation

    orientation = io_orientation(np.array(affine, dtype=np.float64))  # a row a file axis: canonical axis, direction
    return {int(canonical): (axis, bool(sign < 0)) for axis, (canonical, sign) in enumerate(orientation)}
