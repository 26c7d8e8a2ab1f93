"""Masks that are none: a scan of whole numbers, or a mask that was resampled with interpolation."""

import numpy as np

from equireg.errors import EquiregError
from equireg.imaging.labels import distinct

_FEW = 16
"""Values other than 0 up to which a mask is not looked at: so many may be labels whatever their shape."""
_FLAT = 0.5
"""Fraction of the values that fill a place of their own, at least."""
_LONG = 16
"""Voxels of an axis from which it is looked along; slices that are few may show a structure once."""


def check_labels(mask: str, values: np.ndarray) -> None:
    """Refuse voxels that have many values of which most lie at edges alone: no label fills a place of its own.

    A label that is three voxels thick has a voxel whose neighbours are all of it. Between two values interpolation
    leaves a ramp, and noise leaves no two neighbours alike.

    Args:
        mask: its path, for the message.
        values: label values [X, Y, Z].

    Raises:
        EquiregError: if they are grey values.
    """
    many = [value for value in distinct(values) if value]
    if len(many) <= _FEW:
        return
    alone = np.ones(values.shape, dtype=bool)
    for axis in _axes(values.shape):
        inner = np.moveaxis(alone, axis, 0)
        along = np.moveaxis(values, axis, 0)
        same = along[1:] == along[:-1]
        inner[1:] &= same
        inner[:-1] &= same
    flat = [value for value in distinct(values[alone]) if value]
    if len(flat) < _FLAT * len(many):
        raise EquiregError(
            f"{mask}: is a mask with {len(many)} values, of which {len(many) - len(flat)} lie at edges alone, as in a "
            "scan or in a mask that was resampled with interpolation; expected label values. Give the mask itself, and "
            "resample masks with nearest neighbour."
        )


def _axes(shape: tuple[int, ...]) -> list[int]:
    """Return the axes along which neighbours are looked at: the long ones, at least two."""
    longest = sorted(range(len(shape)), key=lambda axis: -shape[axis])
    return [axis for place, axis in enumerate(longest) if place < 2 or shape[axis] >= _LONG]
