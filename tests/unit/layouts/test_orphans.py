"""Masks in unforeseen places, and masks that look like scans."""

import pytest

from equireg.layouts import discover
from layout_folders import labelled, masks, names, put, put_kind
from pictures_made_up import disc, photo, save


def test_a_mask_anywhere_belongs_to_the_scan_of_its_whole_name(tmp_path):
    put(tmp_path, *(f"images_structural/p{i}/p{i}_{c}.nii.gz" for i in range(3) for c in ("T1", "FLAIR")))
    put(tmp_path, "images_segm/p0_segm.nii.gz", "images_segm/p1_segm.nii.gz", "images_segm/p9_segm.nii.gz")
    dataset = discover(tmp_path)
    assert masks(dataset) == {"p0": "images_segm/p0_segm.nii.gz", "p1": "images_segm/p1_segm.nii.gz", "p2": None}
    assert [item.case for item in dataset.refused] == ["p9_segm.nii.gz"]
    put(tmp_path, "other/p1_seg.nii.gz")
    assert labelled(discover(tmp_path)) == ["p0"]  # which of two is meant is unknown


def test_masks_by_voxels_and_a_part_of_the_name_are_no_scans(tmp_path):
    for word, kind in (("", "scan"), ("LesionSeg-", "mask")):
        put_kind(tmp_path, *(f"P{i}/{i}-{word}{c}.nii" for i in range(3) for c in ("Flair", "T1")), kind=kind)
    put_kind(tmp_path, "P3/3-Segment2-Flair.nii", "P3/3-Segment2-T1.nii")
    dataset = discover(tmp_path)
    assert names(dataset) == ["0", "1", "2", "P3"]
    assert len(dataset.refused) == 6


@pytest.mark.parametrize("kinds", [("liver_mask", "spleen_mask"), ("mask_rater0", "mask_rater1")])
def test_several_masks_of_a_volume_are_never_united(tmp_path, kinds):
    put(tmp_path, *(f"c{i}/ct.nii.gz" for i in range(3)), *(f"c{i}/{kind}.nii.gz" for i in range(3) for kind in kinds))
    dataset = discover(tmp_path)
    assert not dataset.cases
    assert "is one of several masks" in dataset.refused[0].reason
    assert "--layout totalsegmentator" in dataset.refused[0].remedy


def test_masks_that_go_on_behind_the_name_of_a_scan_are_its_several_masks(tmp_path):
    put(tmp_path, *(f"images/c{i}.nii.gz" for i in range(12)), "labels/c0.nii.gz", "labels/c3_v2.nii.gz")
    put(tmp_path, *(f"labels/c1_{kind}.nii.gz" for kind in ("liver", "tumour")), "labels/c11_liver.nii.gz")
    refused = {item.case: item for item in discover(tmp_path).refused}
    for kind in ("liver", "tumour"):
        item = refused[f"c1_{kind}.nii.gz"]
        assert item.reason.endswith("is one of 2 masks whose names begin with that of the scan c1.")
        assert "unite them in one file" in item.remedy
    assert refused["c11_liver.nii.gz"].reason.endswith("is a mask without a scan.")
    assert refused["c3_v2.nii.gz"].remedy == "If it is that of the scan c3, call it so."


def test_pictures_of_labels_in_a_folder_that_says_so_are_no_scans(tmp_path):
    for index in range(3):
        save(tmp_path, f"stills/a{index}.png", photo(disc(), index))
        save(tmp_path, f"LabeledApproved/b{index}.png", disc(radius=8 + index) * 255)
        save(tmp_path, f"unlabeled/c{index}.png", disc(radius=8 + index) * 255)
    dataset = discover(tmp_path)
    assert names(dataset) == ["a0", "a1", "a2", "c0", "c1", "c2"]
    assert [item.case for item in dataset.refused] == ["b0.png", "b1.png", "b2.png"]
