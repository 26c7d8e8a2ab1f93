"""Plain folders under any names."""

import os

import pytest

from equireg.layouts import discover
from layout_folders import files, labelled, masks, names, put


@pytest.mark.parametrize(
    ("scans", "masks"),
    [
        ("images", "labels"),
        ("image", "masks"),
        ("scans", "segmentations"),
        ("imagesTr", "labelsTr"),
        ("images", "labelsTr"),
    ],
)
def test_plain_pair_of_folders(tmp_path, scans, masks):
    put(tmp_path, f"{scans}/p1.nii.gz", f"{scans}/p2.nii", f"{masks}/p1.nii.gz")
    (tmp_path / scans / "notes.txt").write_text("x")
    (tmp_path / scans / "._p1.nii.gz").write_bytes(b"x")
    dataset = discover(tmp_path)
    assert (dataset.layout, dataset.channels, dataset.modality, dataset.labels) == (
        "plain",
        ("image",),
        "mri",
        None,
    )
    assert names(dataset) == ["p1", "p2"]
    assert labelled(dataset) == ["p1"]


def test_plain_pair_with_test_and_unlabelled_folders(tmp_path):
    put(tmp_path, "imagesTr/a.nii.gz", "labelsTr/a.nii.gz", "imagesTs/t.nii.gz", "imagesUn/u.nii.gz")
    dataset = discover(tmp_path)
    assert [(case.name, case.held_out) for case in dataset.cases] == [("a", False), ("t", True), ("u", False)]
    assert labelled(dataset) == ["a"]


def test_plain_masks_with_a_suffix_in_their_folder(tmp_path):
    put(tmp_path, "images/p1.nii.gz", "images/p2.nii.gz", "labels/p1_seg.nii.gz", "labels/p2_mask.nii.gz")
    assert labelled(discover(tmp_path)) == ["p1", "p2"]


def test_plain_numbered_channels(tmp_path):
    put(tmp_path, *(f"images/p{i}_000{c}.nii.gz" for i in range(3) for c in range(2)), "labels/p0.nii.gz")
    dataset = discover(tmp_path)
    assert dataset.channels == ("channel_0", "channel_1")
    assert names(dataset) == ["p0", "p1", "p2"]
    assert files(dataset, "p1") == ["images/p1_0000.nii.gz", "images/p1_0001.nii.gz"]
    assert labelled(dataset) == ["p0"]


def test_plain_number_of_the_case_is_no_channel(tmp_path):
    put(tmp_path, *(f"images/scan_000{i}.nii.gz" for i in range(3)), "labels/scan_0001.nii.gz")
    assert names(discover(tmp_path)) == ["scan_0000", "scan_0001", "scan_0002"]
    put(tmp_path / "years", *(f"scan_{year}.nii.gz" for year in (2018, 2019)))
    assert names(discover(tmp_path / "years")) == ["scan_2018", "scan_2019"]
    put(tmp_path / "many", *(f"scan_{i:04d}.nii.gz" for i in range(30)))
    assert len(discover(tmp_path / "many").cases) == 30


def test_plain_single_channel_number_is_dropped(tmp_path):
    put(tmp_path, "images/a_0000.nii.gz", "images/b_0000.nii.gz", "labels/a.nii.gz")
    dataset = discover(tmp_path)
    assert names(dataset) == ["a", "b"]
    assert labelled(dataset) == ["a"]


@pytest.mark.parametrize("mask", ["_seg", "-seg", "_mask", "_label", ".seg", "_T1_seg"])
def test_plain_loose_files(tmp_path, mask):
    put(tmp_path, "p1_T1.nii.gz", "p1_flair.nii.gz", "p2_T1.nii.gz", "p2_flair.nii.gz", f"p1{mask}.nii.gz")
    dataset = discover(tmp_path)
    assert dataset.channels == ("t1", "flair")
    assert names(dataset) == ["p1", "p2"]
    assert labelled(dataset) == ["p1"]
    assert files(dataset, "p2") == ["p2_T1.nii.gz", "p2_flair.nii.gz"]


