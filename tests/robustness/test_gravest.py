"""The gravest of what an attack once found, each rebuilt as it was."""

import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from equireg.folders.prepared import PreparedSet
from made_folders import in_run
from mutations import flipped_bit
from scans import MASK, VOXELS, nifti

Command = Callable[..., Any]
PLAIN = ("--test_time", "none", "--device", "cpu", "--precision", "32")


def raw_folder(root: Path, names: dict[str, str]) -> Path:
    """Write an nnU-Net folder with an explicit list: the name of each case in the list to that of its files."""
    for part in ("imagesTr", "labelsTr"):
        (root / part).mkdir(parents=True)
    listed = {}
    for name, file in names.items():
        images = [f"imagesTr/{file}_000{channel}.nii" for channel in (0, 1)]
        for image in images:
            (root / image).write_bytes(nifti())
        (root / f"labelsTr/{file}.nii").write_bytes(nifti(MASK))
        listed[name] = {"images": images, "label": f"labelsTr/{file}.nii"}
    content = {
        "channel_names": {"0": "t1", "1": "t2"},
        "labels": {"background": 0, "tumour": 1},
        "numTraining": len(listed),
        "file_ending": ".nii",
        "dataset": listed,
    }
    (root / "dataset.json").write_text(json.dumps(content))
    return root


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """Return a folder with a patient's scan in it, beside all others."""
    (tmp_path / "victim").mkdir()
    (tmp_path / "victim" / "scan.nii.gz").write_bytes(b"a patient's scan")
    return tmp_path / "victim"


def hostile_names(victim: Path) -> list[str]:
    return [
        str(victim),
        "../../victim",
        "../victim",
        str(victim / "scan"),
        "siteA/c1",
        ".",
        "..",
        "",
        "a\\b",
        "n" * 240,
    ]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_prepare_touches_nothing_outside_of_its_folder(equireg: Command, tmp_path: Path, victim: Path) -> None:
    names = {name: f"f{place}" for place, name in enumerate(["a", "b", "c", *hostile_names(victim)])}
    raw, before = raw_folder(tmp_path / "raw", names), contents(victim)
    outcome = equireg("prepare", raw, "--out", tmp_path / "deep" / "out", "--jobs", 1)
    assert outcome.code == 0, outcome.err
    assert contents(victim) == before
    assert {path.name for path in tmp_path.iterdir()} == {"raw", "victim", "deep"}
    data = PreparedSet(tmp_path / "deep" / "out")
    data.verify()
    assert {"a", "b", "c"} <= set(data.by_name)
    assert all(data.folder(name).parent == data.root / "cases" for name in data.by_name)
    assert len(data.manifest.refused) + len(data.by_name) == len(names)


def test_predict_touches_nothing_outside_of_its_folder(equireg: Command, tmp_path: Path, victim: Path) -> None:
    run = in_run("made_by.json", flipped_bit, lambda root: None).make(tmp_path).path.parent
    names = {name: f"f{place}" for place, name in enumerate(["a", "b", *hostile_names(victim)])}
    raw, before = raw_folder(tmp_path / "raw", names), contents(victim)
    outcome = equireg("predict", run, raw, "--out", tmp_path / "deep" / "out", "--portal_zip", "true", *PLAIN)
    assert outcome.code == 1
    assert "Rename" in outcome.error
    assert contents(victim) == before
    assert {path.name for path in tmp_path.iterdir()} == {"raw", "run", "victim", "deep"}
    packed = zipfile.ZipFile(tmp_path / "deep" / "out" / "portal.zip").namelist()
    assert {"a.nii.gz", "b.nii.gz"} <= set(packed)
    assert not any("/" in name or "\\" in name for name in packed)


def test_a_scan_that_is_listed_and_missing_is_named_by_predict(equireg: Command, tmp_path: Path) -> None:
    run = in_run("made_by.json", flipped_bit, lambda root: None).make(tmp_path).path.parent
    raw = raw_folder(tmp_path / "raw", {"a": "a", "b": "b"})
    (raw / "imagesTr" / "b_0001.nii").unlink()
    outcome = equireg("predict", run, raw, "--out", tmp_path / "out", *PLAIN)
    assert outcome.code == 1
    assert f"{raw / 'imagesTr' / 'b_0001.nii'}: no such file" in outcome.error
    assert (tmp_path / "out" / "a.nii.gz").is_file()


def with_offset(value: float) -> bytes:
    """Return a scan whose header says that its voxels begin elsewhere."""
    content = bytearray(nifti())
    content[108:112] = struct.pack("<f", value)
    return bytes(content)


def coarse(mm: float) -> bytes:
    return nib.Nifti1Image(VOXELS.repeat(6, 0).repeat(6, 1), np.diag([mm, mm, mm, 1.0])).to_bytes()


BAD_SCANS = {
    "inf": with_offset(float("inf")),
    "nan": with_offset(float("nan")),
    "huge": coarse(1e6),
    "tiny": coarse(1e-4),
    "coarse": coarse(50.0),  # allowed by itself, but ten million times as many voxels as the others
}


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_absurd_headers_cost_prepare_their_own_case_alone(equireg: Command, tmp_path: Path, jobs: int) -> None:
    raw = raw_folder(tmp_path / "raw", {name: name for name in ("a", "b", "c", "d", "e", "f", "g", *BAD_SCANS)})
    for name, content in BAD_SCANS.items():
        for channel in (0, 1):
            (raw / "imagesTr" / f"{name}_000{channel}.nii").write_bytes(content)
        (raw / "labelsTr" / f"{name}.nii").unlink()
    content = json.loads((raw / "dataset.json").read_text())
    for name in BAD_SCANS:
        del content["dataset"][name]["label"]
    (raw / "dataset.json").write_text(json.dumps(content))
    outcome = equireg("prepare", raw, "--out", tmp_path / "out", "--jobs", jobs, "--spacing", "0.5,0.5,0.5")
    assert outcome.code == 0, outcome.err
    data = PreparedSet(tmp_path / "out")
    assert set(data.by_name) == set("abcdefg")
    assert {item["case"] for item in data.manifest.refused} == set(BAD_SCANS)
    assert "worker" not in outcome.err, outcome.err
    assert "unexpected" not in outcome.err
