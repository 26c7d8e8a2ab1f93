"""Labels that files beside masks say: where they are read, and what happens where they disagree."""

import json
from pathlib import Path

import numpy as np
import pytest

from equireg import prepare
from equireg.errors import EquiregError
from equireg.imaging.labels import LabelTable
from equireg.layouts import discover
from equireg.layouts.masks import labels_beside
from layout_folders import describe, put, put_kind
from pictures_made_up import disc, photo, save

TABLE = LabelTable((0, 1, 2), ("background", "kidney_left", "kidney_right"))
NAMES = {"background": 0, "kidney_left": 1, "kidney_right": 2}


def say(path: Path, table: LabelTable = TABLE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(table.as_dict()))


def plain_set(root: Path) -> Path:
    put(root, *(f"{kind}/c{i}.nii.gz" for kind in ("images", "labels") for i in range(2)))
    return root


@pytest.mark.parametrize("place", ["labels/labels.json", "labels/dataset.json", "dataset.json"])
@pytest.mark.parametrize("layout", ["plain", "pictures"])
def test_labels_are_read_where_adopt_and_evaluate_read_them(tmp_path: Path, place: str, layout: str) -> None:
    if layout == "plain":
        plain_set(tmp_path)
    else:
        save(tmp_path, "images/c0.png", photo(disc()))
        save(tmp_path, "labels/c0.png", disc())
    assert discover(tmp_path).labels is None
    (tmp_path / place).write_text(json.dumps(TABLE.as_dict() if place.endswith("labels.json") else {"labels": NAMES}))
    found = discover(tmp_path)
    assert (found.layout, found.labels, found.warnings) == (layout, TABLE, ())
    assert labels_beside(tmp_path / "labels") == TABLE
    assert any(f"{tmp_path / place} says: kidney_left, kidney_right" in note for note in found.notes)


def test_named_sides_are_not_mirrored(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    put_kind(raw, "images/a.nii.gz", "images/b.nii.gz")
    put_kind(raw, "labels/a.nii.gz", "labels/b.nii.gz", kind="mask")
    assert "x" in prepare(raw, tmp_path / "unnamed").flips
    say(raw / "labels/labels.json")
    manifest = prepare(raw, tmp_path / "named")
    assert (manifest.labels, "x" in manifest.flips) == (TABLE, False)


def test_labels_above_the_raw_folder_are_of_other_data(tmp_path: Path) -> None:
    put(tmp_path / "raw", "c0.nii.gz", "c0_seg.nii.gz")
    describe(tmp_path, labels=NAMES)
    assert discover(tmp_path / "raw").labels is None
    describe(tmp_path / "raw", labels=NAMES)
    assert discover(tmp_path / "raw").labels == TABLE


def test_two_files_that_say_other_labels_are_refused(tmp_path: Path) -> None:
    say(plain_set(tmp_path) / "labels/labels.json")
    describe(tmp_path, labels=NAMES)
    assert discover(tmp_path).labels == TABLE
    describe(tmp_path, labels={"background": 0, "kidney_left": 2, "kidney_right": 1})
    with pytest.raises(EquiregError, match=r"dataset\.json: says that 1 is kidney_right, and .*labels\.json .*_left"):
        discover(tmp_path)


def nnunet_set(root: Path, **labels: int) -> Path:
    put(root, "imagesTr/c0_0000.nii.gz", "labelsTr/c0.nii.gz")
    describe(root, channel_names={"0": "T1"}, labels={"background": 0, **labels})
    return root


def test_labels_that_the_layout_declares_count(tmp_path: Path) -> None:
    say(nnunet_set(tmp_path, kidney_left=1, kidney_right=2) / "labelsTr/labels.json")
    assert discover(tmp_path).warnings == ()
    nnunet_set(tmp_path, kidney_left=1, cyst=2)
    found = discover(tmp_path)
    assert found.labels is not None
    assert found.labels.names[2] == "cyst"
    (line,) = found.warnings
    assert "labels.json says that 2 is kidney_right; the layout nnunet says that 2 is cyst, which counts" in line
    nnunet_set(tmp_path, kidney_left=2, kidney_right=1)
    with pytest.raises(EquiregError, match=r"labels\.json: says kidney_left 1, not 2"):
        discover(tmp_path)


def test_a_damaged_file_and_one_in_another_place_are_told(tmp_path: Path) -> None:
    plain_set(tmp_path)
    (tmp_path / "labels/labels.json").write_text('{"0": "background"}')
    (line,) = discover(tmp_path).warnings
    assert "labels/labels.json: is not a table of labels" in line
    assert "its labels do not count" in line
    (tmp_path / "labels/labels.json").rename(tmp_path / "labels.json")  # of another program
    assert discover(tmp_path).warnings == ()
    say(tmp_path / "labels.json")
    (line,) = discover(tmp_path).warnings
    assert f"Move it to {tmp_path / 'labels'}, beside the masks" in line


def test_a_table_of_labels_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """What has no such table is of another program."""
    describe(plain_set(tmp_path), labels=[["a.png", 0]])
    (line,) = discover(tmp_path).warnings
    assert "dataset.json was not read" in line
    describe(tmp_path, labels={"background": 1, "kidney": 0})
    with pytest.raises(EquiregError, match=r"dataset\.json: calls the label values \[1\] background"):
        discover(tmp_path)


def test_a_description_among_masks_is_not_a_data_set_of_its_own(tmp_path: Path) -> None:
    describe(plain_set(tmp_path) / "labels", labels=NAMES, channel_names={"0": "T1"})
    (line,) = discover(tmp_path).warnings
    assert "not read but for its labels" in line
    assert line.endswith(f"Move it to {tmp_path}.")


def test_masks_in_colour_are_read_by_the_colours_that_are_said(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    for index in range(2):
        save(raw, f"images/c{index}.png", photo(disc(), index))
        save(raw, f"masks/c{index}.png", disc()[..., None] * np.array([255, 0, 0], np.uint8))
    say(raw / "masks/labels.json", LabelTable((0, 1), ("background", "polyp"), colours={0: (0, 0, 0), 1: (255, 0, 0)}))
    manifest = prepare(raw, tmp_path / "prepared")
    assert (len(manifest.cases), manifest.labels.names) == (2, ("background", "polyp"))
