"""Masks that no word calls so are told by their voxels, and never taken for scans or channels."""

import os

import numpy as np
import pytest

from equireg.layouts import discover
from equireg.layouts.files import stem_of
from equireg.layouts.unnamed_masks import find
from layout_folders import files, masks, names, put_kind
from pictures_made_up import disc, photo, save


@pytest.mark.parametrize(
    ("scan", "mask"),
    [
        ("c{}/lgemri", "c{}/laendo"),
        ("c{}/c{}_t1w_deface", "c{}/c{}_LesionSmooth"),
        ("c{}", "c{}_tumour"),
        ("c{}_ct", "c{}_liver"),
        ("all/c{}_vol", "all/c{}_cancer"),
        ("ct/c{}", "organ/c{}"),
        ("c{}/pre/flair", "c{}/wmh"),
        ("c{}/image", "c{}/Ground/mask"),
        ("set/c{}_image", "set/c{}_label"),
        ("c{}", "c{}/liver"),
        ("train/c{}", "train_labels/c{}_L"),
        ("images/c{}", "masks/c{}_tumor"),
        ("images/town{}_7_leftImg8bit", "masks/town{}_7_gtFine_labelIds"),
        ("raw/c{}", "seg/c{}_Simple Segmentation"),
        ("c{}", "c{}_cp_masks"),
    ],
)
def test_a_mask_under_any_name_is_a_mask(tmp_path, scan, mask):
    pairs = [(scan.format(i, i) + ".nii.gz", mask.format(i, i) + ".nii.gz") for i in range(4)]
    put_kind(tmp_path, *(scan for scan, _ in pairs))
    put_kind(tmp_path, pairs[0][1], kind="empty")
    put_kind(tmp_path, *(mask for _, mask in pairs[1:]), kind="mask")
    dataset = discover(tmp_path)
    assert sorted((files(dataset, name)[0], mask) for name, mask in masks(dataset).items()) == sorted(pairs)
    assert len(dataset.channels) == 1
    assert dataset.refused == ()


@pytest.mark.parametrize("kinds", [("L", "R"), ("1",), ("fov",)])
def test_masks_of_longer_names_that_end_unlike_or_are_no_labels_are_nobodys(tmp_path, kinds):
    put_kind(tmp_path, *(f"images/c{i}.nii.gz" for i in range(3)))
    put_kind(tmp_path, *(f"masks/c{i}_{kind}.nii.gz" for kind in kinds for i in range(3)), kind="mask")
    assert set(masks(discover(tmp_path)).values()) == {None}


@pytest.mark.parametrize("other", ["images/c{}_mask", "rois/c{}_x"])
def test_a_mask_of_the_same_name_counts_before_those_with_a_common_ending(tmp_path, other):
    put_kind(tmp_path, *(f"images/c{i}_rgb.nii.gz" for i in range(3)))
    put_kind(
        tmp_path, *(f"{name.format(i)}.nii.gz" for name in (other, "labels/c{}_rgb") for i in range(3)), kind="mask"
    )
    assert masks(discover(tmp_path)) == {f"c{i}_rgb": f"labels/c{i}_rgb.nii.gz" for i in range(3)}


def test_what_scans_in_several_folders_begin_with_is_no_scan_with_an_ending(tmp_path):
    put_kind(
        tmp_path, *(f"{name}.nii.gz" for i in range(3) for name in (f"flair/c{i}_flair", f"t/c{i}_one", f"t/c{i}_2b"))
    )
    put_kind(tmp_path, *(f"masks/c{i}_x.nii.gz" for i in range(3)), kind="mask")
    assert set(masks(discover(tmp_path)).values()) == {None}


def test_several_masks_of_a_folder_refuse_its_case(tmp_path):
    put_kind(tmp_path, *(f"c{i}/c{i}_ana.nii.gz" for i in range(3)))
    put_kind(tmp_path, *(f"c{i}/c{i}_{kind}_ana.nii.gz" for i in range(3) for kind in ("seg", "segTRI")), kind="mask")
    dataset = discover(tmp_path)
    assert dataset.cases == ()
    assert "one of several masks" in dataset.refused[0].reason


