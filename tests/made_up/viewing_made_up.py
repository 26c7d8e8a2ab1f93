"""A small prepared folder and its predictions, made by hand, for the tests of the viewer and of the browser."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from equireg import disk, folders
from equireg.folders import prepared as store
from equireg.folders.prepared import CaseRecord, Manifest
from equireg.folders.quality import (
    CaseQuality,
    DiceEstimate,
    RegionQuality,
    disagreement_file,
    write_quality,
    write_record,
)
from equireg.imaging import volume
from equireg.imaging.grid import WorkingGrid
from equireg.imaging.volume import Geometry
from reporting_made_up import LABELS

# x runs towards the patient's left here, so that the file's own axes are not the canonical ones.
GEOMETRY = Geometry.from_array((12, 10, 6), np.diag([-2.0, 1.0, 3.0, 1.0]))
CROP = ((1, 6), (0, 10), (2, 12))


def mask() -> np.ndarray:
    """Return label values: an oedema with an enhancing core, off the middle."""
    values = np.zeros(GEOMETRY.shape, np.uint8)
    values[2:5, 6:9, 2:4] = 2
    values[3, 7, 2:4] = 4
    return values


def prepared(folder: Path, cases: Sequence[str] = ("case",)) -> Path:
    """Write a prepared folder whose cases are alike: a scan of two channels, and its mask."""
    grid = WorkingGrid.plan(GEOMETRY, None, "z", CROP)
    image = np.zeros((2, *GEOMETRY.shape), np.float32)
    image[:, 1:9, 2:9, 1:6] = 1.0
    image[1] += 2.0 * (mask() > 0)
    records = []
    for case in cases:
        directory = folder / "cases" / case
        directory.mkdir(parents=True)
        store.write_array(directory / "image.b2nd", grid.image_to_working(image).astype(np.float16))
        volume.write_label(directory / "reference.nii.gz", mask(), GEOMETRY)
        frame = (grid.shape, grid.spacing_mm, grid.as_dict(), (0.0, 0.0), (1, 1, 1, 1))
        records.append(CaseRecord(case, case, "val", True, False, *frame))
    names = ("T1", "FLAIR")
    manifest = Manifest("d", names, "mri", LABELS, "zyx", "x", None, {"name": "none"}, {}, tuple(records))
    disk.write_json(folder / "manifest.json", manifest.as_dict())
    folders.sign(folder, "prepare", {})
    return folder


def predictions(
    folder: Path, source: Path | str, *, equivariance: bool = False, qualities: dict[str, float] | None = None
) -> Path:
    """Write predictions, each a voxel off; of several cases with their qualities and maps of disagreement."""
    folder.mkdir(parents=True)
    cases = list(qualities or {"case": 1.0})
    for place, case in enumerate(cases):
        volume.write_label(folder / f"{case}.nii.gz", np.roll(mask(), 1 + place, axis=1), GEOMETRY)
        if equivariance:
            _transformed(folder / "equivariance", case)
        if qualities is not None:
            write_record(folder, CaseQuality(case, qualities[case], {"whole": RegionQuality(0.4, 1.0, None)}))
            against = np.where(np.roll(mask(), 1 + place, axis=1) != mask(), 0.5, 0.0).astype(np.float32)
            disagreement_file(folder, case).parent.mkdir(exist_ok=True)
            volume.write_channels(disagreement_file(folder, case), against[None], GEOMETRY)
    if qualities is not None:
        reasons = ("views disagree on whole (0.40)",)
        found = [
            CaseQuality(case, value, {}, reasons[: value < 0.5], DiceEstimate(value, value - 0.1, value + 0.05, 12))
            for case, value in qualities.items()
        ]
        write_quality(folder, found)
    disk.write_json(folder / "labels.json", LABELS.as_dict())
    folders.sign(folder, "predict", {}, source=source, cases=sorted(cases), run={"name": "secret-run"})
    return folder


def _transformed(folder: Path, case: str) -> None:
    folder.mkdir(exist_ok=True)
    moved = np.roll(mask(), 2, axis=0)
    scan = np.stack([100 * (moved > 0) + 7, 200 * (moved > 0) + 7]).astype(np.uint8)
    volume.write_channels(folder / f"{case}_transformed_scan.nii.gz", scan, GEOMETRY)
    volume.write_label(folder / f"{case}_predicted_transform.nii.gz", moved, GEOMETRY)
    volume.write_label(folder / f"{case}_transformed_prediction.nii.gz", np.roll(moved, 1, axis=1), GEOMETRY)
