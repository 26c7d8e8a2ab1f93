"""The recipes: ways from a scan in its own voxels to the array that a network sees, step by step."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.ndimage import binary_fill_holes

from equireg.imaging.grid import Box, WorkingGrid
from equireg.preparation import bias_field, normalise

THESIS = "thesis"
"""Name of the thesis' recipe in a normalisation: ``{"name": "thesis", "n4_shrink": factor}``."""
N4_SHRINK = 4
"""Default factor of that recipe: the fastest of those measured that changes little (benchmarks/preparation)."""
_IN_PLANE_VOX = 224
"""Rows and columns that the thesis' recipe keeps, at most."""


@dataclass(frozen=True)
class WorkingScan:
    """A scan as the network sees it, and the way back."""

    image: np.ndarray
    """float32 [C, D, H, W]."""
    background: tuple[float, ...]
    grid: WorkingGrid


def steps(
    image: np.ndarray, grid: WorkingGrid, normalisation: Mapping[str, Any], *, keep_empty_slices: bool
) -> Iterator[tuple[str, WorkingScan]]:
    """Yield the name and the result of each step of preparation; the last is what the network sees.

    Args:
        image: voxels [C, X, Y, Z] in the scan's own grid.
        grid: the working grid before cropping.
        normalisation: as the manifest keeps it; its name says which recipe.
        keep_empty_slices: of the thesis' recipe: slices without tissue stay. The others crop all round.
    """
    if normalisation["name"] == THESIS:
        yield from _thesis(image, grid, int(normalisation["n4_shrink"]), keep_empty_slices)
    else:
        yield "normalised", _default(image, grid, normalisation)


def _default(image: np.ndarray, grid: WorkingGrid, normalisation: Mapping[str, Any]) -> WorkingScan:
    """Normalise, resample and crop to the box of what is not background."""
    # In the scan's own voxels: resampling blurs the background's edge into what is neither it nor tissue.
    backgrounds = normalise.constant_background(image)
    normalised = normalise.normalise(image, backgrounds, normalisation)
    foreground = grid.label_to_working(normalise.foreground(image, backgrounds))
    cropped = grid.with_crop(normalise.box_of(foreground))
    return WorkingScan(cropped.image_to_working(normalised.image), normalised.background, cropped)


def _thesis(
    image: np.ndarray, grid: WorkingGrid, n4_shrink: int, keep_empty_slices: bool
) -> Iterator[tuple[str, WorkingScan]]:
    """Crop, correct each contrast's bias field inside its own mask, and equalise its histogram there."""
    backgrounds = normalise.constant_background(image)
    cropped = grid.with_crop(_centre(grid.full_shape))
    if not keep_empty_slices:
        tissue = cropped.label_to_working(normalise.foreground(image, backgrounds))
        cropped = grid.with_crop((normalise.box_of(tissue)[0], *cropped.crop[1:]))
    working = cropped.image_to_working(image)
    masks = [_tissue(channel, value) for channel, value in zip(working, backgrounds, strict=True)]
    outside = tuple(0.0 if value is None else value for value in backgrounds)
    yield "cropped", WorkingScan(working, outside, cropped)
    corrected = np.stack(
        [
            bias_field.correct(channel, mask, cropped.spacing_mm, n4_shrink)
            for channel, mask in zip(working, masks, strict=True)
        ]
    )
    del working
    yield "bias corrected", WorkingScan(corrected, outside, cropped)
    equalised = np.stack([normalise.equalise(channel, mask) for channel, mask in zip(corrected, masks, strict=True)])
    yield "equalised", WorkingScan(equalised, (0.0,) * len(equalised), cropped)


def _tissue(channel: np.ndarray, background: float | None) -> np.ndarray:
    """Return where [D, H, W] is tissue: what is not background, and what it encloses.

    A voxel inside the head may have the background's value by chance; only what is open to the outside is background.
    """
    if background is None:
        return np.ones(channel.shape, dtype=bool)
    return np.asarray(binary_fill_holes(channel != np.float32(background)), dtype=bool)


def _centre(full_shape: tuple[int, int, int]) -> Box:
    """Return the box that keeps all slices, and the middle of their rows and columns."""
    depth, *in_plane = full_shape
    starts = [max(0, (size - _IN_PLANE_VOX) // 2) for size in in_plane]
    rows, columns = ((start, start + min(size, _IN_PLANE_VOX)) for start, size in zip(starts, in_plane, strict=True))
    return (0, depth), rows, columns
