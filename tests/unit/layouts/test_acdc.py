"""ACDC as downloaded."""

import pytest

from equireg.errors import EquiregError
from equireg.layouts import discover
from layout_folders import labelled, names, put


def patient(root, name, *, masks=True, series=True, wrap=False):
    for frame in ("01", "12"):
        stem = f"{name}_frame{frame}"
        put(root / name, f"{stem}.nii/{stem}.nii" if wrap else f"{stem}.nii.gz")
        if masks:
            put(root / name, f"{stem}_gt.nii/{stem}_gt.nii" if wrap else f"{stem}_gt.nii.gz")
    if series:
        put(root / name, f"{name}_4d.nii.gz", channels=5)
    (root / name / "Info.cfg").write_text("ED: 1\nES: 12\n")


@pytest.mark.parametrize("inner", ["", "training", "ACDC/database/training"])
@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("series", [False, True])
def test_frames_are_cases_and_the_series_is_left_aside(tmp_path, inner, wrap, series):
    for index in range(1, 4):
        patient(tmp_path / inner, f"patient{index:03d}", wrap=wrap, series=series)
    dataset = discover(tmp_path)
    assert (dataset.layout, dataset.channels, dataset.modality) == ("acdc", ("MRI",), "mri")
    assert labelled(dataset) == [f"patient{index:03d}_frame{frame}" for index in range(1, 4) for frame in ("01", "12")]
    assert {case.patient for case in dataset.cases} == {"patient001", "patient002", "patient003"}
    assert dataset.refused == ()
    assert any("3 series" in note for note in dataset.notes) == series
    assert dataset.labels is not None
    assert dataset.labels.names == ("background", "right ventricle", "myocardium", "left ventricle")


def test_the_testing_folder_is_held_out(tmp_path):
    patient(tmp_path / "training", "patient001")
    patient(tmp_path / "testing", "patient101", masks=False)
    assert [(case.patient, case.held_out) for case in discover(tmp_path).cases][::2] == [
        ("patient001", False),
        ("patient101", True),
    ]


def test_a_mask_without_its_frame_is_reported(tmp_path):
    patient(tmp_path, "patient001")
    (tmp_path / "patient001/patient001_frame12.nii.gz").unlink()
    dataset = discover(tmp_path)
    assert names(dataset) == ["patient001_frame01"]
    assert "patient001_frame12_gt" in dataset.refused[0].reason


def test_frames_in_images_and_labels_are_no_acdc_download(tmp_path):
    put(tmp_path, *(f"{kind}/patient001_frame{i}.nii.gz" for kind in ("images", "labels") for i in (1, 2)))
    assert discover(tmp_path).layout == "plain"


def test_series_alone_are_no_channels(tmp_path):
    put(tmp_path, "patient101/patient101_4d.nii.gz", channels=5)
    with pytest.raises(EquiregError, match="series of all frames"):
        discover(tmp_path)


def test_the_folder_of_one_patient(tmp_path):
    patient(tmp_path, "patient101", masks=False)
    dataset = discover(tmp_path / "patient101")
    assert (dataset.layout, names(dataset)) == ("acdc", ["patient101_frame01", "patient101_frame12"])
    assert {case.patient for case in dataset.cases} == {"patient101"}
