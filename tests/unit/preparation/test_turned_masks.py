"""`prepare` with masks and channels along other axes than their scan, and with rounded headers."""

import logging
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from equireg.folders.prepared import PreparedSet
from equireg.imaging import alignment
from equireg.preparation.prepare import prepare
from prepared_sets import whole
from turned_files import store_along

SHAPE = (10, 9, 8)
AFFINE = np.diag([-1.0, -1.0, 2.0, 1.0])
ORIENTATIONS = ("RAS", "SAR", "PIR")
NAMES = ("p1", "p2", "p3", "p4")


@pytest.fixture(autouse=True)
def _tell_again() -> Iterator[None]:
    alignment._told.clear()
    yield
    alignment._told.clear()


def write(path: Path, voxels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, AFFINE), path)
    return path


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Four cases with masks, all along the same axes."""
    rng = np.random.default_rng(0)
    for name in NAMES:
        for channel in ("t1", "flair"):
            write(tmp_path / f"raw/images/{name}_{channel}.nii.gz", rng.normal(size=SHAPE).astype(np.float32))
        write(tmp_path / f"raw/labels/{name}.nii.gz", rng.integers(0, 3, SHAPE).astype(np.uint8))
    return tmp_path / "raw"


def arrays(out: Path) -> dict[str, tuple[bytes, bytes, bytes]]:
    data = PreparedSet(out)
    return {
        case.name: (
            whole(data.image(case.name)).tobytes(),
            whole(data.label(case.name)).tobytes(),
            (out / f"cases/{case.name}/reference.nii.gz").read_bytes(),
        )
        for case in data.manifest.cases
    }


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_turned_masks_and_channels_make_the_same_arrays(raw, tmp_path, caplog, jobs):
    prepare(raw, tmp_path / "plain", jobs=jobs)
    assert "other axes" not in caplog.text
    for name, codes in zip(NAMES[1:], ORIENTATIONS, strict=True):
        store_along(raw / f"labels/{name}.nii.gz", codes)
    store_along(raw / "images/p4_flair.nii.gz", "IPL")
    with caplog.at_level(logging.INFO, "equireg"):
        assert prepare(raw, tmp_path / "turned", jobs=jobs).refused == ()
    assert arrays(tmp_path / "turned") == arrays(tmp_path / "plain")
    (line,) = (text for text in caplog.messages if "other axes" in text)
    assert "labels/p2.nii.gz: is stored along other axes (RAS) than its scan (LPS)" in line
    assert "The same holds of 3 more files, such as" in line


def test_rounded_headers_are_one_warning_and_others_are_refused(raw, tmp_path, caplog):
    prepare(raw, tmp_path / "plain", jobs=1)
    for name, mm in (("p1", 0.1), ("p2", 0.2), ("p3", 0.3)):
        store_along(raw / f"labels/{name}.nii.gz", "LPS", mm)
    store_along(raw / "images/p4_flair.nii.gz", "LPS", 0.05)
    caplog.clear()
    made = prepare(raw, tmp_path / "rounded", jobs=1)
    (refusal,) = made.refused
    assert refusal["case"] == "p3"
    assert "lie up to 0.3 mm apart; expected less than 0.25 mm, a quarter of a voxel" in refusal["reason"]
    found, expected = arrays(tmp_path / "rounded"), arrays(tmp_path / "plain")
    assert found == {name: expected[name] for name in ("p1", "p2", "p4")}
    (record,) = (one for one in caplog.records if "less than a quarter" in one.getMessage())
    assert record.levelname == "WARNING"
    assert "labels/p2.nii.gz: lies up to 0.2 mm beside its scan" in record.getMessage()
    assert "by at most that distance, of 2 more files" in record.getMessage()


def test_a_dry_run_says_it_too(raw, caplog):
    store_along(raw / "labels/p2.nii.gz", "RAS")
    with caplog.at_level(logging.INFO, "equireg"):
        prepare(raw, raw.parent / "out", dry_run=True)
    assert "labels/p2.nii.gz: is stored along other axes (RAS) than its scan (LPS)" in caplog.text


def test_masks_of_a_class_each_are_turned(tmp_path, caplog):
    rng = np.random.default_rng(1)
    for name in ("s0001", "s0002"):
        write(tmp_path / "raw" / name / "ct.nii.gz", rng.normal(size=SHAPE).astype(np.float32))
        for organ in ("liver", "spleen"):
            write(tmp_path / "raw" / name / f"segmentations/{organ}.nii.gz", rng.integers(0, 2, SHAPE).astype(np.uint8))
    prepare(tmp_path / "raw", tmp_path / "plain", jobs=1)
    store_along(tmp_path / "raw/s0001/segmentations/liver.nii.gz", "RAS")
    store_along(tmp_path / "raw/s0001/segmentations/spleen.nii.gz", "ASR")
    with caplog.at_level(logging.INFO, "equireg"):
        prepare(tmp_path / "raw", tmp_path / "turned", jobs=1)
    assert arrays(tmp_path / "turned") == arrays(tmp_path / "plain")
    (line,) = (text for text in caplog.messages if "other axes" in text)
    assert "raw/s0001/segmentations: is stored along other axes (RAS) than its scan (LPS)" in line
    assert "more files" not in line
