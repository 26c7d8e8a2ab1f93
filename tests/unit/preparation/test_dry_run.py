"""`prepare` with --dry_run, --patients and --follow_links, and masks of a class each."""

import json
import logging
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from equireg.cli.reading import read
from equireg.cli.verbs import VERBS
from equireg.errors import EquiregError, UsageError
from equireg.folders import sign
from equireg.folders.prepared import PreparedSet
from equireg.preparation.prepare import prepare
from prepared_sets import whole


def write(path: Path, seed: int, *, mask: bool = False) -> None:
    rng = np.random.default_rng(seed)
    voxels = rng.integers(0, 2, (6, 5, 4)).astype(np.uint8) if mask else rng.normal(size=(6, 5, 4)).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), path)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """Two scans of each of four patients, with masks."""
    for name in (f"p{patient}{scan}" for patient in range(4) for scan in "xy"):
        write(tmp_path / "raw/images" / f"{name}.nii.gz", 0)
        write(tmp_path / "raw/labels" / f"{name}.nii.gz", 1, mask=True)
    return tmp_path / "raw"


def test_a_dry_run_says_what_it_found_and_writes_nothing(raw: Path, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("equireg").propagate = True
    before = sorted(raw.parent.rglob("*"))
    (raw / "images/p0x.nii.gz").write_bytes(b"junk")
    with caplog.at_level(logging.INFO, "equireg"):
        manifest = prepare(raw, raw.parent / "out", dry_run=True)
    assert sorted(raw.parent.rglob("*")) == before
    assert [item["case"] for item in manifest.refused] == ["p0x"]
    assert "8 cases with the channel image such as images/p0x.nii.gz; masks of 8" in caplog.text
    assert "patients: 8, one a case" in caplog.text
    assert "7 cases can be prepared" in caplog.text


def test_a_dry_run_needs_no_out(raw: Path) -> None:
    before = sorted(raw.parent.rglob("*"))
    prepare(**read("prepare", VERBS["prepare"], [str(raw), "--dry_run"]))
    assert sorted(raw.parent.rglob("*")) == before
    with pytest.raises(UsageError, match=r"--out is missing; expected the prepared folder, or --dry_run"):
        prepare(**read("prepare", VERBS["prepare"], [str(raw)]))


def test_a_dry_run_without_a_usable_case_fails(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw/a.nii.gz").write_bytes(b"junk")
    with pytest.raises(EquiregError, match="no usable case"):
        prepare(tmp_path / "raw", tmp_path / "out", dry_run=True)


@pytest.mark.parametrize("verb", ["prepare", "predict"])
def test_the_output_of_a_verb_is_no_raw_folder(raw: Path, tmp_path: Path, verb: str) -> None:
    sign(raw, verb, {})
    with pytest.raises(EquiregError, match=f"raw: was made by `equireg {verb}`; expected raw scans"):
        prepare(raw, tmp_path / "out", dry_run=True)


def test_patients_that_the_user_names_stay_together(raw: Path, tmp_path: Path) -> None:
    manifest = prepare(raw, tmp_path / "out", patients=r"(p\d)", val_fraction=0.5, jobs=1)
    splits = {case.patient: set() for case in manifest.cases}
    for case in manifest.cases:
        splits[case.patient].add(case.split)
    assert sorted(splits) == ["p0", "p1", "p2", "p3"]
    assert all(len(several) == 1 for several in splits.values())


def test_links_out_of_the_folder_need_a_word(raw: Path, tmp_path: Path) -> None:
    write(tmp_path / "elsewhere.nii.gz", 2)
    (raw / "images/link.nii.gz").symlink_to(tmp_path / "elsewhere.nii.gz")
    refused = prepare(raw, tmp_path / "out", dry_run=True).refused
    assert [item["case"] for item in refused] == ["link"]
    assert prepare(raw, tmp_path / "out", dry_run=True, follow_links=True).refused == ()


def test_a_split_may_name_a_refused_case(raw: Path, tmp_path: Path) -> None:
    write(tmp_path / "elsewhere.nii.gz", 2)
    (raw / "images/link.nii.gz").symlink_to(tmp_path / "elsewhere.nii.gz")
    (tmp_path / "split.json").write_text(json.dumps({"val": ["link"]}))
    manifest = prepare(raw, tmp_path / "out", split=str(tmp_path / "split.json"), jobs=1)
    assert [item["case"] for item in manifest.refused] == ["link"]
    assert {case.split for case in manifest.cases} == {"train"}


def test_why_every_case_is_refused_comes_before_the_split(raw: Path, tmp_path: Path) -> None:
    for scan in (raw / "images").iterdir():
        scan.rename(tmp_path / scan.name)
        scan.symlink_to(tmp_path / scan.name)
    (tmp_path / "split.json").write_text(json.dumps({"val": ["nobody"]}))
    with pytest.raises(EquiregError, match=r"no usable case remains of .*--follow_links true"):
        prepare(raw, tmp_path / "out", split=str(tmp_path / "split.json"), jobs=1)


def test_a_mask_a_class_becomes_one_mask_and_a_changed_one_is_read_again(tmp_path: Path) -> None:
    for case in ("c1", "c2"):
        write(tmp_path / f"raw/{case}/ct.nii.gz", 0)
        for index, organ in enumerate(("liver", "spleen")):
            write(tmp_path / f"raw/{case}/segmentations/{organ}.nii.gz", index, mask=True)
    manifest = prepare(tmp_path / "raw", tmp_path / "out", spacing="none", jobs=1)
    assert manifest.labels.names == ("background", "liver", "spleen")
    first = whole(PreparedSet(tmp_path / "out").label("c1"))
    assert set(np.unique(first)) == {0, 1, 2}
    write(tmp_path / "raw/c1/segmentations/spleen.nii.gz", 7, mask=True)
    prepare(tmp_path / "raw", tmp_path / "out", spacing="none", jobs=1)
    assert not np.array_equal(first, whole(PreparedSet(tmp_path / "out").label("c1")))
