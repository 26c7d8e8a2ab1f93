"""Masks that are none, or no longer: scans of whole numbers, resampled with interpolation, compressed with loss."""

from collections.abc import Collection

import numpy as np

from equireg.errors import EquiregError

NEAR = 32
"""Distance from black or white that JPEG's compression may move a value by."""
EDGES = 0.03
"""Part of a picture's pixels that may lie farther from both: those at edges."""
_WHITE = 255
_CROWD = 6
"""Values near black, and near white, that compression leaves at least where it was visible."""
_FLAT = 0.7
"""Part of the pixels neither black nor white that are as the one before, above which they are labels."""
_FEW = 16
"""Values other than 0 up to which a mask is not looked at: so many may be labels whatever their shape."""
_RAMPS = 0.4
"""Fraction of the voxels at edges that lie between their neighbours' values, from which on values are grey."""


def check_labels(mask: str, values: np.ndarray, found: Collection[int]) -> None:
    """Refuse a mask [X, Y, Z] with many values, of which most at edges lie between those of their neighbours.

    Interpolation leaves a ramp between two values, and of three values of noise along a line the middle one is the
    median in a third of all cases, for each axis. A label that is two voxels thick has a neighbour of its own, and one
    that is thinner mostly has the background on both sides. ``found`` are the values that occur.
    """
    many = sum(value != 0 for value in found)
    if many <= _FEW:
        return
    inside, ramp = values != 0, np.zeros(values.shape, dtype=bool)
    for axis in range(values.ndim):
        before, after = _neighbours(values, axis)
        inside &= (before == values) & (after == values)
        ramp |= ((before < values) & (values < after)) | ((before > values) & (values > after))
    edges = (values != 0) & ~inside
    share = float(ramp[edges].mean()) if edges.any() else 0.0
    if share > _RAMPS:
        raise EquiregError(
            f"{mask}: is a mask with {many} values, and {share:.0%} of the voxels at edges lie between those beside "
            "them, as in a scan or a mask that was resampled with interpolation; expected label values. Give the mask "
            "itself, and resample with nearest neighbour. If these are labels, declare them in the dataset.json of "
            "folders imagesTr and labelsTr."
        )


def was_lossy(grey: np.ndarray, values: np.ndarray) -> bool:
    """Whether values crowd about black and about pure white, and next to no pixel has another: lossy compression."""
    dark, bright = values[values <= NEAR], values[values >= _WHITE - NEAR]
    if min(len(dark), len(bright)) < _CROWD or float(np.isin(grey, [*dark, *bright]).mean()) < 1 - EDGES:
        return False
    odd = (grey > 1) & (grey < _WHITE - 1)
    same = (grey[:, 1:] == grey[:, :-1])[odd[:, 1:]]
    if same.size and float(same.mean()) > _FLAT:  # labels are flat, what compression leaves is not
        return False
    counts = np.bincount(grey.ravel(), minlength=_WHITE + 1)
    return int(counts[: NEAR + 1].argmax()) <= 1 and int(counts[: _WHITE - NEAR - 1 : -1].argmax()) <= 1


def _neighbours(values: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the voxels before and behind each along an axis; those at an end stand for their neighbours."""
    size = values.shape[axis]
    places = np.arange(size)
    return values.take(np.maximum(places - 1, 0), axis), values.take(np.minimum(places + 1, size - 1), axis)
