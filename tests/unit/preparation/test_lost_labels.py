"""What training does not see of a mask is told."""

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from equireg.annotation.adopt import adopt
from equireg.imaging.grid import WorkingGrid
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import Geometry
from equireg.preparation import lost_labels
from equireg.preparation.prepare import prepare

LABELS = LabelTable((0, 1, 2), ("background", "liver", "vessel"))
NATIVE = Geometry.from_array((10, 10, 10), np.eye(4))
SAME = WorkingGrid.plan(NATIVE, None, "z", ((0, 10), (1, 9), (1, 9)))
FLAT = Geometry.from_array((10, 10, 12), np.diag([4.0, 1.0, 1.0, 1.0]))
TURNED = WorkingGrid.plan(FLAT, (1.0, 1.0, 4.0), "z")
COARSE = WorkingGrid.plan(NATIVE, (2.0, 2.0, 2.0), "z")


@pytest.mark.parametrize(
    ("grid", "native", "working", "words"),
    [
        (SAME, (900, 90, 10), (540, 90, 10), ""),
        (SAME, (900, 100, 0), (545, 95, 0), "5 of 100 voxels of its mask lie outside"),
        (SAME, (900, 90, 10), (550, 90, 0), "its mask shows 'vessel' in 10 voxels, of which cropping leaves none"),
        (COARSE, (900, 90, 10), (112, 11, 2), ""),
        (COARSE, (900, 90, 10), (113, 12, 0), "resampling to 2 x 2 x 2 mm leaves none"),
        (COARSE, (900, 90, 10), (121, 3, 1), "leave 32% of the volume of its mask"),
        (COARSE, (1000, 0, 0), (125, 0, 0), ""),
        (TURNED, (900, 90, 10), (900, 81, 9), ""),
        (TURNED, (900, 90, 10), (960, 39, 1), "resampling to 4 x 1 x 1 mm and cropping leave 40%"),
    ],
)
def test_what_is_lost(grid: WorkingGrid, native: tuple[int, ...], working: tuple[int, ...], words: str) -> None:
    found = lost_labels.notes(native, working, LABELS, grid)
    assert bool(found) == bool(words)
    assert words in " ".join(found)


def test_prepare_and_adopt_tell_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scan = np.zeros((12, 12, 6), dtype=np.float32)
    scan[2:10, 2:10] = np.random.default_rng(0).normal(100, 10, (8, 8, 6))
    right, wrong = np.zeros(scan.shape, dtype=np.uint8), np.zeros(scan.shape, dtype=np.uint8)
    right[4:7, 4:7, 2:4] = wrong[0:3, 4:7, 2:4] = 1
    for folder, name, voxels in (("images", "a", scan), ("images", "b", scan + (scan > 0)), ("labels", "a", wrong)):
        (tmp_path / "raw" / folder).mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(voxels, np.eye(4)), tmp_path / "raw" / folder / f"{name}.nii.gz")
    (case, other) = prepare(tmp_path / "raw", tmp_path / "p", jobs=1).cases
    assert "a: 12 of 18 voxels of its mask lie outside" in caplog.text
    assert (len(case.mask_notes), other.mask_notes, "mask_notes" in other.as_dict()) == (1, (), False)
    nib.save(nib.Nifti1Image(wrong, np.eye(4)), tmp_path / "b.nii.gz")
    caplog.clear()
    adopt(tmp_path / "p", tmp_path / "b.nii.gz")
    assert "b: 12 of 18 voxels" in caplog.text
    nib.save(nib.Nifti1Image(right, np.eye(4)), tmp_path / "b.nii.gz")
    caplog.clear()
    adopt(tmp_path / "p", tmp_path / "b.nii.gz")
    assert "voxels of its mask lie" not in caplog.text
