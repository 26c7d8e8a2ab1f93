"""Where a scan's background is, and what its intensities become."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from equireg.imaging.grid import Box

_CONSTANT_SHARE = 0.5
"""Part of the outermost voxels that must hold one value for it to count as the background's."""
HIGHEST = 1000.0
"""Greatest normalised intensity: far beyond any tissue, and safe in 16 bits."""
_BINS = (256, 2**16)
"""Least and most bins of a histogram: intensities may span a unit or billions, though a scanner's span thousands."""
_LEAST_EQUALISED = 2.0**-14
"""Least equalised tissue: the least normal number of 16 bits, so that none is stored as the background's 0."""


@dataclass(frozen=True)
class Normalised:
    """A normalised scan."""

    image: np.ndarray
    """float32 [C, D, H, W]."""
    background: tuple[float, ...]
    """Value of each channel's background after normalisation."""


def constant_background(image: np.ndarray) -> list[float | None]:
    """Find each channel's background value, [C, D, H, W]; None where the border holds no constant one.

    The value is not taken to be 0: real files carry others. A skull-stripped scan has one, a crop of tissue
    has none.
    """
    return [_background_of(channel) for channel in image]


def _background_of(channel: np.ndarray) -> float | None:
    values, counts = np.unique(_border(channel), return_counts=True)
    most = int(counts.argmax())
    return float(values[most]) if counts[most] >= _CONSTANT_SHARE * counts.sum() else None


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
    d, h, w = differs.shape
    if not differs.any():
        return (0, d), (0, h), (0, w)
    spans = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        places = np.flatnonzero(differs.any(axis=others))
        spans.append((int(places[0]), int(places[-1]) + 1))
    return spans[0], spans[1], spans[2]


def normalise(image: np.ndarray, backgrounds: list[float | None], normalisation: Mapping[str, Any]) -> Normalised:
    """Normalise a scan's intensities.

    Args:
        image: float32 [C, *S].
        backgrounds: each channel's constant background, or None.
        normalisation: ``{"name": "zscore"}``, mean 0 and deviation 1 inside each channel's foreground;
            ``{"name": "ct", "low": [C], "high": [C], "mean": [C], "std": [C]}``, a clip and one scale for all
            cases; ``{"name": "none"}``.

    Raises:
        ValueError: if the name is unknown.
    """
    result = np.empty(image.shape, dtype=np.float32)
    outside = []
    for index, (channel, value) in enumerate(zip(image, backgrounds, strict=True)):
        scale = _scale(channel, value, normalisation, index)
        result[index] = scale(channel)
        outside.append(float(np.median(_border(result[index])) if value is None else scale(np.float32(value))))
    return Normalised(result, tuple(outside))


def _scale(
    channel: np.ndarray, background: float | None, normalisation: Mapping[str, Any], index: int
) -> Callable[[np.ndarray | np.float32], np.ndarray]:
    """Return what is done to every intensity of a channel."""
    name = normalisation["name"]
    if name == "none":
        return np.asarray
    if name == "ct":
        low, high, mean, std = (float(normalisation[key][index]) for key in ("low", "high", "mean", "std"))
    elif name == "zscore":
        inside = channel if background is None else channel[channel != background]
        inside = inside if inside.size else channel
        low, high = -np.inf, np.inf
        mean, std = float(inside.mean(dtype=np.float64)), float(inside.std(dtype=np.float64))
    else:
        raise ValueError(f"normalisation {name!r}; expected zscore, ct or none")
    return lambda values: np.clip((np.clip(values, low, high) - mean) / max(std, 1e-6), -HIGHEST, HIGHEST)


def equalise(channel: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Replace each intensity inside a mask by the share of the mask that is at most as bright.

    The histogram has one bin an intensity unit. A bin's share, itself included, stands at its lower edge, and between
    these edges the shares are interpolated.

    Args:
        channel: intensities [*S].
        mask: where there is tissue, bool [*S].

    Returns:
        A new float32 [*S]: above 0 to 1 inside the mask, exactly 0 outside.
    """
    equalised = np.zeros(channel.shape, dtype=np.float32)
    inside = channel[mask].astype(np.float64)
    if inside.size == 0:
        return equalised
    low, high = float(inside.min()), float(inside.max())
    if low == high:
        equalised[mask] = 1
        return equalised
    counts, edges = np.histogram(inside, bins=int(np.clip(np.ceil(high - low), *_BINS)), range=(low, high))
    shares = counts.cumsum() / inside.size
    equalised[mask] = np.maximum(np.interp(inside, edges[:-1], shares), _LEAST_EQUALISED)
    return equalised
