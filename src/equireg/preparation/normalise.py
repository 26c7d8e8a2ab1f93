"""Where a scan's background is, and what its intensities become."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from equireg.imaging.boxes import bounding_box
from equireg.imaging.grid import Box
from equireg.preparation import outliers

_CONSTANT_FRACTION = 0.5
"""Part of the outermost voxels that must hold one value for it to count as the background's."""
HIGHEST = 1000.0
"""Greatest normalised intensity: far beyond any tissue, and safe in 16 bits."""
_BINS = (256, 2**16)
"""Least and most bins of a histogram: intensities may span a unit or billions, though a scanner's span thousands."""
PERCENTILES = (0.5, 50.0, 99.5)
"""Percentiles of raw intensities by which scans are compared with those trained on."""
_SAMPLE = 100_000
"""Voxels that percentiles are taken of, about."""
ROUNDING = 1e-7
"""Relative precision of 32 bits."""
_BLOCK = 2**20
_LEAST_EQUALISED = 2.0**-14
"""Least equalised tissue: the least normal number of 16 bits, so that none is stored as the background's 0."""


@dataclass(frozen=True)
class Normalised:
    """A normalised scan."""

    image: np.ndarray
    """float32 [C, D, H, W]."""
    background: tuple[float, ...]
    """Value of each channel's background after normalisation."""
    notes: tuple[str, ...] = ()
    """What the user should know."""


def constant_background(image: np.ndarray) -> list[float | None]:
    """Find each channel's background value, [C, D, H, W]; None where the border holds no constant one.

    The value is not taken to be 0: real files carry others. A skull-stripped scan has one, a crop of tissue
    has none.
    """
    return [_background_of(channel) for channel in image]


def _background_of(channel: np.ndarray) -> float | None:
    values, counts = np.unique(_border(channel), return_counts=True)
    most = int(counts.argmax())
    return float(values[most]) if counts[most] >= _CONSTANT_FRACTION * counts.sum() else None


def _border(channel: np.ndarray) -> np.ndarray:
    """Return the outermost voxels of [D, H, W]; axes of one voxel have no border of their own."""
    faces = [channel.take(index, axis) for axis in range(3) if channel.shape[axis] > 1 for index in (0, -1)]
    return np.concatenate([face.ravel() for face in faces]) if faces else channel.ravel()


def foreground(image: np.ndarray, backgrounds: list[float | None]) -> np.ndarray:
    """Return where [C, *S] differs from the background in any channel, bool [*S].

    All of it where a channel has no constant background.
    """
    if any(value is None for value in backgrounds):
        return np.ones(image.shape[1:], dtype=bool)
    differs = np.zeros(image.shape[1:], dtype=bool)
    for channel, value in zip(image, backgrounds, strict=True):
        differs |= channel != value
    return differs


def box_of(differs: np.ndarray) -> Box:
    """Return the box of what is true in [D, H, W]; the whole array where nothing is."""
    d, h, w = bounding_box(differs) or (slice(0, size) for size in differs.shape)
    return (d.start, d.stop), (h.start, h.stop), (w.start, w.stop)


def raw_percentiles(image: np.ndarray, backgrounds: list[float | None]) -> tuple[tuple[float, ...], ...]:
    """Return the ``PERCENTILES`` of each channel's raw intensities inside its foreground, [C][3]."""
    return tuple(
        tuple(float(value) for value in np.percentile(_sample(_inside(channel, value)), PERCENTILES))
        for channel, value in zip(image, backgrounds, strict=True)
    )


