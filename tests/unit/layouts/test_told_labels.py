"""Names of labels that files beside masks say: where they are read, and what happens where they disagree."""

import json
from pathlib import Path

import pytest

from equireg import prepare
from equireg.imaging.labels import LabelTable
from equireg.layouts import discover
from layout_folders import describe, put, put_kind
from pictures_made_up import disc, photo, save

TABLE = LabelTable((0, 1, 2), ("background", "kidney_left", "kidney_right"))
NAMES = {"background": 0, "kidney_left": 1, "kidney_right": 2}
CALLED = {1: "kidney_left", 2: "kidney_right"}


def say(path: Path, table: LabelTable = TABLE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(table.as_dict()))


def plain_set(root: Path) -> Path:
    put(root, *(f"{kind}/c{i}.nii.gz" for kind in ("images", "labels") for i in range(2)))
    return root


@pytest.mark.parametrize("place", ["labels/labels.json", "labels/dataset.json", "dataset.json"])
@pytest.mark.parametrize("layout", ["plain", "pictures"])
def test_names_are_read_beside_the_masks(tmp_path: Path, place: str, layout: str) -> None:
    if layout == "plain":
        plain_set(tmp_path)
    else:
        save(tmp_path, "images/c0.png", photo(disc()))
        save(tmp_path, "labels/c0.png", disc())
    assert discover(tmp_path).label_names == {}
    (tmp_path / place).write_text(json.dumps(TABLE.as_dict() if place.endswith("labels.json") else {"labels": NAMES}))
    found = discover(tmp_path)
    assert (found.layout, found.labels, found.label_names, found.warnings) == (layout, None, CALLED, ())
    assert any(f"{tmp_path / place} says: kidney_left, kidney_right" in note for note in found.notes)


def test_named_sides_are_not_mirrored_and_other_values_stay(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    put_kind(raw, "images/a.nii.gz", "images/b.nii.gz")
    put_kind(raw, "labels/a.nii.gz", "labels/b.nii.gz", kind="mask")
    before = prepare(raw, tmp_path / "unnamed")
    assert "x" in before.flips
    say(raw / "labels/labels.json", LabelTable((0, 1, 9), ("background", "left", "of no mask")))
    manifest = prepare(raw, tmp_path / "named")
    assert manifest.labels.values == before.labels.values
    assert manifest.labels.names[1] == "left"
    assert "x" not in manifest.flips


@pytest.mark.parametrize("labels", [{"kidney": 1, "background": 0}, {"kidney": 1}])
def test_the_order_of_a_file_says_nothing(tmp_path: Path, labels: dict[str, int]) -> None:
    content = {"labels": labels, "regions": {}, "ignore": None}
    (plain_set(tmp_path) / "labels/labels.json").write_text(json.dumps(content))
    found = discover(tmp_path)
    assert (found.labels, found.label_names) == (None, {1: "kidney"})


def test_names_above_the_raw_folder_are_of_other_data(tmp_path: Path) -> None:
    put(tmp_path / "raw", "c0.nii.gz", "c0_seg.nii.gz")
    describe(tmp_path, labels=NAMES)
    assert discover(tmp_path / "raw").label_names == {}
    describe(tmp_path / "raw", labels=NAMES)
    assert discover(tmp_path / "raw").label_names == CALLED


def test_files_that_disagree_are_told_and_do_not_count(tmp_path: Path) -> None:
    say(plain_set(tmp_path) / "labels/labels.json")
    describe(tmp_path, labels=NAMES)
    assert discover(tmp_path).label_names == CALLED
    describe(tmp_path, labels={"background": 0, "kidney_left": 2, "kidney_right": 1})
    found = discover(tmp_path)
    assert found.label_names == {}
    assert any("dataset.json: calls the value 1 otherwise than" in line for line in found.warnings)


def test_labels_that_the_layout_declares_count_alone(tmp_path: Path) -> None:
    put(tmp_path, "imagesTr/c0_0000.nii.gz", "labelsTr/c0.nii.gz")
    describe(tmp_path, channel_names={"0": "T1"}, labels={"background": 0, "cyst": 1})
    say(tmp_path / "labelsTr/labels.json")
    found = discover(tmp_path)
    assert found.labels == LabelTable((0, 1), ("background", "cyst"))
    assert (found.label_names, found.warnings) == ({}, ())


@pytest.mark.parametrize("content", ['{"0": "background"}', "{", '{"labels": {"a.png": "x"}}'])
def test_files_of_other_programs_refuse_nothing(tmp_path: Path, content: str) -> None:
    (plain_set(tmp_path) / "labels/labels.json").write_text(content)
    found = discover(tmp_path)
    assert (len(found.cases), found.label_names) == (2, {})
    (line,) = found.warnings
    assert "its names of labels do not count" in line


def test_a_class_a_case_names_no_labels(tmp_path: Path) -> None:
    describe(plain_set(tmp_path), labels={"c0": 0, "c1": 1})
    assert discover(tmp_path).label_names == {}


def test_regions_beside_masks_are_told(tmp_path: Path) -> None:
    describe(plain_set(tmp_path), labels={"background": 0, "whole": [1, 2], "core": 2, "ignore": 3})
    assert any("its regions and its ignore label do not" in line for line in discover(tmp_path).warnings)


def test_a_description_among_masks_is_not_a_data_set_of_its_own(tmp_path: Path) -> None:
    describe(plain_set(tmp_path) / "labels", labels=NAMES, channel_names={"0": "T1"})
    (line,) = discover(tmp_path).warnings
    assert "not read but for the names of its labels" in line
    assert line.endswith(f"Move it to {tmp_path}.")
