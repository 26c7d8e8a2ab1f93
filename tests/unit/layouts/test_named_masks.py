"""Scans whose names hold a word for masks, as ``lesion_1``."""

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from equireg.imaging.pictures import CHANNELS
from equireg.layouts import discover, discover_inputs
from layout_folders import labelled, names, put, put_kind
from pictures_made_up import disc, photo, save

NUMBERS = range(1, 13)
NAMES = ["lesion_{}", "roi{}", "gt{}", "GT20{}-1-400", "mask {}", "seg.{}", "{}_lesion"]


def save_scans(root, *files):
    for index, file in enumerate(files):
        save(root, file, photo(disc(), index))


def save_masks(root, *files):
    for file in files:
        save(root, file, disc() * np.uint8(255))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("scans", "masks"), [("images", "masks"), ("A/image", "A/label"), ("Bilder", "Masken")])
def test_scans_called_as_masks_have_their_masks(tmp_path, scans, masks, name):
    save_scans(tmp_path, *(f"{scans}/{name.format(i)}.png" for i in NUMBERS))
    save_masks(tmp_path, *(f"{masks}/{name.format(i)}.png" for i in NUMBERS))
    dataset = discover(tmp_path)
    assert len(labelled(dataset)) == len(names(dataset)) == len(NUMBERS)
    assert not dataset.refused


@pytest.mark.parametrize("name", NAMES)
def test_scans_called_as_masks_are_predicted(tmp_path, name):
    save_scans(tmp_path, "other.png", *(f"{name.format(i)}.png" for i in NUMBERS))
    cases = discover_inputs(tmp_path, CHANNELS)
    assert len(cases) == 1 + len(NUMBERS)
    assert all(case.problem is None and case.label is None for case in cases)


def test_files_that_cannot_be_judged_are_masks_beside_scans_and_scans_beside_masks(tmp_path):
    put(tmp_path, *(f"images/lesion_{i}.nii.gz" for i in NUMBERS), *(f"masks/lesion_{i}.nii.gz" for i in NUMBERS))
    assert len(labelled(discover(tmp_path))) == len(NUMBERS)
    put(tmp_path / "flat", "a.nii.gz", "a_lesion.nii.gz", "b_lesion.nii.gz")
    dataset = discover(tmp_path / "flat")
    assert labelled(dataset) == names(dataset) == ["a"]


@pytest.mark.parametrize("of_one_case", [True, False])
def test_masks_without_a_scan_stay_masks(tmp_path, of_one_case):
    save_scans(tmp_path, "c1/photo.png", "c2/photo.png")
    save_masks(tmp_path, *(f"c{i}/{file}.png" for i in (1, 2) for file in (["seg"] if of_one_case else ["gt1", "gt2"])))
    dataset = discover(tmp_path)
    assert labelled(dataset) == names(dataset) == ["c1", "c2"]


def test_scans_of_a_kind_of_masks_are_not_lost_in_silence(tmp_path):
    save_scans(tmp_path, "healthy/a.png", "healthy/d.png", "lesion/b.png", "lesion/c.png")
    cases = {case.name: case.problem for case in discover_inputs(tmp_path, CHANNELS)}
    assert cases.keys() == {"a", "b.png", "c.png", "d"}
    assert cases["a"] is None
    assert "If it is a scan, give it and its folder names without a word for masks" in str(cases["b.png"])
    refused = discover(tmp_path).refused
    assert [item.case for item in refused] == ["b.png", "c.png"]
    assert refused[0].reason.endswith("it shows no labels and has no scan.")


def test_a_mask_without_a_scan_is_no_input(tmp_path, caplog):
    save_scans(tmp_path, "a.png")
    save_masks(tmp_path, "a_seg.png", "b_seg.png")
    assert [case.name for case in discover_inputs(tmp_path, CHANNELS)] == ["a"]
    assert "1 masks have no scan" in caplog.text


@pytest.mark.parametrize("home", ["gtFine", "labels-v2", "Cup_Masks"])
def test_a_folder_whose_name_has_a_word_for_masks_holds_masks_if_its_pixels_do(tmp_path, home):
    save_scans(tmp_path, *(f"raw8bit/train/town/{i}_raw8bit.png" for i in NUMBERS))
    save_masks(tmp_path, *(f"{home}/train/town/{i}_Fine_color.png" for i in NUMBERS))
    dataset = discover(tmp_path)
    assert sorted(names(dataset)) == sorted(f"{i}_raw8bit" for i in NUMBERS)
    save_scans(tmp_path, *(f"{home}/train/town/{i}_Fine_color.png" for i in NUMBERS))
    assert len(names(discover(tmp_path))) == 2 * len(NUMBERS)


def lines():
    """Return a mask of thin lines, uint8 of 0 and 255."""
    mask = np.zeros((32, 40), np.uint8)
    mask[2:30, ::5] = 255
    return mask.T.copy()


def smooth():
    """Return a mask with smooth edges, as of a picture that was made smaller."""
    return ndimage.gaussian_filter(disc() * 255.0, 1).round().astype(np.uint8)


@pytest.mark.parametrize("mask", [lines, smooth])
@pytest.mark.parametrize(
    ("scans", "masks"),
    [
        ("c{}/photo.png", "c{}/vessel_mask.png"),
        ("raw/{}.png", "drawn/{}_seg.png"),
        ("volume-{}.png", "segmentation-{}.png"),
    ],
)
def test_masks_of_thin_lines_and_smooth_edges_stay_masks(tmp_path, scans, masks, mask):
    save_scans(tmp_path, *(scans.format(i) for i in range(6)))
    for i in range(6):
        save(tmp_path, masks.format(i), mask())
    dataset = discover(tmp_path)
    assert len(labelled(dataset)) == len(names(dataset)) == 6


@pytest.mark.parametrize("kind", ["dots", "fractions", "scaled", "labels in patches"])
def test_volumes_with_dots_or_odd_values_stay_masks_beside_a_scan(tmp_path, kind):
    rng = np.random.default_rng(0)
    for case in range(4):
        mask = np.zeros((12, 12, 6))
        mask[rng.integers(0, 12), 5, 1:4:2] = mask[4, 7, 2] = 1
        if kind == "fractions":
            mask = ndimage.gaussian_filter(mask, 1)
        elif kind == "labels in patches":
            mask = 0.5 + np.repeat(np.arange(36.0).reshape(3, 12, 1), 4, axis=0) * np.ones((1, 1, 6))
        image = nib.Nifti1Image(mask.astype(np.float32), np.eye(4))
        if kind == "scaled":
            image.header.set_data_dtype(np.int16)
        put_kind(tmp_path, f"c{case}/ct.nii.gz")
        nib.save(image, tmp_path / f"c{case}/tumor_mask.nii.gz")
    dataset = discover(tmp_path)
    assert labelled(dataset) == names(dataset) == [f"c{case}" for case in range(4)]
    assert dataset.channels == ("ct",)


@pytest.mark.parametrize("pixels", [np.zeros((32, 40), np.uint8), lines()])
def test_masks_of_nothing_or_of_lines_without_a_scan_are_no_inputs(tmp_path, pixels):
    save_scans(tmp_path, "a.png")
    save(tmp_path, "b_seg.png", pixels)
    assert [case.name for case in discover_inputs(tmp_path, CHANNELS)] == ["a"]
    assert [item.reason.rpartition(": ")[2] for item in discover(tmp_path).refused] == ["is a mask without a scan."]
