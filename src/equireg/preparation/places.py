"""Where the classes of a mask lie: some places of each, from which training draws patches, and how far they reach."""

from typing import Any

import numpy as np

from equireg.imaging.boxes import bounding_box

_MOST = 1000
"""Most places kept of each class: enough to draw from, small beside the arrays."""
_BLOCK = 2**16
"""Voxels that are looked at together; each takes up to 9 bytes."""


def count_classes(working: np.ndarray, classes: int) -> np.ndarray:
    """Count the voxels of each class in each slice.

    Args:
        working: class indices, uint8 [D, H, W]; indices beyond the classes are left out.
        classes: number of classes.

    Returns:
        int64 [D, classes].
    """
    return np.stack([np.bincount(part.ravel(), minlength=256)[:classes] for part in working])


def extent_of(working: np.ndarray, counts: np.ndarray) -> dict[str, Any]:
    """Return how far the classes of a mask reach, as a case's record holds it.

    Args:
        working: class indices, uint8 [D, H, W]; indices beyond the classes are left out.
        counts: what ``count_classes`` returned.
    """
    box = bounding_box((working > 0) & (working < counts.shape[1]))
    sides = (0, 0, 0) if box is None else tuple(part.stop - part.start for part in box)
    return {"class_slices": tuple(int(n) for n in (counts > 0).sum(axis=0)), "labelled_box": sides}


def draw_places(working: np.ndarray, counts: np.ndarray) -> dict[int, np.ndarray]:
    """Draw at most a thousand voxels of each class that there is.

    Args:
        working: class indices, uint8 [D, H, W].
        counts: what ``count_classes`` returned.

    Returns:
        Class index to int16 [N, 3] in [D, H, W], in the array's order. The same array gives the same places.
    """
    rng = np.random.default_rng(working.size)
    places = {}
    for index, count in enumerate(counts.sum(axis=0)):
        if count:
            # Numbers of the class' voxels in the array's order, not their places: those of the background would
            # take 24 bytes a voxel.
            numbers = np.arange(count, dtype=np.uint32)
            rng.shuffle(numbers)
            places[index] = _places_of(working, index, np.sort(numbers[:_MOST]), counts[:, index])
    return places


def _places_of(working: np.ndarray, index: int, numbers: np.ndarray, in_slices: np.ndarray) -> np.ndarray:
    """Return where the voxels of a class lie whose numbers, sorted, are given; int16 [N, 3]."""
    ends = np.concatenate([[0], np.cumsum(in_slices)])
    deep = max(1, _BLOCK // working[0].size)
    found = []
    for first in range(0, len(working), deep):
        block = working[first : first + deep]
        low, high = np.searchsorted(numbers, ends[[first, first + len(block)]])
        if low < high:
            inside = np.flatnonzero(block == index)[numbers[low:high] - ends[first]]
            d, h, w = np.unravel_index(inside, block.shape)
            found.append(np.column_stack([d + first, h, w]))
    return np.concatenate(found).astype(np.int16)
