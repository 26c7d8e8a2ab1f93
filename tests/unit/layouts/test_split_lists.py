"""Lists of validation, test and unlabelled cases beside scans are told, unless --split says who is who."""

import json
from pathlib import Path

import pytest

from equireg.layouts import discover
from equireg.layouts.split_lists import unread_lists
from equireg.preparation.prepare import prepare
from layout_folders import put
from pictures_made_up import disc, photo, save

NAMES = [f"2007_{index:06d}" for index in range(6)]


def write(root: Path, name: str, *lines: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    for index, name in enumerate(NAMES):
        save(tmp_path, f"VOC2012/JPEGImages/{name}.jpg", photo(disc(), index))
        save(tmp_path, f"VOC2012/SegmentationClass/{name}.png", disc())
    return tmp_path


def test_the_validation_list_of_voc_is_told(voc):
    assert unread_lists(discover(voc)) is None
    lists = "VOC2012/ImageSets/Segmentation"
    write(voc, f"{lists}/train.txt", *NAMES[:4])
    write(voc, f"{lists}/trainval.txt", *NAMES)
    assert unread_lists(discover(voc)) is None
    write(voc, f"{lists}/val.txt", *NAMES[4:])
    line = unread_lists(discover(voc))
    assert line is not None
    assert f"{voc / lists / 'val.txt'} names 2 cases ({NAMES[4]}, {NAMES[5]}) for validation or test" in line
    assert "--split FILE.json" in line


@pytest.mark.parametrize(
    "line",
    ["JPEGImages/{}.jpg SegmentationClass/{}.png", "{} 1", "{}.jpg", "data\\JPEGImages\\{}.jpg", "/JPEGImages/{}"],
)
def test_lines_may_be_paths_and_have_more_behind(voc, line):
    write(voc, "test.list", *(line.format(name, name) for name in NAMES[4:]), "gone")
    assert "names 2 cases" in (unread_lists(discover(voc)) or "")


def test_a_part_of_a_published_set_is_enough(voc):
    write(voc, "val.txt", *NAMES[:3], *(f"2008_{index:06d}" for index in range(40)))
    assert "names 3 cases" in (unread_lists(discover(voc)) or "")


def test_masks_of_an_unlabelled_list_are_told(voc):
    write(voc, "splits/1_8/labeled.txt", NAMES[0])
    write(voc, "splits/1_8/unlabeled.txt", *NAMES[1:4])
    assert "names 3 cases" in (line := unread_lists(discover(voc)) or "")
    assert "as unlabelled, and a mask is there" in line


@pytest.mark.parametrize("lines", [("epoch 1 loss 0.3", "epoch 2 loss 0.2"), ("a", "b", NAMES[0]), ()])
def test_other_texts_are_no_lists(voc, lines):
    write(voc, "val.txt", *lines)
    write(voc, "notes.txt", *NAMES)
    (voc / "test.txt").symlink_to(voc / "gone")
    (voc / "unlabeled.txt").mkdir()
    assert unread_lists(discover(voc)) is None


def test_numbers_in_a_table_are_no_cases(tmp_path):
    put(tmp_path, *(f"{folder}/{name}.nii.gz" for folder in ("images", "labels") for name in ("1", "2", "3")))
    write(tmp_path, "val.txt", "1 0.43", "2 0.51", "3 0.57")
    assert unread_lists(discover(tmp_path)) is None
    write(tmp_path, "val.txt", "3")
    assert "names 1 case (3)" in (unread_lists(discover(tmp_path)) or "")


def test_what_folders_hold_out_needs_no_list(tmp_path):
    for part, name in (("train", "a"), ("train", "b"), ("val", "c")):
        put(tmp_path, f"{part}/images/{name}.nii.gz", f"{part}/labels/{name}.nii.gz")
    write(tmp_path, "val.txt", "val/images/c.nii.gz")
    assert unread_lists(discover(tmp_path)) is None


def test_prepare_tells_unless_it_has_a_split(voc, caplog):
    write(voc, "val.txt", *NAMES[4:])
    prepare(voc, dry_run=True)
    assert any("lists of cases are not read" in line for line in caplog.messages)
    caplog.clear()
    split = {"train": NAMES[:4], "val": NAMES[4:]}
    write(voc, "split.json", json.dumps(split))
    prepare(voc, dry_run=True, split=str(voc / "split.json"))
    assert not any("lists of cases" in line for line in caplog.messages)
