"""A raw folder that is no longer what a prepared folder was made from."""

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from equireg.preparation.prepare import prepare
from equireg.preparation.staleness import tell_stale


def write(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    voxels = np.random.default_rng(seed).integers(0, 2, (6, 5, 4)).astype(np.uint8)
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), path)


def test_cases_that_are_others_than_were_prepared_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    raw, out = tmp_path / "raw", tmp_path / "out"
    for seed, name in enumerate("abcd"):
        write(raw / "images" / f"{name}.nii.gz", seed)
        write(raw / "labels" / f"{name}.nii.gz", 9)
    prepare(raw, out, jobs=1)

    def told() -> str:
        caplog.clear()
        tell_stale(raw, out, {"jobs": 1})
        return caplog.text

    for path in raw.rglob("*.gz"):
        path.touch()
    assert told() == ""
    write(raw / "images" / "a.nii.gz", 8)
    write(raw / "labels" / "b.nii.gz", 8)
    (raw / "images" / "c.nii.gz").rename(raw / "images" / "e.nii.gz")
    assert "prepared from it: a (scan), b (mask), e (new), c (gone). What" in told()
    (out / "raw.json").unlink()  # as earlier versions leave it
    assert told() == ""
    shutil.rmtree(raw)
    assert told() == ""
