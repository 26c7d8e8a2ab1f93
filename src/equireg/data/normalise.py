"""Where a scan's background is, and what its intensities become."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from equireg.data.grid import Box

_CONSTANT_SHARE = 0.5
"""Part of the outermost voxels that must hold one value for it to count as the background's."""
HIGHEST = 1000.0
"""Greatest normalised intensity: far beyond any tissue, and safe in 16 bits."""


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


def foreground_box(image: np.ndarray, backgrounds: list[float | None]) -> Box:
    """Return the box of voxels that differ from the background in any channel, [C, D, H, W].

    The whole array where a channel has no constant background, or nothing differs.
    """
    shape = image.shape[1:]
    whole: Box = ((0, shape[0]), (0, shape[1]), (0, shape[2]))
    if any(value is None for value in backgrounds):
        return whole
    differs = np.zeros(shape, dtype=bool)
    for channel, value in zip(image, backgrounds, strict=True):
        differs |= channel != value
    if not differs.any():
        return whole
    spans = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        places = np.flatnonzero(differs.any(axis=others))
        spans.append((int(places[0]), int(places[-1]) + 1))
    return spans[0], spans[1], spans[2]


def normalise(image: np.ndarray, backgrounds: list[float | None], normalisation: Mapping[str, Any]) -> Normalised:
    """Normalise a scan's intensities.

    Args:
        image: float32 [C, D, H, W].
        backgrounds: each channel's constant background, or None.
        normalisation: ``{"name": "zscore"}``, mean 0 and deviation 1 inside each channel's foreground;
            ``{"name": "ct", "low": [C], "high": [C], "mean": [C], "std": [C]}``, a clip and one scale for all
            cases; ``{"name": "none"}``.

    Raises:
        ValueError: if the name is unknown.
    """
    name = normalisation["name"]
    result = np.empty(image.shape, dtype=np.float32)
    for index, (channel, value) in enumerate(zip(image, backgrounds, strict=True)):
        if name == "zscore":
            inside = channel if value is None else channel[channel != value]
            inside = inside if inside.size else channel
            mean, std = float(inside.mean(dtype=np.float64)), float(inside.std(dtype=np.float64))
        elif name == "ct":
            mean, std = normalisation["mean"][index], normalisation["std"][index]
        elif name == "none":
            mean, std = 0.0, 1.0
        else:
            raise ValueError(f"normalisation {name!r}; expected zscore, ct or none")
        low, high = (normalisation["low"][index], normalisation["high"][index]) if name == "ct" else (None, None)
        clipped = channel if low is None else np.clip(channel, low, high)
        scaled = (clipped - mean) / max(std, 1e-6)
        result[index] = scaled if name == "none" else np.clip(scaled, -HIGHEST, HIGHEST)
    return Normalised(result, tuple(float(np.median(_border(channel))) for channel in result))
