"""One slice of one case after each step of preparation, for the report to draw."""

import io
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from equireg import disk
from equireg.imaging.grid import WorkingGrid
from equireg.imaging.labels import IGNORED, LabelTable
from equireg.layouts import RawCase
from equireg.preparation import case as one_case
from equireg.preparation.case import CasePlan, WorkingScan, fingerprint, recipe_steps
from equireg.preparation.plan import grid_of


def prepare_shown(
    case: RawCase, plan: CasePlan, folder: Path, examples: Path | None, channels: Sequence[str]
) -> dict[str, Any]:
    """Do what ``prepare_case`` does, and of the steps on its way write the example, where ``examples`` says so.

    The bias field, which takes most of the thesis' recipe, is then estimated once.
    """
    if examples is None:
        return one_case.prepare_case(case, plan, folder)
    steps: list[tuple[str, WorkingScan]] = []
    record = one_case.prepare_case(case, plan, folder, steps.append)
    renew(examples, case, plan, channels, steps)
    return record


def renew(
    folder: Path,
    case: RawCase | None,
    plan: CasePlan,
    channels: Sequence[str],
    steps: Sequence[tuple[str, WorkingScan]] | None = None,
) -> None:
    """Write ``CASE.npz`` as the folder's only file, unless it is there from the same files and plan.

    Rows run from anterior (or superior) to posterior, columns from the patient's right to the left. Arrays:
    ``steps`` [n] names, ``scan_0`` to ``scan_{n-1}`` float32 [C, h, w], ``label_0`` to ``label_{n-1}`` label values
    [h, w], ``spacing_mm`` [2] of rows and columns, ``channel_names`` [C], ``digest``.

    Args:
        folder: where; removed where there is no case.
        case: a case with a mask, or None.
        plan: the case's own.
        channels: names of its channels.
        steps: its steps, where they are at hand; else they are done anew.

    Raises:
        EquiregError: if the case cannot be read, or the disk is full.
    """
    if case is None or case.label is None:
        shutil.rmtree(folder, ignore_errors=True)
        return
    path, digest = folder / f"{case.name}.npz", fingerprint(case, plan)
    if path.is_file():
        with np.load(path) as earlier:
            if str(earlier["digest"]) == digest:
                return
    content = io.BytesIO()
    np.savez_compressed(content, **_arrays(case, plan, steps), channel_names=np.array(channels), digest=digest)
    with disk.disk_errors(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    disk.write_atomic(path, content.getvalue())


def _arrays(case: RawCase, plan: CasePlan, steps: Sequence[tuple[str, WorkingScan]] | None) -> dict[str, Any]:
    image, geometry = case.read_image()
    values = case.read_label(geometry)
    whole = grid_of(geometry, plan.spacing_mm, plan.slice_axis)
    frames = [("raw", whole.image_to_working(image), whole)]
    done = recipe_steps(image, geometry, plan) if steps is None else steps
    frames += [(name, scan.image, scan.grid) for name, scan in done]
    chosen = _most_labelled(values, plan.labels, frames[-1][2])
    arrays: dict[str, Any] = {
        "steps": np.array([name for name, _, _ in frames]),
        "spacing_mm": np.array(whole.spacing_mm[1:]),
    }
    for index, (_, working, grid) in enumerate(frames):
        at = chosen - grid.crop[0][0]
        arrays[f"scan_{index}"] = _view(working[:, at]).astype(np.float32)
        arrays[f"label_{index}"] = _view(grid.label_to_working(values)[at])
    return arrays


def _most_labelled(values: np.ndarray, labels: LabelTable, grid: WorkingGrid) -> int:
    """Return the slice with most labelled voxels, by its index before cropping; the middle one where none has any."""
    classes = grid.label_to_working(labels.to_classes(values))
    counts = ((classes > 0) & (classes != IGNORED)).sum(axis=(1, 2))
    return grid.crop[0][0] + (int(counts.argmax()) if counts.any() else len(counts) // 2)


def _view(working: np.ndarray) -> np.ndarray:
    """Turn [..., H, W] as radiologists see it: both axes of the working array run the other way."""
    return np.ascontiguousarray(working[..., ::-1, ::-1])
