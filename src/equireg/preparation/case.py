"""One case: from its files to the working arrays, checked; the same for training and for prediction."""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from equireg import disk
from equireg.errors import EquiregError
from equireg.folders import FORMAT_VERSION
from equireg.folders.digests import SEAL, digest_of, seal_of
from equireg.folders.prepared import RECORD, CaseRecord, CaseWriter, new_case
from equireg.folders.schema import SchemaError, strict
from equireg.imaging.grid import SliceAxis, WorkingGrid
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import Geometry
from equireg.layouts import RawCase
from equireg.preparation import equivariance_seeds, lost_labels, normalise, recipes
from equireg.preparation.places import count_classes, draw_places, extent_of
from equireg.preparation.plan import grid_of
from equireg.preparation.raw_states import channel_states, mask_state
from equireg.preparation.recipes import WorkingScan

MADE_FROM = "made_from"
"""Key of a case's record on disk: a digest of its files, of how they are read, and of the plan."""


@dataclass(frozen=True)
class CasePlan:
    """How every case of a data set is turned into working arrays."""

    spacing_mm: tuple[float, float, float] | None
    """Spacing x, y, z to resample to, or None for each scan's own."""
    slice_axis: SliceAxis
    """Axis across which slices are cut; a scan of one slice is cut across its flat axis all the same."""
    normalisation: Mapping[str, Any]
    """What is done to intensities, and by its name the recipe."""
    labels: LabelTable
    channels: int
    keep_empty_slices: bool = True
    """Of the thesis' recipe: slices without tissue stay, as in scans that are predicted and not trained on."""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, which the fingerprint of a finished case is made from."""
        return {**vars(self), "labels": self.labels.as_dict()}


def recipe_steps(image: np.ndarray, geometry: Geometry, plan: CasePlan) -> Iterator[tuple[str, WorkingScan]]:
    """Yield each step from a scan, [C, X, Y, Z] in its own voxels, to what the network sees, with the step's name."""
    grid = grid_of(geometry, plan.spacing_mm, plan.slice_axis)
    recipe = recipes.of(plan.normalisation)
    return recipe.steps(image, grid, plan.normalisation, keep_empty_slices=plan.keep_empty_slices)


def check_resampled(named: Path | str, geometry: Geometry, channels: int, plan: CasePlan, most: int) -> None:
    """Refuse a scan that would have more than ``most`` values once it is resampled, before memory is asked for."""
    grid = grid_of(geometry, plan.spacing_mm, plan.slice_axis)
    if channels * math.prod(grid.full_shape) <= most:
        return
    own = grid_of(geometry, None, plan.slice_axis)
    along = [grid.axes.index(axis) for axis in "xyz"]
    before, after = (" x ".join(f"{one.spacing_mm[place]:g}" for place in along) for one in (own, grid))
    shape = " x ".join(str(grid.full_shape[place]) for place in along)
    raise EquiregError(
        f"{named}: has a voxel spacing of {before} mm; resampled to the {after} mm at which the networks work it would "
        f"have {shape} voxels; expected at most {most} in all. Correct the spacing in its header if it is wrong; else "
        "allow it by --max_voxels, or prepare, and train, with a coarser --spacing."
    )


def working_scan(
    image: np.ndarray,
    geometry: Geometry,
    plan: CasePlan,
    watch: Callable[[tuple[str, WorkingScan]], None] | None = None,
) -> WorkingScan:
    """Turn a scan, [C, X, Y, Z] in its own voxels, into what the network sees: all steps of the plan's recipe.

    Each step is shown to ``watch`` and otherwise not kept: one of a brain scan fills a hundred megabytes.
    """
    scan = None
    for step in recipe_steps(image, geometry, plan):
        if watch is not None:
            watch(step)
        scan = step[1]
    if scan is None:
        raise ValueError(f"the recipe {plan.normalisation} has no step; expected at least one")
    return scan


def fingerprint(case: RawCase, plan: CasePlan) -> str:
    """Return a digest of all that a prepared case depends on: its files' states, how they are read, and the plan.

    Raises:
        EquiregError: if a file cannot be read.
    """
    with disk.read_errors(case.name):
        states = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in case.files]
        # Files that change places, or come out of an archive, keep their times.
        contents = [*channel_states(case, as_packed=True), mask_state(case)]
    limits = case.limits
    values = [value for value, _ in case.parts]
    how = [case.picks, values, case.segments, limits.pixel_mm, limits.colours, limits.segments]
    content = json.dumps([FORMAT_VERSION, states, contents, how, plan.as_dict()], sort_keys=True, default=str)
    return sha256(content.encode()).hexdigest()


