"""Surfaces of masks, and how far apart they lie."""

from collections.abc import Sequence

import numpy as np
import scipy

from equireg.imaging.boxes import bounding_box, with_margin

_STRIDE = 16
"""Every so many slices are searched first; most points need only the slices near them after that."""


def surface_distances_mm(
    prediction: np.ndarray, reference: np.ndarray, spacing_mm: Sequence[float], known: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the distance of each surface voxel of one mask to the nearest surface voxel of the other, both ways.

    The surface of a mask is the set of its voxels that have a face on the outside; what lies beyond the array
    is outside. Along an axis of a single voxel there is no surface, so a volume of one slice is judged by its
    contour. Where nobody knows what a voxel is, none of its neighbours is surface because of it.

    The distance map of the other surface is made slice by slice and read at the points alone, so no map of the
    whole volume is held (that would be some 60 bytes a voxel).

    Args:
        prediction: boolean mask with a voxel or more, [X, Y, Z] or [X, Y].
        reference: boolean mask of the same shape, with a voxel or more.
        spacing_mm: size of a voxel along each axis, mm.
        known: where it is known what a voxel is, boolean, of the same shape; both masks lie inside. None: everywhere.

    Returns:
        Distances in mm, float64: [surface voxels of the prediction], [surface voxels of the reference]; infinite where
        the other mask has no known surface.
    """
    kept = _judged_axes(prediction.shape)
    dropped = tuple(axis for axis in range(prediction.ndim) if axis not in kept)
    masks = [mask.squeeze(dropped) for mask in (prediction, reference)]
    spacing = [float(spacing_mm[axis]) for axis in kept]
    box = bounding_box(masks[0] | masks[1]) or ()  # both have a voxel
    if known is None:
        surfaces = [_surface(mask[box], mask[box]) for mask in masks]
    else:
        box = with_margin(box, masks[0].shape)
        unknown = ~known.squeeze(dropped)[box]
        surfaces = [_surface(mask[box], mask[box] | unknown) for mask in masks]
    if len(kept) == 2:
        surfaces, spacing = [surface[None] for surface in surfaces], [1.0, *spacing]
    shortest = int(np.argmin(surfaces[0].shape))
    first, second = (np.moveaxis(surface, shortest, 0) for surface in surfaces)
    spacing = [spacing[shortest], *(size for axis, size in enumerate(spacing) if axis != shortest)]
    return _nearest_mm(first, second, spacing), _nearest_mm(second, first, spacing)


def _surface(mask: np.ndarray, solid: np.ndarray) -> np.ndarray:
    """Return the voxels of a mask that have a face on the outside of what is solid."""
    return mask & ~np.asarray(scipy.ndimage.binary_erosion(solid), dtype=bool)


def _judged_axes(shape: Sequence[int]) -> list[int]:
    """Return the axes of more than one voxel, filled up to two: across the others every voxel would be surface."""
    kept = [axis for axis, size in enumerate(shape) if size > 1]
    spare = [axis for axis in range(len(shape)) if axis not in kept]
    return sorted(kept + spare[: max(0, 2 - len(kept))])


def _nearest_mm(surface: np.ndarray, other: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """Return the distance of each voxel of a surface [S, H, W] to the nearest of another, [N]."""
    slices, rows, columns = (places.astype(np.int32) for places in np.nonzero(surface))
    squared = np.full(len(slices), np.inf)
    filled = np.flatnonzero(other.any(axis=(1, 2)))
    for index in (*filled[::_STRIDE], *(place for number, place in enumerate(filled) if number % _STRIDE)):
        across = ((slices - index) * spacing_mm[0]) ** 2
        near = np.flatnonzero(across < squared)  # the others cannot come closer within this slice
        if len(near):
            within = np.asarray(scipy.ndimage.distance_transform_edt(~other[index], sampling=spacing_mm[1:]))
            found = across[near] + within[rows[near], columns[near]] ** 2
            squared[near] = np.minimum(squared[near], found)
    return np.sqrt(squared)
