"""The default recipe: normalise, resample, and crop to the box of what is not background."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from equireg.config import PrepareConfig
from equireg.folders.prepared import Split
from equireg.imaging.grid import SliceAxis, WorkingGrid
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import Geometry
from equireg.layouts import RawCase, RawDataset
from equireg.preparation import checks, normalise, plan
from equireg.preparation.recipes.base import Recipe, WorkingScan
from equireg.preparation.split import SplitCase, split_cases


class Default(Recipe):
    """What is planned from the data set's own headers and intensities."""

    name = "default"

    def check(self, config: PrepareConfig, layout: str) -> None:
        """Accept every option and layout."""

    def frame(
        self, config: PrepareConfig, geometries: Sequence[Geometry]
    ) -> tuple[tuple[float, float, float] | None, SliceAxis]:
        """Resample to the median spacing; cut slices across its widest axis."""
        spacings, flat = plan.common_spacings(geometries)
        spacing_mm = plan.choose_spacing(config.spacing, spacings)
        x, y, z = spacing_mm or (float(value) for value in np.median(np.array(spacings), axis=0))
        axis = flat if flat and config.slice_axis == "auto" else None
        return spacing_mm, axis or plan.choose_slice_axis(config.slice_axis, (x, y, z))

    def normalisation(
        self, config: PrepareConfig, dataset: RawDataset, training: Sequence[RawCase], labels: LabelTable
    ) -> Mapping[str, Any]:
        """Normalise each scan on its own, channels of CT by one scale for all."""
        return plan.choose_normalisation(config.normalise, dataset.modality, training, labels, dataset.channels)

    def split(
        self, config: PrepareConfig, dataset: RawDataset, usable: Sequence[RawCase], known: Mapping[str, Split]
    ) -> dict[str, Split]:
        """Draw new patients with a mask for val and test; known ones stay where they are."""
        cases = [SplitCase(case.name, case.patient, case.held_out) for case in usable]
        labelled = frozenset(case.name for case in usable if case.label is not None)
        return split_cases(cases, labelled, (config.val_fraction, config.test_fraction), config.split_seed, known)

    def steps(
        self, image: np.ndarray, grid: WorkingGrid, normalisation: Mapping[str, Any], *, keep_empty_slices: bool
    ) -> Iterator[tuple[str, WorkingScan]]:
        """Do all in one step."""
        # In the scan's own voxels: resampling blurs the background's edge into what is neither it nor tissue.
        backgrounds = normalise.constant_background(image)
        foreground = grid.label_to_working(normalise.foreground(image, backgrounds))
        cropped = grid.with_crop(normalise.box_of(foreground))
        del foreground
        normalised = normalise.normalise(image, backgrounds, normalisation)
        working = cropped.image_to_working(normalised.image)
        percentiles = normalise.raw_percentiles(image, backgrounds)
        notes = (*checks.of_scan(image, backgrounds), *normalised.notes)
        yield "normalised", WorkingScan(working, normalised.background, cropped, percentiles, notes)