def finished(folder: Path, made_from: str) -> dict[str, Any] | None:
    """Return the record of a case that is prepared already from the same files by the same plan, and undamaged."""
    try:
        content = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        if not isinstance(content, dict) or content.pop(SEAL, None) != seal_of(content):
            return None
        if content.pop(MADE_FROM, None) != made_from:
            return None
        record = strict(CaseRecord, {**content, "split": "train"}, RECORD)
        whole = record.digests and all(digest_of(folder / name) == found for name, found in record.digests.items())
    except (OSError, ValueError, RecursionError, SchemaError):
        return None
    return {name: value for name, value in record.as_dict().items() if name != "split"} if whole else None


def prepare_case(
    case: RawCase, plan: CasePlan, folder: Path, watch: Callable[[tuple[str, WorkingScan]], None] | None = None
) -> dict[str, Any]:
    """Check one case and write its arrays into ``folder``, completely or not at all; ``watch`` is shown each step.

    The scan is gone from memory before the mask is read.

    Returns:
        The case's record for the manifest, without its split.

    Raises:
        EquiregError: if a file of the case is not fit for use; names the file.
    """
    made_from = fingerprint(case, plan)
    image, geometry = case.read_image()
    if len(image) != plan.channels:
        raise EquiregError(
            f"{case.images[0]}: has {len(image)} channels; expected {plan.channels}, as the data set declares."
        )
    check_resampled(case.images[0], geometry, len(image), plan, case.limits.max_voxels)
    scan = working_scan(image, geometry, plan, watch)
    del image
    grid = scan.grid
    record: dict[str, Any] = {
        "name": case.name,
        "patient": case.patient,
        "held_out": case.held_out,
        "labelled": case.label is not None,
        "shape": grid.shape,
        "spacing_mm": grid.spacing_mm,
        "grid": grid.as_dict(),
        "background": scan.background,
        "class_voxels": (),
        "intensities": scan.intensities,
        "notes": scan.notes,
    }
    with new_case(folder) as writer:
        stored = scan.image.astype(_stored_type(scan.image))
        del scan
        writer.image(stored)
        del stored
        writer.seeds(equivariance_seeds.draw(case.name, range(*grid.crop[0])))
        if case.label is not None:
            record |= write_label(case.read_label(geometry), case.label, grid, plan.labels, writer)
        written = writer.record({**record, MADE_FROM: made_from})
    return {name: value for name, value in written.items() if name != MADE_FROM}


def with_other_label(content: Mapping[str, Any], label: Mapping[str, Any]) -> dict[str, Any]:
    """Return a case's record with another label, no longer as what `equireg prepare` makes from the raw folder."""
    return {key: value for key, value in {**content, **label}.items() if key not in (SEAL, MADE_FROM)}


def _stored_type(image: np.ndarray) -> type[np.floating]:
    """Return 16 bits for normalised intensities, which are small; raw ones may need more than 16 bits."""
    return np.float16 if max(-float(image.min()), float(image.max())) <= normalise.HIGHEST else np.float32


def classes_of(mask: Path | None, values: np.ndarray, labels: LabelTable) -> np.ndarray:
    """Turn the label values of a mask into class indices.

    Raises:
        EquiregError: if a value is unknown; names the mask.
    """
    try:
        return labels.to_classes(values)
    except EquiregError as error:
        raise EquiregError(
            f"{mask}: {error} Correct the mask or declare the value in dataset.json, where there is one."
        ) from error


def write_label(
    values: np.ndarray, mask: Path, grid: WorkingGrid, labels: LabelTable, writer: CaseWriter
) -> dict[str, Any]:
    """Write a mask's class indices, some places of each class, and the mask itself in its own geometry.

    Args:
        values: the mask's label values in the scan's own voxels, [X, Y, Z].
        mask: its file, for the error.
        grid: the working grid, with the scan's own geometry.
        labels: what the values mean.
        writer: of the case's files.

    Returns:
        What the case's record says of it: voxels of each class, how far they reach, and what was lost.

    Raises:
        EquiregError: if a value is unknown; names the mask.
    """
    writer.reference(values, grid.native)
    classes = [classes_of(mask, values, labels)]
    del values
    native = count_classes(classes[0], labels.classes).sum(axis=0).tolist()
    found = write_classes(classes.pop(), grid, labels, writer)
    return {**found, "mask_notes": lost_labels.notes(native, found["class_voxels"], labels, grid)}


def write_classes(classes: np.ndarray, grid: WorkingGrid, labels: LabelTable, writer: CaseWriter) -> dict[str, Any]:
    """Write class indices [X, Y, Z] in the scan's own voxels as training reads them, with some places of each class.

    Returns:
        What the case's record says of a mask: voxels of each class, and how far they reach.
    """
    working = grid.label_to_working(classes)
    del classes
    counts = count_classes(working, labels.classes)
    writer.label(working, draw_places(working, counts))
    voxels = tuple(int(count) for count in counts.sum(axis=0))
    return {"class_voxels": voxels, **extent_of(working, counts)}
