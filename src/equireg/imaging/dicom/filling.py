"""Closed contours of one slice to the voxels inside; in whole numbers, so that no rounding decides."""

from collections.abc import Sequence

import numpy as np

PARTS = 1000
"""A voxel is so many units long: points that are nearer than one are the same."""
_FARTHEST = 1e9


def in_units(points: np.ndarray) -> np.ndarray:
    """Return points in voxels as whole units, of the same shape."""
    return np.rint(np.clip(points * PARTS, -_FARTHEST, _FARTHEST)).astype(np.int64)


def fill(contours: Sequence[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Return the voxels whose centre is inside an odd number of contours, or on an edge, [X, Y] bool.

    Contours that touch leave no gap, the inner one of two is a hole, and a contour along the centres of a mask's
    outermost voxels gives this mask.

    Args:
        contours: points in units [points, 2] each, closed, with or without the first one at their end.
        shape: of the slice.
    """
    start = np.concatenate(contours)
    end = np.concatenate([np.roll(points, -1, axis=0) for points in contours])
    first = np.clip(start.min(axis=0) // PARTS, 0, shape)
    beyond = np.clip(start.max(axis=0) // PARTS + 1, first, shape)
    around = int(beyond[0] - first[0]), int(beyond[1] - first[1])
    mask = np.zeros(shape, dtype=bool)
    mask[first[0] : beyond[0], first[1] : beyond[1]] = _filled(start - first * PARTS, end - first * PARTS, around)
    return mask


def _filled(start: np.ndarray, end: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    swapped = start[:, 1] > end[:, 1]
    start[swapped], end[swapped] = end[swapped], start[swapped]
    level = start[:, 1] == end[:, 1]
    inside, edges = _crossed(start[~level], end[~level], shape)
    return inside | edges | _level(start[level], end[level], shape)


def _crossed(start: np.ndarray, end: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return what is inside by the edges that rows of voxels cross, and the voxels on these edges.

    Edges go from their lower ends ``start`` [edges, 2] to their upper ones.
    """
    first = np.clip(-(-start[:, 1] // PARTS), 0, shape[1])
    count = np.maximum(0, np.minimum(end[:, 1] // PARTS, shape[1] - 1) - first + 1)
    edge = np.repeat(np.arange(len(start)), count)
    row = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count - first, count)
    (x, y), (width, height) = start[edge].T, (end - start)[edge].T
    place, rest = np.divmod(x * height + (row * PARTS - y) * width, height * PARTS)
    changes = np.zeros((shape[0] + 1, shape[1]), dtype=np.int64)
    crossed = row * PARTS < end[edge, 1]  # a row through a corner crosses one of its two edges
    np.add.at(changes, (np.clip(place + 1, 0, shape[0])[crossed], row[crossed]), 1)
    edges = np.zeros(shape, dtype=bool)
    on = (rest == 0) & (place >= 0) & (place < shape[0])
    edges[place[on], row[on]] = True
    return np.cumsum(changes, axis=0)[:-1] % 2 == 1, edges


def _level(start: np.ndarray, end: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the voxels on edges along a row."""
    on = (start[:, 1] % PARTS == 0) & (start[:, 1] >= 0) & (start[:, 1] < shape[1] * PARTS)
    row, ends = start[on, 1] // PARTS, np.stack([start[on, 0], end[on, 0]])
    changes = np.zeros((shape[0] + 1, shape[1]), dtype=np.int64)
    first, last = -(-ends.min(axis=0) // PARTS), ends.max(axis=0) // PARTS
    np.add.at(changes, (np.clip(first, 0, shape[0]), row), 1)
    np.add.at(changes, (np.clip(last + 1, 0, shape[0]), row), -1)
    return np.cumsum(changes, axis=0)[:-1] > 0