def test_channels_stay_channels(tmp_path):
    put_kind(tmp_path, *(f"c{i}/{name}.nii.gz" for i in range(3) for name in ("ktrans", "bval")))
    assert discover(tmp_path).channels == ("bval", "ktrans")
    put_kind(tmp_path / "all", *(f"c{i}/{name}.nii.gz" for i in range(3) for name in ("a", "b")), kind="mask")
    assert len(names(discover(tmp_path / "all"))) == 3  # where all are alike, nothing tells masks from scans


def test_a_folder_of_coloured_masks_is_told_by_its_pixels(tmp_path):
    colours = np.array([(0, 0, 0), (255, 0, 0), (0, 255, 0)], np.uint8)
    for index in range(4):
        shape = disc(radius=8 + index) + disc(radius=4)
        save(tmp_path, f"Bilder/b {index}.jpg", photo(shape, index))
        if index < 3:
            save(tmp_path, f"Masken/b {index}.png", colours[shape])
    dataset = discover(tmp_path)
    assert masks(dataset) == {f"b {index}": f"Masken/b {index}.png" if index < 3 else None for index in range(4)}


@pytest.mark.parametrize("folders", [("lung_masks", "tumor_masks"), ("masks", "segmentations"), ("labels", "masks")])
def test_masks_of_one_name_in_two_folders_are_refused(tmp_path, folders):
    put_kind(tmp_path, *(f"images/c{i}.nii.gz" for i in range(3)))
    put_kind(tmp_path, *(f"{folder}/c{i}.nii.gz" for folder in folders for i in range(3)), kind="mask")
    dataset = discover(tmp_path)
    assert dataset.cases == ()
    assert len(dataset.refused) == 3
    assert all(f"{folder}{os.sep}c0.nii.gz" in dataset.refused[0].reason for folder in folders)


def test_a_folder_that_is_called_one_of_masks_goes_before_one_that_is_not(tmp_path):
    put_kind(tmp_path, *(f"images/c{i}.nii.gz" for i in range(3)))
    put_kind(tmp_path, *(f"{folder}/c{i}.nii.gz" for folder in ("airways", "labels") for i in range(3)), kind="mask")
    dataset = discover(tmp_path)
    assert masks(dataset) == {f"c{i}": f"labels/c{i}.nii.gz" for i in range(3)}
    assert dataset.refused == ()
    assert any("left aside: 3 masks" in note and "airways" in note for note in dataset.notes)
    assert not any("not used" in note for note in dataset.notes)


def test_masks_whose_names_go_on_behind_those_of_scans_in_another_folder(tmp_path):
    colours = np.array([(0, 0, 0), (128, 0, 64)], np.uint8)
    for index in range(3):
        save(tmp_path, f"stills/0001_{index:03d}.png", photo(disc(), index))
        save(tmp_path, f"Labeled/0001_{index:03d}_L.png", colours[disc(radius=8 + index)])  # CamVid
    save(tmp_path, "Labeled/0001_009_L.png", colours[disc()])
    dataset = discover(tmp_path)
    assert masks(dataset) == {f"0001_{index:03d}": f"Labeled/0001_{index:03d}_L.png" for index in range(3)}
    assert [item.case for item in dataset.refused] == ["0001_009_L.png"]


def test_masks_a_class_in_folders_elsewhere_are_no_scans(tmp_path):
    for index in range(3):
        save(tmp_path, f"1. Images/a. Training/I_{index}.jpg", photo(disc(), index))
        for number, kind in enumerate(("MA", "HE")):  # IDRiD
            save(tmp_path, f"2. Truths/a. Training/{number}. x/I_{index}_{kind}.tif", disc(radius=9 + number) * 255)
    dataset = discover(tmp_path)
    assert names(dataset) == ["I_0", "I_1", "I_2"]
    assert len(dataset.refused) == 6
    assert "is one of 2 masks" in dataset.refused[0].reason


def test_pictures_that_go_on_behind_others_stay_scans_where_they_hold_no_labels(tmp_path):
    for index in range(3):
        save(tmp_path, f"first/p{index}.png", photo(disc(), index))
        save(tmp_path, f"second/p{index}_b.png", photo(disc(), index + 3))
    assert len(discover(tmp_path).cases) == 6


def test_names_are_read_once_a_folder(tmp_path, monkeypatch):
    """The time grew with the square of the files of a folder."""
    calls = []
    monkeypatch.setattr("equireg.layouts.unnamed_masks.stem_of", lambda file: calls.append(file) or stem_of(file))
    files = [tmp_path / f"case_{index}.nii.gz" for index in range(40)]
    assert find({tmp_path: files}) == {}
    assert len(calls) <= 2 * len(files)


