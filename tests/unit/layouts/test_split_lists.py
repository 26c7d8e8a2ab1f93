"""Lists of training, validation and test cases beside scans hold cases out, or are told."""

from pathlib import Path

import pytest

from equireg.layouts import RawDataset, discover
from layout_folders import put
from pictures_made_up import disc, photo, save

NAMES = [f"2007_{index:06d}" for index in range(6)]


def write(root: Path, name: str, *lines: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


def held_out(dataset: RawDataset) -> list[str]:
    return [case.name for case in dataset.cases if case.held_out]


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    for index, name in enumerate(NAMES):
        save(tmp_path, f"VOC2012/JPEGImages/{name}.jpg", photo(disc(), index))
        save(tmp_path, f"VOC2012/SegmentationClass/{name}.png", disc())
    return tmp_path


def test_the_validation_list_of_voc_is_held_out(voc):
    assert held_out(discover(voc)) == []
    lists = "VOC2012/ImageSets/Segmentation"
    write(voc, f"{lists}/train.txt", *NAMES[:4])
    write(voc, f"{lists}/val.txt", *NAMES[4:])
    write(voc, f"{lists}/trainval.txt", *NAMES)
    dataset = discover(voc)
    assert held_out(dataset) == NAMES[4:]
    assert any("held out: 2 cases" in note and "val.txt" in note for note in dataset.notes)
    assert not dataset.warnings


@pytest.mark.parametrize(
    "line",
    ["JPEGImages/{}.jpg SegmentationClass/{}.png", "{} 1", "{}.jpg", "data\\JPEGImages\\{}.jpg", "/JPEGImages/{}"],
)
def test_lines_may_be_paths_and_have_more_behind(voc, line):
    write(voc, "train.list", line.format(NAMES[0], NAMES[0]), "gone")
    write(voc, "test.list", *(line.format(name, name) for name in NAMES[4:]))
    assert held_out(discover(voc)) == NAMES[4:]


def test_lists_of_volumes_count_too(tmp_path):
    put(tmp_path, *(f"{folder}/{name}.nii.gz" for folder in ("images", "labels") for name in "abc"))
    write(tmp_path, "train.txt", "a", "b")
    write(tmp_path, "test.txt", "c.nii.gz")
    assert held_out(discover(tmp_path)) == ["c"]


@pytest.mark.parametrize(
    ("lists", "why"),
    [
        ({"val.txt": NAMES[4:]}, "none of training cases"),
        ({"train.txt": NAMES[:4]}, "none of validation or test cases"),
        (
            {"1/train.txt": NAMES[:4], "1/val.txt": NAMES[4:], "2/train.txt": NAMES[2:], "2/val.txt": NAMES[:2]},
            "some name",
        ),
    ],
)
def test_lists_that_are_not_clear_are_told(voc, lists, why):
    for name, lines in lists.items():
        write(voc, name, *lines)
    dataset = discover(voc)
    assert held_out(dataset) == []
    (line,) = dataset.warnings
    assert "are not read" in line
    assert why in line
    assert "--split FILE.json" in line


def test_lists_that_divide_a_patient_are_told(tmp_path):
    for name in ("patient1_t0", "patient1_t1", "patient2_t0"):
        put(tmp_path, f"images/{name}.nii.gz", f"labels/{name}.nii.gz")
    write(tmp_path, "train.txt", "patient1_t0", "patient2_t0")
    write(tmp_path, "val.txt", "patient1_t1")
    dataset = discover(tmp_path)
    assert held_out(dataset) == []
    assert any("divide the scans of the patient patient1" in line for line in dataset.warnings)


def test_masks_of_an_unlabelled_list_are_told(voc):
    write(voc, "splits/1_8/labeled.txt", NAMES[0])
    write(voc, "splits/1_8/unlabeled.txt", *NAMES[1:4])
    write(voc, "splits/val.txt", *NAMES[4:])
    dataset = discover(voc)
    assert held_out(dataset) == NAMES[4:]
    assert any("names 3 cases with a mask as unlabelled" in line for line in dataset.warnings)


@pytest.mark.parametrize("lines", [("epoch 1 loss 0.3", "epoch 2 loss 0.2"), ("a", "b", NAMES[0]), ()])
def test_other_texts_are_no_lists(voc, lines):
    write(voc, "train.txt", *NAMES[:3])
    write(voc, "val.txt", *lines)
    write(voc, "notes.txt", *NAMES)
    assert held_out(discover(voc)) == []


def test_folders_go_on_to_hold_out(tmp_path):
    for part, name in (("train", "a"), ("train", "b"), ("val", "c")):
        put(tmp_path, f"{part}/images/{name}.nii.gz", f"{part}/labels/{name}.nii.gz")
    write(tmp_path, "train.txt", "train/images/a.nii.gz", "train/images/b.nii.gz")
    write(tmp_path, "val.txt", "val/images/c.nii.gz")
    dataset = discover(tmp_path)
    assert held_out(dataset) == ["c"]
    assert not any("held out:" in note for note in dataset.notes)