def test_plain_loose_files_of_one_contrast_keep_their_names(tmp_path):
    put(tmp_path, "sub-01_T1w.nii.gz", "sub-02_T1w.nii.gz", "sub-01_seg.nii.gz")
    dataset = discover(tmp_path)
    assert dataset.channels == ("t1",)
    assert names(dataset) == ["sub-01_T1w", "sub-02_T1w"]
    assert labelled(dataset) == ["sub-01_T1w"]


def test_plain_ct(tmp_path):
    put(tmp_path, "a_ct.nii.gz", "b_ct.nii.gz")
    assert discover(tmp_path).modality == "ct"


def test_plain_stacked_files(tmp_path):
    put(tmp_path, "a.nii.gz", "b.nii.gz", channels=3)
    assert discover(tmp_path).channels == ("channel_0", "channel_1", "channel_2")


def test_plain_folder_a_case(tmp_path):
    for case in ("p1", "p2"):
        put(tmp_path, f"{case}/T2.nii.gz", f"{case}/ADC.nii.gz")
    put(tmp_path, "p1/lesion_mask.nii.gz", "p3/T2.nii.gz")
    dataset = discover(tmp_path)
    assert dataset.channels == ("t2", "adc")
    assert names(dataset) == ["p1", "p2"]
    assert labelled(dataset) == ["p1"]
    (refusal,) = dataset.refused
    assert refusal.case == "p3"
    assert str(tmp_path / "p3") in refusal.reason
    assert "adc" in refusal.reason


def test_plain_folder_a_case_with_names_of_its_own(tmp_path):
    for case in ("p1", "p2"):
        put(tmp_path, f"{case}/{case}_pre.nii.gz", f"{case}/{case}_post.nii.gz", f"{case}/mask.nii.gz")
    dataset = discover(tmp_path)
    assert dataset.channels == ("post", "pre")
    assert names(dataset) == labelled(dataset) == ["p1", "p2"]


def test_plain_folder_of_many_cases(tmp_path):
    put(tmp_path, *(f"site/{name}.nii.gz" for name in ("a", "b", "c", "a_seg")))
    dataset = discover(tmp_path)
    assert names(dataset) == ["a", "b", "c"]
    assert labelled(dataset) == ["a"]


def test_plain_lacks_a_channel(tmp_path):
    put(tmp_path, *(f"p{i}_{c}.nii.gz" for i in range(3) for c in ("t1", "t2")))
    (tmp_path / "p1_t2.nii.gz").unlink()
    dataset = discover(tmp_path)
    assert names(dataset) == ["p0", "p2"]
    assert dataset.refused[0].reason.startswith(str(tmp_path / "p1_t2.nii.gz"))


def test_plain_two_files_for_a_channel(tmp_path):
    put(tmp_path, "p_t1.nii.gz", "p_t1w.nii.gz", "p_t2.nii.gz", "q_t1.nii.gz", "q_t2.nii.gz")
    dataset = discover(tmp_path)
    assert names(dataset) == ["q"]
    assert "second file" in dataset.refused[0].reason


def test_scan_that_does_not_fit_the_others(tmp_path):
    put(tmp_path, "p_t1.nii.gz", "p_t2.nii.gz", "q_t1.nii.gz", "q_t2.nii.gz", "odd.nii.gz")
    (refusal,) = discover(tmp_path).refused
    assert refusal.reason.startswith(str(tmp_path / "odd.nii.gz"))


def test_plain_unreadable_file_stays_a_case(tmp_path):
    (tmp_path / "a.nii.gz").write_bytes(b"")
    put(tmp_path, "b.nii.gz", channels=2)
    dataset = discover(tmp_path)
    assert names(dataset) == ["a", "b"]  # prepare opens it and says what is wrong
    assert len(dataset.channels) == 2


def test_links_to_folders_are_followed_without_end(tmp_path):
    put(tmp_path / "store", "p1/scan.nii.gz")
    (tmp_path / "raw").mkdir()
    os.symlink(tmp_path / "store" / "p1", tmp_path / "raw" / "p1")
    assert names(discover(tmp_path / "raw")) == ["p1"]


