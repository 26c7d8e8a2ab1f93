"""Scans that are numbered anew in each folder, and which of them a mask of that number is of."""

import pytest

from equireg.layouts import discover
from layout_folders import files, labelled, masks, names, put

END = ".nii.gz"


def _numbered(root, *folders: str, first: int = 1) -> None:
    put(root, *(f"{folder}/{index}{END}" for folder in folders for index in range(first, first + 3)))


def _owners(dataset) -> dict[str, str]:
    """Return mask to the only scan that has it, less their numbers and endings."""
    return {
        mask.split("/1.")[0]: files(dataset, name)[0] for name, mask in masks(dataset).items() if mask and "/1." in mask
    }


@pytest.mark.parametrize("other", ["test", "val", "validation_set", "unlabeled", "test/site"])
def test_masks_of_training_are_none_of_another_set(tmp_path, other):
    _numbered(tmp_path, "train", "train_masks", other)
    dataset = discover(tmp_path)
    assert (_owners(dataset), len(labelled(dataset)), dataset.warnings) == ({"train_masks": f"train/1{END}"}, 3, ())


@pytest.mark.parametrize("masks_of", ["train_mask test_mask", "trainannot testing_annot", "masks_train masks_ts"])
@pytest.mark.parametrize("scans", ["train test", "images/train images/test", "train/images test/images"])
def test_each_set_has_its_own_masks(tmp_path, scans, masks_of):
    _numbered(tmp_path, *scans.split(), *masks_of.split())
    dataset = discover(tmp_path)
    expected = {mask: f"{scan}/1{END}" for mask, scan in zip(masks_of.split(), scans.split(), strict=True)}
    assert (_owners(dataset), len(labelled(dataset)), dataset.refused) == (expected, 6, ())


def test_masks_of_no_set_serve_all(tmp_path):
    _numbered(tmp_path, "train", "masks")
    _numbered(tmp_path, "test", "masks", first=4)
    assert len(labelled(discover(tmp_path))) == 6


@pytest.mark.parametrize(
    ("scans", "other", "mask"),
    [
        ("train", "test", "masks"),
        ("images/train", "images/test", "masks/train"),
        ("images/labeled", "images/unlabeled", "masks"),
        ("train/images", "test/images", "masks"),
        ("train", "site2", "train_masks"),
    ],
)
def test_a_mask_of_two_scans_by_name_stays_where_it_belongs(tmp_path, scans, other, mask):
    _numbered(tmp_path, scans, other, mask)
    dataset = discover(tmp_path)
    assert _owners(dataset) == {mask: f"{scans}/1{END}"}
    assert (len(names(dataset)), len(labelled(dataset)), dataset.refused) == (6, 3, ())
    assert "left without a mask: 3 scans such as" in dataset.warnings[0]


def test_a_mask_of_two_scans_by_name_that_nothing_tells_apart_is_nobodys(tmp_path):
    _numbered(tmp_path, "A", "B", "masks")
    put(tmp_path, f"A/9{END}", f"masks/9{END}")
    dataset = discover(tmp_path)
    assert (labelled(dataset), len(dataset.refused)) == (["9"], 6)
    assert f"masks/1{END}: may be the mask of {tmp_path}/A/1{END} and of {tmp_path}/B/1{END}" in (
        dataset.refused[0].reason
    )


@pytest.mark.parametrize("folder", ["train_labels", "labelsTr"])
def test_masks_of_training_are_those_of_a_set_that_is_held_out_where_no_name_comes_twice(tmp_path, folder):
    _numbered(tmp_path, "train", folder)
    _numbered(tmp_path, "val", folder, first=4)
    _numbered(tmp_path, "unlabeled", folder, first=7)
    dataset = discover(tmp_path)
    assert labelled(dataset) == [*"123456"]
    assert [case.name for case in dataset.cases if case.held_out] == [*"456"]
    put(tmp_path, f"val/1{END}")  # names begin anew in each set, so 4 of train may be missing
    assert labelled(discover(tmp_path)) == [*"23", "train_1"]


def test_a_mask_of_the_name_in_a_folder_of_another_set_says_where_to_move_it(tmp_path):
    _numbered(tmp_path, "site", "test_masks")
    put(tmp_path, f"train/a{END}", f"train_masks/a{END}")
    assert f"move it to {tmp_path / 'site' / 'masks'}" in discover(tmp_path).refused[0].remedy


def test_a_scan_with_a_mask_of_its_own_is_not_told_as_left_without(tmp_path):
    _numbered(tmp_path, "images/train", "images/val", "annotations/train", "annotations/valid")
    dataset = discover(tmp_path)
    assert (len(labelled(dataset)), dataset.refused, dataset.warnings) == (6, (), ())


def test_a_scan_of_several_lost_masks_counts_once(tmp_path):
    _numbered(tmp_path, "images/train", "images/test", "masks/train_masks", "masks/test_masks")
    assert "left without a mask: 3 scans such as" in discover(tmp_path).warnings[0]


def test_names_that_begin_anew_in_the_folders_of_training_and_test(tmp_path):
    for part, count in (("trainval", 3), ("test", 2)):
        put(tmp_path, *(f"{part}-{kind}/{i}{END}" for kind in ("image", "mask") for i in range(count)))
    dataset = discover(tmp_path)
    assert names(dataset) == labelled(dataset)
    assert names(dataset) == ["2", "test-image_0", "test-image_1", "trainval-image_0", "trainval-image_1"]
    assert [case.name for case in dataset.cases if case.held_out] == ["test-image_0", "test-image_1"]
