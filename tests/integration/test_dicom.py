"""A folder of DICOM through the verbs, without a step before; and nothing that names the patient in what they write."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from dicom_series import BORN, HOSPITAL, NAME, PATIENT, Phantom, phantom, segmentation, slices, uid, write
from equireg.folders.prepared import PreparedSet
from equireg.imaging.volume import read_geometry, read_label
from planted_names import found_in

SHAPE = (24, 24, 6)
WORDS = (NAME, NAME.split("^")[0], PATIENT, BORN, HOSPITAL, "ACC-PLANTED", "IM0001", "PLANTED")


def put_patient(root: Path, number: int, *, masked: bool) -> Phantom:
    """Write a scan with a bright block, in a folder named after the patient."""
    rng = np.random.default_rng(number)
    stored = rng.integers(0, 200, SHAPE).astype(np.int16)
    mask = np.zeros(SHAPE, np.uint8)
    mask[6 : 14 + number, 8:16, 1:5] = 1
    stored[mask == 1] += 800
    one = phantom(patient=f"{PATIENT}-{number}", study=f"study {number}", description=f"Abdomen {NAME}")
    one.stored = stored
    home = root / f"{NAME}-{number}" / "study"
    files = slices(one)
    write(home, files)
    if masked:
        write(home / "seg", [segmentation(files, mask, ["bright block"])])
    return one


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("dicom") / f"{PATIENT} {NAME}"
    for number in range(4):
        put_patient(root, number, masked=number < 3)
    broken = slices(phantom(patient=f"{PATIENT}-9", study="study 9"))
    write(root / f"{NAME}-9", [*broken[:2], *broken[3:]])
    (root / f"{NAME}-unreadable.dcm").write_bytes(b"no DICOM at all")
    return root


@pytest.mark.slow
def test_dicom_goes_through_all_verbs_and_tells_no_name(raw: Path, tmp_path: Path, equireg: Callable[..., Any]) -> None:
    prepared, run, out = tmp_path / "prepared", tmp_path / "run", tmp_path / "predicted"
    dry = equireg("prepare", raw, "--out", prepared, "--dry_run")
    assert dry.code == 0, dry.err
    assert "1 slice is missing" in dry.err
    assert not prepared.exists()
    assert equireg("prepare", raw, "--out", prepared, "--jobs", 1, "--val_fraction", 0.34).code == 0
    data = PreparedSet(prepared)
    assert [case.labelled for case in data.manifest.cases].count(True) == 3
    assert data.manifest.labels.names == ("background", "bright block")
    refused = {item["case"]: item["reason"] for item in data.manifest.refused}
    assert len(refused) == 2
    assert any("slice is missing" in reason for reason in refused.values())
    small = ["--max_steps", 2, "--batch_size", 1, "--unsup_ratio", 1, "--network.features", 4, "--device", "cpu"]
    trained = equireg("train", prepared, "--out", run, *small)
    assert trained.code == 0, trained.err
    predicted = equireg("predict", run, raw, "--out", out, "--device", "cpu")
    assert predicted.code == 1, predicted.err  # two cannot be predicted, and are named
    names = {case.name for case in data.manifest.cases}
    assert {path.name.removesuffix(".nii.gz") for path in out.glob("*.nii.gz")} == names
    for name in names:
        assert read_geometry(out / f"{name}.nii.gz")[0].shape == SHAPE
    judged = tmp_path / "judged"
    assert equireg("evaluate", out, raw, "--out", judged, "--jobs", 1).code == 0
    assert json.loads((judged / "summary.json").read_text())["cases"] == 3
    assert any("slice is missing" in line for line in predicted.err.splitlines())
    page = tmp_path / "page"
    assert equireg("report", run, judged, "--out", page).code == 0
    view = tmp_path / "view"
    assert equireg("view", out, "--case", min(names), "--scans", raw, "--out", view).code == 0
    suggested = tmp_path / "suggested"
    assert equireg("suggest", prepared, "--count", 1, "--scans", raw, "--out", suggested).code == 0
    (scan,) = (suggested / "scans").iterdir()
    assert read_geometry(scan)[0].shape == SHAPE
    uids = tuple(uid(f"{PATIENT}-{number}", f"study {number}") for number in range(4))
    for_archive = {path.name.removesuffix(".dcm") for path in (out / "dicom").iterdir()}
    assert for_archive == names
    shutil.rmtree(out / "dicom")  # segmentations for the archive, which name the patient as the standard wants it
    told = {folder.name: found_in(folder, (*WORDS, *uids)) for folder in tmp_path.iterdir()}
    assert {name: found for name, found in told.items() if found} == {}


def test_the_search_finds_names_that_are_kept(raw: Path, tmp_path: Path, equireg: Callable[..., Any]) -> None:
    prepared = tmp_path / "prepared"
    assert equireg("prepare", raw, "--out", prepared, "--jobs", 1, "--keep_names", "true").code == 0
    assert any(PATIENT in found for found in found_in(prepared, WORDS))


def test_masks_are_the_native_ones_and_nothing_names_a_patient(
    raw: Path, tmp_path: Path, equireg: Callable[..., Any]
) -> None:
    prepared = tmp_path / "prepared"
    outcome = equireg("prepare", raw, "--out", prepared, "--jobs", 1)
    assert outcome.code == 0
    assert f"{NAME}-unreadable.dcm: does not begin as DICOM does" in outcome.err  # the user sees the file
    assert found_in(prepared, WORDS) == []
    data = PreparedSet(prepared)
    assert data.manifest.dataset == "data"
    sizes = []
    for case in data.manifest.cases:
        reference = data.reference(case.name)
        if reference is not None:
            sizes.append(int(np.count_nonzero(read_label(reference, read_geometry(reference)[0]))))
    assert sorted(sizes) == [8 * 8 * 4, 9 * 8 * 4, 10 * 8 * 4]


def test_the_server_takes_a_series(raw: Path, tmp_path: Path, equireg: Callable[..., Any]) -> None:
    pytest.importorskip("fastapi", reason="the extra serve is not installed")
    from equireg.config import ServeConfig
    from equireg.errors import EquiregError
    from equireg.serving.segmenting import Segmenter
    from equireg.serving.uploads import Sent, Uploads

    prepared, run = tmp_path / "prepared", tmp_path / "run"
    assert equireg("prepare", raw, "--out", prepared, "--jobs", 1, "--val_fraction", 0.34).code == 0
    small = ["--max_steps", 1, "--batch_size", 1, "--unsup_ratio", 1, "--network.features", 4, "--device", "cpu"]
    assert equireg("train", prepared, "--out", run, "--method", "supervised", *small).code == 0
    segmenter = Segmenter(run, ServeConfig(device="cpu", precision="32", test_time="none"))
    uploads = Uploads(tmp_path / "sent")
    files = sorted((raw / f"{NAME}-1" / "study").glob("*"))
    sent = [Sent(path.name, io.BytesIO(path.read_bytes())) for path in files if path.is_file()]
    upload = uploads.find(uploads.add_session(sent))
    assert upload is not None
    assert not any(NAME in path.name for path in upload.path.iterdir())
    (tmp_path / "drawn").mkdir()
    drawn = segmenter.draw(segmenter.of_file("series", upload.path), tmp_path / "drawn", archive=True)
    assert drawn.archive is not None
    found = pydicom.dcmread(drawn.archive)
    assert (found.Modality, found.SegmentSequence[0].SegmentLabel) == ("SEG", "bright block")
    prepared_case = next(iter(segmenter.of_prepared(PreparedSet(prepared)).values()))
    with pytest.raises(EquiregError, match="needs a scan that came as a DICOM series"):
        segmenter.draw(prepared_case, tmp_path / "other", archive=True)
    with pytest.raises(EquiregError, match="expected DICOM, or one of"):
        uploads.add_session([Sent("a", io.BytesIO(b"no image"))])


def test_the_server_gives_a_scan_as_one_file(raw: Path, tmp_path: Path, equireg: Callable[..., Any]) -> None:
    from equireg.config import ServeConfig
    from equireg.serving.desk import Desk

    prepared = tmp_path / "prepared"
    assert equireg("prepare", raw, "--out", prepared, "--jobs", 1).code == 0
    desk = Desk(tmp_path / "loop", ServeConfig(prepared=str(prepared), scans=str(raw)))
    case = PreparedSet(prepared).manifest.cases[0].name
    path = desk.image_file(case)
    assert path.name == f"{case}.nii.gz"
    assert read_geometry(path)[0].shape == SHAPE
    desk.close()
