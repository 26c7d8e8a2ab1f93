"""Decathlon folders."""

import pytest

from equireg.errors import EquiregError
from equireg.layouts import discover
from layout_folders import decathlon, files, labelled, masks, names, put


def test_decathlon(tmp_path):
    dataset = discover(decathlon(tmp_path))
    assert (dataset.layout, dataset.channels, dataset.modality) == ("decathlon", ("FLAIR", "T1w"), "mri")
    assert names(dataset) == ["a", "b", "c", "extra", "z"]
    assert labelled(dataset) == ["a"]
    assert [case.name for case in dataset.cases if case.held_out] == ["z"]
    assert files(dataset, "a") == ["imagesTr/a.nii.gz"]
    assert dataset.labels is not None
    assert dataset.labels.values == (0, 1, 2)
    assert dataset.labels.names == ("background", "tumour", "oedema")
    assert dataset.refused == ()


def test_a_validation_list_is_held_out(tmp_path):
    put(tmp_path, "imagesVa/v1.nii.gz", "imagesVa/v2.nii.gz", "labelsVa/v1.nii.gz", "labelsVa/v2.nii.gz")
    listed = [{"image": f"./imagesVa/v{i}.nii.gz", "label": f"./labelsVa/v{i}.nii.gz"} for i in (1, 2)]
    dataset = discover(decathlon(tmp_path, validation=listed, modality={"0": "CT", "1": "X"}))
    assert [case.name for case in dataset.cases if case.held_out] == ["v1", "v2", "z"]
    assert labelled(dataset) == ["a", "v1", "v2"]
    assert dataset.refused == ()


def test_validation_scans_that_no_list_names_have_their_masks(tmp_path):
    put(decathlon(tmp_path), "imagesVa/v1.nii.gz", "labelsVa/v1.nii.gz")
    case = next(case for case in discover(tmp_path).cases if case.name == "v1")
    assert case.held_out
    assert case.label == tmp_path / "labelsVa/v1.nii.gz"


def test_decathlon_lists_a_scan_that_is_not_there(tmp_path):
    entry = {"image": "./imagesTr/gone.nii.gz", "label": "./labelsTr/a.nii.gz"}
    dataset = discover(decathlon(tmp_path, training=[entry]))
    assert [refusal.case for refusal in dataset.refused] == ["gone"]
    assert dataset.refused[0].reason.startswith(str(tmp_path / "imagesTr/gone.nii.gz"))


@pytest.mark.parametrize(
    "scan", [".\\imagesTr\\b.nii.gz", "/data/Task9/imagesTr/b.nii.gz", "D:\\x\\imagesTr\\b.nii.gz", "imagesTr/b.nii"]
)
def test_a_listed_file_is_found_where_it_is_meant(tmp_path, scan):
    entry = {"image": scan, "label": scan.replace("imagesTr", "labelsTr").replace("b.", "a.")}
    dataset = discover(decathlon(tmp_path, training=[entry]))
    assert not dataset.refused
    assert masks(dataset)["b"] == "labelsTr/a.nii.gz"


def test_listed_masks_that_are_not_there_are_told(tmp_path):
    assert any(
        "1 masks that are not there" in note and "b.nii.gz" in note for note in discover(decathlon(tmp_path)).notes
    )


def test_a_description_below_the_folder_is_told(tmp_path):
    decathlon(tmp_path / "Task09")
    assert any("dataset.json was not read" in line and "Task09 itself" in line for line in discover(tmp_path).warnings)
    assert not discover(tmp_path / "Task09").warnings


def test_decathlon_test_scans_that_were_never_fetched(tmp_path):
    dataset = discover(decathlon(tmp_path, test=["./elsewhere/y.nii.gz"]))
    assert dataset.refused == ()


def test_decathlon_mask_without_scan(tmp_path):
    put(decathlon(tmp_path), "labelsTr/orphan.nii.gz")
    (refusal,) = discover(tmp_path).refused
    assert refusal.reason.startswith(str(tmp_path / "labelsTr/orphan.nii.gz"))


@pytest.mark.parametrize(("names_", "modality"), [({"0": "CT"}, "ct"), ({"0": "ADC"}, "mri"), ({"0": "PET"}, "other")])
def test_modality_by_channel(tmp_path, names_, modality):
    assert discover(decathlon(tmp_path, modality=names_)).modality == modality


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"modality": {"1": "T1"}}, "channels"),
        ({"labels": {"one": "tumour"}}, "labels"),
        ({"labels": ["tumour"]}, "labels"),
        ({"training": [7]}, "the file 7"),
        ({"training": {"a": 1}}, "training"),
    ],
)
def test_damaged_dataset_json(tmp_path, change, word):
    with pytest.raises(EquiregError, match=word) as caught:
        discover(decathlon(tmp_path, **change))
    assert str(caught.value).startswith(str(tmp_path / "dataset.json"))


def test_dataset_json_that_is_no_json(tmp_path):
    (decathlon(tmp_path) / "dataset.json").write_text('{"modality": ')
    with pytest.raises(EquiregError, match=r"dataset\.json: is not valid JSON"):
        discover(tmp_path)