def test_folders_of_many_cases_are_not_opened(tmp_path, monkeypatch):
    """They would all be read, and the time would grow with the square of their number."""
    monkeypatch.setattr("equireg.layouts.unnamed_masks.hold_labels", lambda files: len(files) and pytest.fail("opened"))
    put_kind(tmp_path, *(f"c{index:02}/{name}" for index in range(31) for name in ("t1", "t2")))
    assert len(discover(tmp_path).cases) == 31


def test_folders_whose_names_end_with_a_word_for_masks_hold_masks_on_any_background(tmp_path):
    for index in range(3):
        for part in ("left", "right"):
            save(tmp_path, f"stills/{part}/{part}{index}.jpg", photo(disc(), index))
            drawn = np.array([255, 0], np.uint8)[disc(radius=8 + index)]
            save(tmp_path, f"stills-drawn/Organ_Masks/{part}/{part}{index}.bmp", drawn)
        save(tmp_path, f"more_with_GT/c{index}.png", photo(disc(), index + 3))
        save(tmp_path, f"01_ST/TRA/track{index}.png", disc(radius=8 + index))
    dataset = discover(tmp_path)
    found = masks(dataset)
    assert len(found) == 9
    for part in ("left", "right"):
        assert found[f"{part}1"] == f"stills-drawn/Organ_Masks/{part}/{part}1.bmp"
    assert found["c0"] is None  # a photograph, whatever its folder is called
    assert [item.case for item in dataset.refused] == [f"track{index}.png" for index in range(3)]


def test_masks_in_a_folder_of_that_name_go_before_those_of_a_longer_name(tmp_path):
    for index in range(3):
        save(tmp_path, f"images/c{index}.png", photo(disc(), index))
        save(tmp_path, f"masks/c{index}.png", disc(radius=8 + index))
        save(tmp_path, f"all/inner_masks/c{index}.png", disc(radius=4 + index))
        save(tmp_path, f"field_masks/c{index}.png", 1 - disc(radius=4 + index))
    assert masks(discover(tmp_path)) == {f"c{index}": f"masks/c{index}.png" for index in range(3)}


def test_of_two_scans_of_one_name_the_one_that_looks_like_a_mask_is_told(tmp_path):
    for index in range(3):
        save(tmp_path, f"stills/a{index}.png", photo(disc(), index))
        save(tmp_path, f"inked/a{index}.png", np.array([255, 0], np.uint8)[disc(radius=8 + index)])
    assert {item.remedy for item in discover(tmp_path).refused} == {
        f"{tmp_path / 'inked'} looks like a folder of masks: if it is one, call it masks. Else: rename one of the two."
    }


@pytest.mark.parametrize("inner", ["", "p{}/"])
def test_the_scans_of_a_target_domain_are_no_masks(tmp_path, inner):
    for index in range(3):
        put_kind(tmp_path, f"training_source/s{index}_ceT1.nii.gz", seed=index)
        put_kind(tmp_path, f"training_source/s{index}_Label.nii.gz", kind="mask")
        put_kind(tmp_path, f"training_target/{inner.format(index)}t{index}_hrT2.nii.gz", seed=index + 3)
    dataset = discover(tmp_path)
    assert len(dataset.cases) == 6
    assert not dataset.refused
    assert sum(case.label is not None for case in dataset.cases) == 3


@pytest.mark.parametrize("kind", ["mask", "scan"])
def test_masks_in_a_folder_of_targets_stay_masks(tmp_path, kind):
    for index in range(3):
        put_kind(tmp_path, f"train_images/c{index}.nii.gz", seed=index)
        put_kind(tmp_path, f"train_targets/c{index}.nii.gz", kind=kind)
    assert masks(discover(tmp_path)) == {f"c{index}": f"train_targets/c{index}.nii.gz" for index in range(3)}


def test_the_number_of_a_channel_is_no_common_ending_of_scans(tmp_path):
    put_kind(tmp_path, *(f"imagesTr/ct_{i}_0000.nii.gz" for i in range(3)))
    put_kind(tmp_path, *(f"cow_seg_labelsTr/ct_{i}.nii.gz" for i in range(3)), kind="mask")  # TopCoW
    assert masks(discover(tmp_path)) == {f"ct_{i}": f"cow_seg_labelsTr/ct_{i}.nii.gz" for i in range(3)}
