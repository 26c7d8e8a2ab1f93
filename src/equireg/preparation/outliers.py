"""A few voxels of absurd intensity, such as a damaged byte or a metal marker, that would squash everything else."""

import numpy as np

_BULK = (0.001, 0.999)
"""Fractions of the voxels between which the bulk lies."""
_REACH = 10.0
"""Widths of the bulk beyond which a voxel lies absurdly far."""
_SQUASHED = 1.5
"""Factor by which such voxels must widen the deviation for them to count: else they do no harm."""
_COARSE_BINS = 64
"""Bins of a histogram that the bulk must fill, at least."""


def limits(inside: np.ndarray) -> tuple[float, float] | None:
    """Return the least and the greatest intensity that is not absurd, or None where no voxel is.

    A voxel is absurd that lies ten widths of the bulk beyond it; the bulk is what lies between the percentiles 0.1 and
    99.9, at least one voxel of each end left out.

    Args:
        inside: intensities of the tissue, [N].
    """
    if len(inside) < 3:
        return None
    last = len(inside) - 1
    first, final = int(np.ceil(_BULK[0] * last)), int(np.floor(_BULK[1] * last))
    parted = np.partition(inside, (first, final))
    low, high = float(parted[first]), float(parted[final])
    reach = _REACH * (high - low)
    if reach <= 0 or (float(inside.min()) >= low - reach and float(inside.max()) <= high + reach):
        return None
    near = inside[(inside >= low - reach) & (inside <= high + reach)]
    return float(near.min()), float(near.max())


def that_widen(inside: np.ndarray, std: float) -> tuple[float, float] | None:
    """Return the limits where absurd voxels make the deviation ``std`` more than 1.5 times as wide, else None."""
    # An eighth of a per cent of the voxels at most: they cannot widen it so far from any nearer.
    middle = float(inside.mean(dtype=np.float64))
    farthest = max(float(inside.max()) - middle, middle - float(inside.min()))
    if len(inside) > 10_000 and farthest < 20 * std:
        return None
    found = limits(inside)
    if found is None or std <= _SQUASHED * float(np.clip(inside, *found).std(dtype=np.float64)):
        return None
    return found


def that_coarsen(inside: np.ndarray, bins: int) -> tuple[float, float] | None:
    """Return the limits where absurd voxels leave the bulk less than 64 of a histogram's bins, else None."""
    low, high = float(inside.min()), float(inside.max())
    found = limits(inside) if bins else None
    if found is None:
        return None
    return found if found[1] - found[0] < _COARSE_BINS * (high - low) / bins else None


def describe(inside: np.ndarray, found: tuple[float, float]) -> str:
    """Say how many voxels lie beyond the limits, and what was done."""
    beyond = int(np.count_nonzero((inside < found[0]) | (inside > found[1])))
    return (
        f"{beyond} of {len(inside)} voxels lie absurdly far from the rest (between {inside.min():.4g} and "
        f"{inside.max():.4g}); clipped to {found[0]:.4g} to {found[1]:.4g} before normalisation"
    )
