"""One case: from its files to the working arrays, checked; the same for training and for prediction."""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from equireg.disk import DiskError, disk_errors, write_json
from equireg.errors import EquiregError
from equireg.folders import FORMAT_VERSION
from equireg.folders.prepared import IMAGE, LABEL, PLACES, RECORD, REFERENCE, SEEDS, write_array
from equireg.imaging import volume
from equireg.imaging.grid import SliceAxis, WorkingGrid
from equireg.imaging.labels import IGNORED, LabelTable
from equireg.imaging.volume import Geometry
from equireg.layouts import RawCase
from equireg.preparation import equivariance_seeds, normalise, recipes
from equireg.preparation.recipes import WorkingScan

_PLACES = 1000
"""Most places kept of each class: enough to draw from, small beside the arrays."""


@dataclass(frozen=True)
class CasePlan:
    """How every case of a data set is turned into working arrays."""

    spacing_mm: tuple[float, float, float] | None
    """Spacing x, y, z to resample to, or None for each scan's own."""
    slice_axis: SliceAxis
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
    grid = WorkingGrid.plan(geometry, plan.spacing_mm, plan.slice_axis)
    recipe = recipes.of(plan.normalisation)
    return recipe.steps(image, grid, plan.normalisation, keep_empty_slices=plan.keep_empty_slices)


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
    """Return a digest of all that a prepared case depends on: its files' states and the plan."""
    states = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in case.files]
    content = json.dumps([FORMAT_VERSION, states, plan.as_dict()], sort_keys=True, default=str)
    return sha256(content.encode()).hexdigest()


def finished(folder: Path, digest: str) -> dict[str, Any] | None:
    """Return the record of a case that is prepared already from the same files by the same plan."""
    path = folder / RECORD
    if not path.is_file():
        return None
    record = json.loads(path.read_text(encoding="utf-8"))
    return record if record.get("digest") == digest else None


def prepare_case(
    case: RawCase, plan: CasePlan, folder: Path, watch: Callable[[tuple[str, WorkingScan]], None] | None = None
) -> dict[str, Any]:
    """Check one case and write its arrays into ``folder``, whole or not at all; ``watch`` is shown each step.

    Returns:
        The case's record for the manifest, without its split.

    Raises:
        EquiregError: if a file of the case is not fit for use; names the file.
    """
    digest = fingerprint(case, plan)
    image, geometry = case.read_image()
    if len(image) != plan.channels:
        raise EquiregError(
            f"{case.images[0]}: has {len(image)} channels; expected {plan.channels}, as the data set declares."
        )
    scan = working_scan(image, geometry, plan, watch)
    del image
    record: dict[str, Any] = {
        "name": case.name,
        "patient": case.patient,
        "held_out": case.held_out,
        "labelled": case.label is not None,
        "shape": scan.grid.shape,
        "spacing_mm": scan.grid.spacing_mm,
        "grid": scan.grid.as_dict(),
        "background": scan.background,
        "class_voxels": (),
        "digest": digest,
    }
    with _staged(folder) as staging:
        # Normalised intensities are small; raw ones may be beyond what 16 bits tell apart.
        kind = np.float16 if np.abs(scan.image).max() <= normalise.HIGHEST else np.float32
        write_array(staging / IMAGE, scan.image.astype(kind))
        slices = range(*scan.grid.crop[0])
        np.save(staging / SEEDS, equivariance_seeds.draw(case.name, slices))
        if case.label is not None:
            record["class_voxels"] = _write_label(case, geometry, scan.grid, plan.labels, staging)
        write_json(staging / RECORD, record)
    return record


@contextmanager
def _staged(folder: Path) -> Iterator[Path]:
    """Yield a hidden folder that becomes ``folder``, in place of an earlier one, when the block ends well.

    Raises:
        DiskError: if the disk is full; names ``folder``, for a hidden one would tell nobody anything.
    """
    staging = folder.with_name(f".{folder.name}.partial-{os.getpid()}")
    try:
        with disk_errors(folder):
            shutil.rmtree(staging, ignore_errors=True)
            staging.mkdir(parents=True)
            yield staging
            shutil.rmtree(folder, ignore_errors=True)
            staging.rename(folder)
    except DiskError as error:
        raise DiskError(str(error).replace(str(staging), str(folder))) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write_label(
    case: RawCase, geometry: Geometry, grid: WorkingGrid, labels: LabelTable, folder: Path
) -> tuple[int, ...]:
    """Write a mask's class indices, some places of each class, and the mask itself in its own geometry."""
    values = case.read_label(geometry)
    try:
        classes = labels.to_classes(values)
    except EquiregError as error:
        raise EquiregError(f"{case.label}: {error} Correct the mask or declare the value in dataset.json.") from error
    working = grid.label_to_working(classes)
    write_array(folder / LABEL, working)
    rng = np.random.default_rng(working.size)
    places = {}
    for index in range(labels.classes):
        found = np.argwhere(working == index)
        if len(found):
            chosen = rng.permutation(len(found))[:_PLACES]
            places[str(index)] = found[np.sort(chosen)].astype(np.int16)
    np.savez_compressed(folder / PLACES, **places)
    volume.write_label(folder / REFERENCE, values, geometry)
    counts = np.bincount(working[working != IGNORED].ravel(), minlength=labels.classes)
    return tuple(int(count) for count in counts)
