"""Linear interpolation of arrays, axis by axis and some rows at a time, so that a scan needs little memory."""

from collections.abc import Iterator, Sequence

import numpy as np
import scipy

_BLUR_FROM = 1.2  # a smaller shrinkage aliases less than the blur would cost
_TRUNCATE = 4.0  # standard deviations at which the blur is cut off
_BLOCK_VALUES = 2**21
"""Values that are worked on at once: 8 MiB of float32, whatever the scan's size."""
_FWHM_TO_SIGMA = 1 / (2 * np.sqrt(2 * np.log(2)))


def blocks(start: int, stop: int, row_values: int) -> Iterator[tuple[int, int]]:
    """Split rows into blocks of at most ``_BLOCK_VALUES`` values, at least one row each."""
    step = max(1, _BLOCK_VALUES // max(1, row_values))
    for first in range(start, stop, step):
        yield first, min(first + step, stop)


def resample_box(volume: np.ndarray, new_shape: tuple[int, int, int], keeps: Sequence[tuple[int, int]]) -> np.ndarray:
    """Interpolate along all three axes, blurred where that needs it, and keep a box; float32."""
    for axis, (size, new_size, keep) in enumerate(zip(volume.shape, new_shape, keeps, strict=True)):
        volume = resample(volume, axis, new_size, keep, blur=size > _BLUR_FROM * new_size)
    return volume


def _positions(size: int, new_size: int, keep: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return where the kept output voxels look: the input voxel below, and the distance from it."""
    position = np.clip((np.arange(*keep) + 0.5) * (size / new_size) - 0.5, 0, size - 1)
    below = np.minimum(position.astype(np.int64), max(size - 2, 0))
    return below, position - below


def needed_rows(size: int, new_size: int, keep: tuple[int, int]) -> tuple[int, int]:
    """Return the input voxels (start, stop) that the output voxels ``keep`` are interpolated from."""
    if size == new_size:
        return keep
    below, _ = _positions(size, new_size, keep)
    return int(below[0]), min(int(below[-1]) + 2, size)


def resample(
    volume: np.ndarray,
    axis: int,
    new_size: int,
    keep: tuple[int, int],
    *,
    blur: bool,
    of: tuple[int, int] | None = None,
) -> np.ndarray:
    """Interpolate linearly along one axis to ``new_size`` voxels of the same extent; keep those in ``keep``.

    The blur gives a voxel of the fine grid the width of one of the coarse grid, both taken as Gaussians with
    the voxel size for full width at half maximum (Cardoso et al., Scale factor point spread function
    matching, 2015).

    ``of`` says that ``volume`` is a piece along the axis: the size of the whole, and where the piece begins.
    """
    size, begin = of or (volume.shape[axis], 0)
    if size == new_size:
        return volume[_along(axis, keep[0] - begin, keep[1] - begin)]
    ratio = size / new_size
    low, high = needed_rows(size, new_size, keep)
    if blur:
        sigma = _FWHM_TO_SIGMA * np.sqrt(ratio**2 - 1)
        reach = int(_TRUNCATE * sigma + 0.5)  # as the filter itself does
        first = max(low - reach, begin)
        piece = volume[_along(axis, first - begin, min(high + reach, size) - begin)].astype(np.float32, copy=False)
        volume = scipy.ndimage.gaussian_filter1d(piece, sigma, axis=axis, mode="nearest", truncate=_TRUNCATE)
        begin = first
    volume = volume[_along(axis, low - begin, high - begin)].astype(np.float32, copy=False)
    below, weight = _positions(size, new_size, keep)
    weight = weight.astype(np.float32).reshape([-1 if a == axis else 1 for a in range(volume.ndim)])
    lower = np.take(volume, below - low, axis=axis)
    upper = np.take(volume, np.minimum(below + 1, size - 1) - low, axis=axis)
    upper -= lower
    upper *= weight
    upper += lower
    return upper


def _along(axis: int, start: int, stop: int) -> tuple[slice, ...]:
    return (slice(None),) * axis + (slice(start, stop),)
