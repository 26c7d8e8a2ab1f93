"""One slice of one case after each step of preparation, for the report to draw."""

import io
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from equireg import disk
from equireg.folders.archives import NPZ_ERRORS
from equireg.imaging.grid import WorkingGrid
from equireg.imaging.labels import IGNORED
from equireg.layouts import RawCase
from equireg.preparation import case as one_case
from equireg.preparation.case import CasePlan, WorkingScan, fingerprint, working_scan
from equireg.preparation.plan import grid_of


class _Slices:
    """The slice with most labelled voxels after each step, cut out as the steps come: whole steps fill the memory."""

    def __init__(self, case: RawCase, plan: CasePlan) -> None:
        geometry = case.read_geometry()
        self._values = case.read_label(geometry)
        self._classes = one_case.classes_of(case.label, self._values, plan.labels)
        self._whole = grid_of(geometry, plan.spacing_mm, plan.slice_axis)
        self._chosen = 0
        self._steps: list[tuple[str, np.ndarray, np.ndarray]] = []

    def __call__(self, step: tuple[str, WorkingScan]) -> None:
        """Keep the slice of a step."""
        name, scan = step
        if not self._steps:
            self._chosen = _most_labelled(self._classes, scan.grid)
        at = self._chosen - scan.grid.crop[0][0]
        label = scan.grid.label_to_working(self._values)[at]
        self._steps.append((name, _view(scan.image[:, at]).astype(np.float32), _view(label)))

    def arrays(self, image: np.ndarray) -> dict[str, Any]:
        """Return the arrays of the example, with the raw scan [C, X, Y, Z] as its first step."""
        rows, columns = ((0, size) for size in self._whole.full_shape[1:])
        one = self._whole.with_crop(((self._chosen, self._chosen + 1), rows, columns))
        raw = _view(one.image_to_working(image)[:, 0]), _view(one.label_to_working(self._values)[0])
        steps = [("raw", *raw), *self._steps]
        arrays: dict[str, Any] = {
            "steps": np.array([name for name, _, _ in steps]),
            "spacing_mm": np.array(one.spacing_mm[1:]),
        }
        for index, (_, scan, label) in enumerate(steps):
            arrays[f"scan_{index}"], arrays[f"label_{index}"] = scan, label
        return arrays


def prepare_shown(
    case: RawCase, plan: CasePlan, folder: Path, examples: Path | None, channels: Sequence[str]
) -> dict[str, Any]:
    """Do what ``prepare_case`` does, and of the steps on its way write the example, where ``examples`` says so.

    The bias field, which takes most of the thesis' recipe, is then estimated once.
    """
    if examples is None:
        return one_case.prepare_case(case, plan, folder)
    slices = _Slices(case, plan)
    record = one_case.prepare_case(case, plan, folder, slices)
    renew(examples, case, plan, channels, slices)
    return record


def renew(
    folder: Path, case: RawCase | None, plan: CasePlan, channels: Sequence[str], slices: _Slices | None = None
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
        slices: those of its steps, where they are at hand; else the steps are done again.

    Raises:
        EquiregError: if the case cannot be read, or the disk is full.
    """
    if case is None or case.label is None:
        _remove(folder)
        return
    path, digest = folder / f"{case.name}.npz", fingerprint(case, plan)
    if _digest_of(path) == digest:
        return
    image, geometry = case.read_image()
    if slices is None:
        slices = _Slices(case, plan)
        working_scan(image, geometry, plan, slices)
    content = io.BytesIO()
    np.savez_compressed(content, **slices.arrays(image), channel_names=np.array(channels), digest=digest)
    with disk.disk_errors(folder):
        _remove(folder)
        folder.mkdir(exist_ok=True)
    disk.write_atomic(path, content.getvalue())


def _digest_of(path: Path) -> str | None:
    """Return what an example was made from, or None where there is none that can be read."""
    try:
        with np.load(path) as content:
            return str(content["digest"])
    except NPZ_ERRORS:
        return None


def _remove(folder: Path) -> None:
    """Remove the examples, and the folder unless there is something else in it."""
    for path in folder.glob("*.npz"):
        path.unlink()
    with suppress(OSError):
        folder.rmdir()


def _most_labelled(mask: np.ndarray, grid: WorkingGrid) -> int:
    """Return the slice with most labelled voxels, by its index before cropping; the middle one where none has any."""
    classes = grid.label_to_working(mask)
    counts = ((classes > 0) & (classes != IGNORED)).sum(axis=(1, 2))
    return grid.crop[0][0] + (int(counts.argmax()) if counts.any() else len(counts) // 2)


def _view(working: np.ndarray) -> np.ndarray:
    """Turn [..., H, W] as radiologists see it: both axes of the working array run the other way."""
    return np.ascontiguousarray(working[..., ::-1, ::-1])
