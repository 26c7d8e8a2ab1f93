"""Boxes of voxels: the smallest one around a mask, and around several others."""

from collections.abc import Sequence

import numpy as np

Box = tuple[slice, ...]
"""A slice an axis."""


def bounding_box(mask: np.ndarray) -> Box | None:
    """Return the smallest box that holds all voxels of a mask; None where it has none."""
    box = []
    for axis in range(mask.ndim):
        filled = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        if not len(filled):
            return None
        box.append(slice(int(filled[0]), int(filled[-1]) + 1))
    return tuple(box)


def union(boxes: Sequence[Box]) -> Box | None:
    """Return the smallest box around several; None of none."""
    if not boxes:
        return None
    return tuple(slice(min(s.start for s in axis), max(s.stop for s in axis)) for axis in zip(*boxes, strict=True))


def with_margin(box: Box, shape: Sequence[int], margin: int = 1) -> Box:
    """Return a box that is larger by some voxels on every side, as far as the array reaches."""
    return tuple(
        slice(max(0, part.start - margin), min(size, part.stop + margin)) for part, size in zip(box, shape, strict=True)
    )