@pytest.mark.parametrize("ending", ["image", "scan"])
@pytest.mark.parametrize("sites", [("A", "B"), ("ct_train", "mr_train")])
def test_scans_of_sites_that_number_alike_are_no_channels(tmp_path, ending, sites):
    put(tmp_path, *(f"{site}/00{p}_{ending}.nii.gz" for site in sites for p in range(3)))
    without = discover(tmp_path)
    assert len(without.cases) == len(without.refused) == 3  # copies, or scans of others: nobody says
    assert all("expected each name once" in item.reason for item in without.refused)
    put(tmp_path, *(f"{site}/00{p}_label.nii.gz" for site in sites for p in range(3)))
    dataset = discover(tmp_path)
    assert (dataset.channels, len(labelled(dataset)), dataset.refused) == (("image",), 6, ())


def test_channels_of_sites_that_number_alike_are_those_of_cases(tmp_path):
    put(tmp_path, *(f"{site}/00{p}_{name}.nii.gz" for site in "AB" for p in range(3) for name in ("t1", "flair")))
    put(tmp_path, *(f"{site}/00{p}_seg.nii.gz" for site in "AB" for p in range(3)))
    dataset = discover(tmp_path)
    assert (dataset.channels, len(labelled(dataset)), len(dataset.refused)) == (("t1", "flair"), 3, 3)


def test_a_mask_of_the_case_is_of_no_single_channel(tmp_path):
    put(tmp_path, *(f"P{p}/c_{name}.nii.gz" for p in range(2) for name in ("raw", "scan", "seg")))
    assert (names(discover(tmp_path)), len(discover(tmp_path).channels)) == (["P0", "P1"], 2)


@pytest.mark.parametrize(
    ("training", "held_out"),
    [
        ("dataset-01training", "dataset-02validation"),
        ("TrainingData_Part1", "TestData"),
        ("Training Batch 1", "LITS-Challenge-Test-Data"),
        ("1. Images/a. Training Set", "1. Images/b. Testing Set"),
        ("stage1_train", "stage1_test"),
        ("Training400/Glaucoma", "REFUGE-Validation400/a"),
        ("FLARE22Train", "FLARE22Val"),
    ],
)
def test_a_word_of_the_folder_holds_out_beside_one_for_training(tmp_path, training, held_out):
    put(tmp_path, *(f"{held_out}/d{i}.nii.gz" for i in range(3)))
    assert not any(case.held_out for case in discover(tmp_path).cases)
    put(tmp_path, *(f"{training}/c{i}.nii.gz" for i in range(3)))
    cases = discover(tmp_path).cases
    assert [(case.name, case.held_out) for case in cases] == [(f"{n}{i}", n == "d") for n in "cd" for i in range(3)]


@pytest.mark.parametrize("name", ["latest", "TrainTest", "valve_contest"])
def test_other_words_hold_out_nothing(tmp_path, name):
    put(tmp_path, *(f"train/c{i}.nii.gz" for i in range(3)), *(f"{name}/d{i}.nii.gz" for i in range(3)))
    assert not any(case.held_out for case in discover(tmp_path).cases)


@pytest.mark.parametrize(("name", "used"), [("X_UnlabeledCase1-9", True), ("X_UnlabeledCase_PseudoLabels", False)])
def test_a_word_of_the_folder_says_unlabelled(tmp_path, name, used):
    put(tmp_path, *(f"X_LabeledCase/{kind}/c{i}.nii.gz" for kind in ("images", "labels") for i in range(2)))
    put(tmp_path, f"{name}/u0.nii.gz", f"{name}/u1.nii.gz")
    assert names(discover(tmp_path)) == ["c0", "c1", *(["u0", "u1"] if used else [])]


def test_a_folder_of_masks_may_have_a_name_before(tmp_path):
    for part in ("Tr", "Ts"):
        put(tmp_path, *(f"images{part}/{part}{i}_0000.nii.gz" for i in range(2)))
        put(tmp_path, *(f"cow_seg_labels{part}/{part}{i}.nii.gz" for i in range(2)))
    assert labelled(discover(tmp_path)) == ["Tr0", "Tr1", "Ts0", "Ts1"]
    put(tmp_path, *(f"labelsTr/Tr{i}.nii.gz" for i in range(2)))
    assert masks(discover(tmp_path))["Tr0"] == "labelsTr/Tr0.nii.gz"