def _sample(values: np.ndarray) -> np.ndarray:
    """Return every n-th of many values."""
    return values[:: max(1, len(values) // _SAMPLE)]


def _inside(channel: np.ndarray, background: float | None) -> np.ndarray:
    """Return the intensities of a channel that are not background, [N]; all of them where nothing else is left."""
    inside = channel.ravel() if background is None else channel[channel != background]
    return inside if inside.size else channel.ravel()


def normalise(image: np.ndarray, backgrounds: list[float | None], normalisation: Mapping[str, Any]) -> Normalised:
    """Normalise a scan's intensities.

    Args:
        image: float32 [C, *S]; left as it is.
        backgrounds: each channel's constant background, or None.
        normalisation: ``{"name": "zscore"}``, mean 0 and deviation 1 inside each channel's foreground, and 1 in a
            background of 0 where all of that is of one value, as in a mask;
            ``{"name": "ct", "low": [C], "high": [C], "mean": [C], "std": [C]}``, a clip and one scale for all
            cases; ``{"name": "mixed", "schemes": [C], ...}``, one of the three a channel; ``{"name": "none"}``.

    Raises:
        ValueError: if the name is unknown.
    """
    result = np.empty(image.shape, dtype=np.float32)
    outside, notes = [], []
    for index, (channel, value) in enumerate(zip(image, backgrounds, strict=True)):
        scale, note = _scale(channel, value, normalisation, index)
        step = max(1, _BLOCK * len(channel) // max(1, channel.size))
        for start in range(0, len(channel), step):  # slab by slab: no copy of the whole scan
            result[index, start : start + step] = scale(channel[start : start + step])
        outside.append(float(np.median(_border(result[index])) if value is None else scale(np.float32(value))))
        notes += [f"channel {index + 1}: {note}"] if note else []
    return Normalised(result, tuple(outside), tuple(notes))


def scheme_of(normalisation: Mapping[str, Any], channel: int) -> str:
    """Return how a channel is normalised: zscore, ct, none, or the name of a recipe that does it otherwise."""
    return str(normalisation["schemes"][channel] if "schemes" in normalisation else normalisation["name"])


def _scale(
    channel: np.ndarray, background: float | None, normalisation: Mapping[str, Any], index: int
) -> tuple[Callable[[np.ndarray | np.float32], np.ndarray], str | None]:
    """Return what is done to every intensity of a channel, and what the user should know of it."""
    name, note = scheme_of(normalisation, index), None
    if name == "none":
        return np.asarray, None
    if name == "ct":
        low, high, mean, std = (float(normalisation[key][index]) for key in ("low", "high", "mean", "std"))
        largest = max(abs(low), abs(high))
    elif name == "zscore":
        inside = _inside(channel, background)
        low, high = -np.inf, np.inf
        mean, std = float(inside.mean(dtype=np.float64)), deviation(inside)
        absurd = outliers.that_widen(inside, std)
        if absurd is not None:
            low, high = absurd
            note = outliers.describe(inside, absurd)
            inside = np.clip(inside, low, high)
            mean, std = float(inside.mean(dtype=np.float64)), deviation(inside)
        largest = max(abs(float(inside.min())), abs(float(inside.max())), abs(background or 0.0))
        if background is not None and std <= ROUNDING * largest:  # a mask; an empty one is all background
            mean, std = background, abs(mean - background)
    else:
        raise ValueError(f"normalisation {name!r}; expected zscore, ct or none")
    # Below the resolution of 32 bits, a deviation is rounding. Maps of 1e-9 are scans like any other.
    std = max(std, ROUNDING * largest) or 1.0
    return lambda values: np.clip((np.clip(values, low, high) - mean) / std, -HIGHEST, HIGHEST), note


def deviation(values: np.ndarray) -> float:
    """Return what ``values.std(dtype=float64)`` returns for float32 [N], bit for bit, without 8 bytes a voxel."""
    if not values.size:
        return 0.0
    mean = values.mean(dtype=np.float64)
    return float(np.sqrt(_squares(values, mean) / len(values)))


def _squares(values: np.ndarray, mean: np.floating) -> np.floating:
    """Sum squared differences in numpy's own order: halves, each a multiple of 8 long, down to small blocks."""
    if len(values) <= _BLOCK:
        difference = np.subtract(values, mean, dtype=np.float64)
        return np.multiply(difference, difference, out=difference).sum()
    half = len(values) // 2
    half -= half % 8
    return _squares(values[:half], mean) + _squares(values[half:], mean)


def equalise(channel: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, str | None]:
    """Replace each intensity inside a mask by the fraction of the mask that is at most as bright.

    The histogram has one bin an intensity unit. A bin's fraction, itself included, stands at its lower edge, and
    between these edges the fractions are interpolated. A few absurd voxels are clipped if they would leave the rest
    too few bins.

    Args:
        channel: intensities [*S].
        mask: where there is tissue, bool [*S].

    Returns:
        A new float32 [*S], above 0 to 1 inside the mask and exactly 0 outside; and what the user should know, or None.
    """
    equalised = np.zeros(channel.shape, dtype=np.float32)
    inside = channel[mask].astype(np.float64)
    if inside.size == 0:
        return equalised, None
    note, low, high = None, float(inside.min()), float(inside.max())
    absurd = outliers.that_coarsen(inside, _bins(low, high))
    if absurd is not None:
        note = outliers.describe(inside, absurd)
        inside = np.clip(inside, *absurd)
        low, high = float(inside.min()), float(inside.max())
    if low == high:
        equalised[mask] = 1
        return equalised, note
    counts, edges = np.histogram(inside, bins=_bins(low, high), range=(low, high))
    fractions = counts.cumsum() / inside.size
    equalised[mask] = np.maximum(np.interp(inside, edges[:-1], fractions), _LEAST_EQUALISED)
    return equalised, note


def _bins(low: float, high: float) -> int:
    return int(np.clip(np.ceil(high - low), *_BINS))
