"""The recipe of Scholin 2020 for BraTS folders: crop, correct bias fields, equalise histograms."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import scipy

from equireg.config import PrepareConfig
from equireg.errors import UsageError
from equireg.folders.prepared import Split
from equireg.imaging.grid import Box, SliceAxis, WorkingGrid
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import Geometry
from equireg.layouts import RawCase, RawDataset
from equireg.preparation import bias_field, checks, normalise
from equireg.preparation.recipes.base import Recipe, WorkingScan
from equireg.preparation.split import thesis_split

N4_SHRINK = 4
"""Default factor of coarsening for N4: the fastest of those measured that changes little (benchmarks/preparation)."""
_IN_PLANE_VOX = 224
"""Rows and columns that are kept, at most."""


class Thesis(Recipe):
    """The thesis' own recipe; its normalisation is ``{"name": "thesis", "n4_shrink": factor}``."""

    name = "thesis"
    keeps_splits = False
    refused_warning = "cases were refused, so who trains and who validates may differ from the thesis' own draw"

    def check(self, config: PrepareConfig, layout: str) -> None:
        """Refuse other layouts than BraTS, and options that would change the recipe."""
        if layout != "brats":
            raise UsageError(
                f"--recipe thesis is for BraTS folders; this one has the layout {layout}. Leave --recipe out, or give "
                "--layout brats if its files are named as BraTS names them."
            )
        fixed: tuple[tuple[str, Any, tuple[Any, ...]], ...] = (
            ("spacing", config.spacing, ("auto", "none")),
            ("normalise", config.normalise, ("auto",)),
            ("slice_axis", config.slice_axis, ("auto", "z")),
            ("test_fraction", config.test_fraction, (0.0,)),
        )
        for name, got, expected in fixed:
            if got not in expected:
                raise UsageError(
                    f"--{name} is {got}; the thesis' recipe leaves no choice but "
                    f"{' or '.join(str(value) for value in expected)}. Leave --{name} out, or --recipe."
                )

    def frame(
        self, config: PrepareConfig, geometries: Sequence[Geometry]
    ) -> tuple[tuple[float, float, float] | None, SliceAxis]:
        """Keep each scan's own voxels, in axial slices."""
        return None, "z"

    def normalisation(
        self, config: PrepareConfig, dataset: RawDataset, training: Sequence[RawCase], labels: LabelTable
    ) -> Mapping[str, Any]:
        """Keep the factor by which a scan is coarsened for N4."""
        return {"name": self.name, "n4_shrink": config.n4_shrink or N4_SHRINK}

    def split(
        self, config: PrepareConfig, dataset: RawDataset, usable: Sequence[RawCase], known: Mapping[str, Split]
    ) -> dict[str, Split]:
        """Split all cases of the raw folder as the thesis did, whichever of them can be used or are known."""
        return thesis_split(dataset.cases, config.val_fraction, config.split_seed)

    def keeps_empty_slices(self, split: Split) -> bool:
        """Return whether the split is the test set: the thesis cropped empty slices away everywhere else."""
        return split == "test"

    def steps(
        self, image: np.ndarray, grid: WorkingGrid, normalisation: Mapping[str, Any], *, keep_empty_slices: bool
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
                bias_field.correct(channel, mask, cropped.spacing_mm, int(normalisation["n4_shrink"]))
                for channel, mask in zip(working, masks, strict=True)
            ]
        )
        del working
        yield "bias corrected", WorkingScan(corrected, outside, cropped)
        percentiles = normalise.raw_percentiles(image, backgrounds)
        found = [normalise.equalise(channel, mask) for channel, mask in zip(corrected, masks, strict=True)]
        equalised = np.stack([channel for channel, _ in found])
        odd = (f"channel {index}: {note}" for index, (_, note) in enumerate(found, start=1) if note)
        notes = (*checks.of_scan(image, backgrounds), *odd)
        yield "equalised", WorkingScan(equalised, (0.0,) * len(equalised), cropped, percentiles, notes)


def _tissue(channel: np.ndarray, background: float | None) -> np.ndarray:
    """Return where [D, H, W] is tissue: what is not background, and what it encloses.

    A voxel inside the head may have the background's value by accident; only what is open to the outside is background.
    """
    if background is None:
        return np.ones(channel.shape, dtype=bool)
    return np.asarray(scipy.ndimage.binary_fill_holes(channel != np.float32(background)), dtype=bool)


def _centre(full_shape: tuple[int, int, int]) -> Box:
    """Return the box that keeps all slices, and the middle of their rows and columns."""
    depth, *in_plane = full_shape
    starts = [max(0, (size - _IN_PLANE_VOX) // 2) for size in in_plane]
    rows, columns = ((start, start + min(size, _IN_PLANE_VOX)) for start, size in zip(starts, in_plane, strict=True))
    return (0, depth), rows, columns
