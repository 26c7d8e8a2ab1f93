"""Near variants of plain folders: a mask is never taken for a scan, nor a time point for a channel."""

import nibabel as nib
import numpy as np
import pytest

from equireg.layouts import discover
from layout_folders import files, labelled, masks, names, put

END = ".nii.gz"


@pytest.mark.parametrize(
    ("scan", "mask"),
    [
        ("images/img_{:04d}", "labels/seg_{:04d}"),
        ("images/img{:04d}", "labels/label{:04d}"),
        ("imagesTr/img{:04d}", "labelsTr/label{:04d}"),
        ("Images/case_{:04d}", "Masks/case_{:04d}_mask"),
        ("images/p{:02d}", "images/labels/p{:02d}"),
        ("images/c{:02d}", "ground_truth/c{:02d}"),
        ("images/c{:02d}", "GT/c{:02d}_gt"),
        ("train_images/c{:02d}", "train_labels/c{:02d}"),
        ("training/images/c{:02d}", "training/labels/c{:02d}"),
        ("img_dir/c{:02d}", "ann_dir/c{:02d}"),
        ("img_dir/train/c{:02d}", "ann_dir/train/c{:02d}"),
        ("ct/c{:02d}", "segmentation/c{:02d}"),
        ("data/c{:02d}", "labels/c{:02d}"),
        ("c{:02d}", "labels/c{:02d}"),
        ("site/c{:02d}", "site/Segmentations/c{:02d}-label"),
        ("volume-{:d}", "segmentation-{:d}"),
        ("image_{:02d}", "mask_{:02d}"),
        ("img{:02d}", "label{:02d}"),
        ("c{:02d}", "c{:02d}_ground_truth"),
        ("c{:02d}", "C{:02d}_GT".replace("C", "c")),
        ("c{:02d}", "c{:02d}-labelmap"),
        ("c{:02d}", "c{:02d}_seg-manual"),
        ("c{:02d}", "c{:02d}_lesion"),
        ("c{:02d}", "c{:02d}.seg"),
        ("c{:02d}", "seg/c{:02d}_seg"),
        ("all/c{:02d}", "all/c{:02d}_Segmentation"),
        ("images/site/c{:02d}", "labels/site/c{:02d}"),
        ("images/c{:02d}/scan", "labels/c{:02d}/mask"),
        ("c{:02d}/imaging", "c{:02d}/segmentation"),
        ("c{:02d}/image", "c{:02d}/label"),
        ("c{:02d}/c{:02d}", "c{:02d}/masks/c{:02d}"),
        ("c{:02d}/images/scan", "c{:02d}/labels/scan"),
        ("c{:02d}/scan", "labels/c{:02d}"),
        ("c{:02d}/scan", "c{:02d}/mask/any"),
    ],
)
def test_each_scan_has_its_mask(tmp_path, scan, mask):
    pairs = [(scan.format(*[i] * 3) + END, mask.format(*[i] * 3) + END) for i in range(10)]
    put(tmp_path, *(path for pair in pairs for path in pair))
    dataset = discover(tmp_path)
    assert dataset.refused == ()
    assert sorted((files(dataset, name)[0], mask) for name, mask in masks(dataset).items()) == sorted(pairs)
    assert len(dataset.channels) == 1


@pytest.mark.parametrize("folder", ["unlabeled", "unlabelled", "Unannotated", "no_masks", "unlabeled_data/a"])
def test_scans_in_a_folder_called_unlabelled_are_used_beside_images_and_labels(tmp_path, folder):
    put(tmp_path, *(f"{kind}/c{i}{END}" for kind in ("images", "labels") for i in range(2)))
    noise = np.random.default_rng(0).normal(size=(4, 4, 4))
    for path in (*(f"{folder}/u{i}" for i in range(3)), "elsewhere/old"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(noise, np.eye(4)), tmp_path / f"{path}{END}")
    dataset = discover(tmp_path)
    assert labelled(dataset) == ["c0", "c1"]
    assert names(dataset) == ["c0", "c1", "u0", "u1", "u2"]  # what lies elsewhere stays aside
    assert any("elsewhere" in note and note.endswith("call the folder unlabeled") for note in dataset.notes)


def test_cases_with_masks_say_which_channels_there_are(tmp_path):
    put(tmp_path, *(f"images/c{i}_{channel}{END}" for i in range(2) for channel in ("t1", "t2")))
    put(tmp_path, *(f"labels/c{i}{END}" for i in range(2)), *(f"images/u{i}{END}" for i in range(5)))
    dataset = discover(tmp_path)
    assert dataset.channels == ("t1", "t2")
    assert labelled(dataset) == ["c0", "c1"]


def test_the_same_names_in_two_sites(tmp_path):
    put(tmp_path, *(f"{kind}/{site}/c1.nii.gz" for kind in ("images", "labels") for site in "ab"))
    dataset = discover(tmp_path)
    assert masks(dataset) == {"a": "labels/a/c1.nii.gz", "b": "labels/b/c1.nii.gz"}


def test_numbered_scans_without_a_mask_are_cases(tmp_path):
    put(tmp_path, *(f"images/img_{i:04d}.nii.gz" for i in range(10)))
    assert len(discover(tmp_path).cases) == 10
    put(tmp_path / "sites", *(f"{site}_{i:04d}.nii.gz" for site in "ab" for i in range(10)))
    dataset = discover(tmp_path / "sites")
    assert len(dataset.cases) == 20
    assert "not of channels" in dataset.warnings[0]
    put(tmp_path / "years", "scan_2018.nii.gz", "scan_2019.nii.gz")
    assert discover(tmp_path / "years").warnings == ()


@pytest.mark.parametrize("times", [("t0", "t1"), ("t0", "t1", "t2"), ("tp1", "tp2"), ("baseline", "followup")])
@pytest.mark.parametrize("case", ["p{p}_{t}", "p{p}/{t}", "p{p}/p{p}_{t}", "p{p}/{t}/scan", "images/p{p}_{t}"])
@pytest.mark.parametrize("mask", ["", "_seg"])
def test_time_points_are_cases(tmp_path, times, case, mask):
    for p in range(3):
        for t in times:
            scan = case.format(p=p, t=t)
            put(tmp_path, f"{scan}.nii.gz")
            if mask:
                put(tmp_path, (f"{scan}{mask}" if "images" not in scan else f"labels/p{p}_{t}") + END)
    dataset = discover(tmp_path)
    assert dataset.refused == ()
    assert sorted(names(dataset)) == sorted(f"p{p}_{t}" for p in range(3) for t in times)
    assert len(labelled(dataset)) == (len(dataset.cases) if mask else 0)
    assert {case.patient for case in dataset.cases} == {"p0", "p1", "p2"}


@pytest.mark.parametrize("form", ["p{p}/{t}_{c}", "p{p}/{c}_{t}", "p{p}/p{p}_{t}_{c}", "p{p}/{t}/{c}", "p{p}_{c}_{t}"])
@pytest.mark.parametrize("times", [("tp1", "tp2"), ("baseline", "followup"), ("ses-01", "ses-02"), ("t0", "t1")])
def test_time_points_of_several_channels(tmp_path, form, times):
    for p in range(2):
        for t in times:
            put(tmp_path, *(form.format(p=p, t=t, c=c) + END for c in ("adc", "flair")))
    dataset = discover(tmp_path)
    assert dataset.channels == ("flair", "adc")
    assert sorted(names(dataset)) == sorted(f"p{p}_{t}" for p in range(2) for t in times)
    assert {case.patient for case in dataset.cases} == {"p0", "p1"}


def test_time_points_that_share_a_mask_are_refused(tmp_path):
    for p in range(2):
        put(tmp_path, *(f"p{p}/{name}.nii.gz" for name in ("baseline", "followup", "mask")))
    put(tmp_path, "q/scan.nii.gz")
    dataset = discover(tmp_path)
    assert names(dataset) == ["q"]
    assert len(dataset.refused) == 4
    assert "which of them" in dataset.refused[0].reason


def test_t1_and_t2_are_channels_unless_each_has_a_mask(tmp_path):
    put(tmp_path, *(f"p{p}_{c}.nii.gz" for p in range(2) for c in ("t1", "t2")), "p1_seg.nii.gz")
    assert discover(tmp_path).channels == ("t1", "t2")
    put(tmp_path / "own", *(f"p{p}_{c}{m}.nii.gz" for p in range(2) for c in ("t1", "t2") for m in ("", "_seg")))
    assert labelled(discover(tmp_path / "own")) == ["p0_t1", "p0_t2", "p1_t1", "p1_t2"]


@pytest.mark.parametrize("mask", ["seg/p{p}", "T1/p{p}_seg", "labels/p{p}"])
def test_a_folder_a_channel(tmp_path, mask):
    put(tmp_path, *(f"{folder}/p{p}.nii.gz" for folder in ("T1", "FLAIR") for p in range(3)))
    put(tmp_path, *(mask.format(p=p) + END for p in range(3)))
    dataset = discover(tmp_path)
    assert dataset.channels == ("t1", "flair")
    assert names(dataset) == labelled(dataset) == ["p0", "p1", "p2"]


@pytest.mark.parametrize(
    ("scan", "mask"),
    [("{c}/p{p}", "mask/p{p}"), ("{c}/scan", "mask/mask"), ("{c}/scan", "seg"), ("{c}/img", "labels/img")],
)
def test_a_folder_a_channel_inside_that_of_the_case(tmp_path, scan, mask):
    for p in range(3):
        put(tmp_path / f"p{p}", *(scan.format(c=c, p=p) + END for c in ("T1", "FLAIR")), mask.format(p=p) + END)
    dataset = discover(tmp_path)
    assert dataset.channels == ("t1", "flair")
    assert names(dataset) == labelled(dataset) == ["p0", "p1", "p2"]
    (tmp_path / "p2" / "FLAIR" / (scan.rsplit("/", 1)[1].format(p=2) + END)).unlink()
    [refusal] = [one for one in discover(tmp_path).refused if "channels" in one.reason]
    assert "has 1 of the channels; expected 2 (t1, flair)" in refusal.reason


def test_folders_of_one_scan_that_name_no_channels_are_cases(tmp_path):
    put(tmp_path, *(f"p{p}/{when}/scan{END}" for p in range(2) for when in ("visit1", "visit2")))
    dataset = discover(tmp_path)
    assert (dataset.channels, len(dataset.cases)) == (("image",), 4)


@pytest.mark.parametrize("times", [("baseline", "followup"), ("t0", "t1"), ("visit1", "visit2")])
def test_a_folder_a_time_point(tmp_path, times):
    put(tmp_path, *(f"{time}/p{p}{m}.nii.gz" for time in times for p in range(3) for m in ("", "_seg")))
    dataset = discover(tmp_path)
    assert names(dataset) == labelled(dataset) == sorted(f"p{p}_{time}" for p in range(3) for time in times)
    assert {case.patient for case in dataset.cases} == {"p0", "p1", "p2"}


def test_a_folder_a_site_is_no_case(tmp_path):
    put(tmp_path, *(f"{site}/p{p}.nii.gz" for site in ("left hospital", "other") for p in range(3)))
    dataset = discover(tmp_path)
    assert dataset.channels == ("image",)
    assert names(dataset) == ["p0", "p1", "p2"]
    assert len(dataset.refused) == 3  # the second of each name, told with the reason


def test_contrasts_before_and_after_the_agent_are_channels(tmp_path):
    put(tmp_path, *(f"p{p}_T1_{when}.nii.gz" for p in range(2) for when in ("pre", "post")))
    dataset = discover(tmp_path)
    assert (dataset.channels, names(dataset)) == (("t1", "t1ce"), ["p0", "p1"])


def test_frames_with_masks_beside_a_series(tmp_path):
    for p in range(3):
        put(tmp_path, *(f"s{p}/s{p}_{frame}{mask}.nii.gz" for frame in ("ed1", "es2") for mask in ("", "_gt")))
        put(tmp_path, f"s{p}/s{p}_4d.nii.gz", channels=5)
    dataset = discover(tmp_path)
    assert dataset.channels == ("image",)
    assert labelled(dataset) == [f"s{p}_{frame}" for p in range(3) for frame in ("ed1", "es2")]


def test_two_masks_that_fit_alike_refuse_the_case_alone(tmp_path):
    put(tmp_path, "a.nii.gz", "a_seg.nii.gz", "a_lesion.nii.gz", "b.nii.gz", "b_seg.nii.gz")
    put(tmp_path, "b_brain_mask.nii.gz")
    dataset = discover(tmp_path)
    assert masks(dataset) == {"b": "b_seg.nii.gz"}
    (refusal,) = dataset.refused
    assert "a_lesion.nii.gz" in refusal.reason
    assert "a_seg.nii.gz" in refusal.reason


def test_images_beside_folders_of_scans_are_reported(tmp_path):
    put(tmp_path, "images/a.nii.gz", "labels/a.nii.gz", "results/a.nii.gz")
    dataset = discover(tmp_path)
    assert names(dataset) == ["a"]
    assert any("results" in note for note in dataset.notes)


def test_test_sets_beside_training_sets_are_held_out(tmp_path):
    put(tmp_path, *(f"{part}/{kind}/{part}1.nii.gz" for part in ("train", "test") for kind in ("images", "labels")))
    put(tmp_path / "other", "test/a.nii.gz", "b.nii.gz")
    assert [(case.name, case.held_out) for case in discover(tmp_path).cases if case.name != "b"][-2:] == [
        ("test1", True),
        ("train1", False),
    ]
    assert not any(case.held_out for case in discover(tmp_path / "other").cases)


def test_a_link_to_a_parent_does_not_end_in_a_loop(tmp_path):
    put(tmp_path, "p1/scan.nii.gz")
    (tmp_path / "p1/up").symlink_to(tmp_path)
    assert names(discover(tmp_path)) == ["p1"]


def test_times_t1_and_t2_beside_contrasts_t1_and_t2(tmp_path):
    contrasts = ("FLAIR", "T1", "T2")
    put(tmp_path, *(f"a/P{p}/T{t}/P{p}_T{t}_{c}.nii.gz" for p in "12" for t in "12" for c in (*contrasts, "MASK")))
    put(tmp_path, *(f"b/P{p}/T{t}/{c}.nii.gz" for p in "12" for t in "12" for c in (*contrasts, "MASK")))
    for folder in "ab":
        dataset = discover(tmp_path / folder)
        assert names(dataset) == labelled(dataset) == ["P1_T1", "P1_T2", "P2_T1", "P2_T2"]
        assert dataset.channels == ("t1", "t2", "flair")
        assert {case.patient for case in dataset.cases} == {"P1", "P2"}


@pytest.mark.parametrize("words", [("flair_time01_reg", "flair_time02_reg"), ("before", "after"), ("V1", "V2")])
def test_any_words_for_times_that_share_a_mask_are_refused(tmp_path, words):
    put(tmp_path, *(f"P{p}/{word}.nii.gz" for p in "123" for word in (*words, "mask")))
    dataset = discover(tmp_path)
    assert dataset.cases == ()
    assert "one of several time points" in dataset.refused[0].reason


def test_folders_of_visits(tmp_path):
    put(tmp_path, *(f"V{v}/P{p}{end}.nii.gz" for v in "12" for p in "123" for end in ("", "_seg")))
    assert {case.name: case.patient for case in discover(tmp_path).cases} == {
        f"P{p}_V{v}": f"P{p}" for v in "12" for p in "123"
    }


def test_words_for_processing_after_a_channel(tmp_path):
    put(tmp_path, *(f"p{p}_{c}.nii.gz" for p in "123" for c in ("mprage_brain", "T2_pp", "seg")))
    dataset = discover(tmp_path)
    assert dataset.channels == ("t1", "t2")
    assert names(dataset) == labelled(dataset) == ["p1", "p2", "p3"]


def test_single_scans_of_different_contrasts_are_reported(tmp_path):
    put(tmp_path, *(f"p{p}/{c}{end}.nii.gz" for p in "12" for c in ("adc", "t2") for end in ("", "_seg")))
    assert "different contrasts: adc (p2_adc), t2 (p2_t2)" in discover(tmp_path).warnings[0]


def test_numbers_that_masks_prove_are_not_warned_of(tmp_path):
    put(tmp_path, *(f"{kind}/amos_{i:04d}.nii.gz" for kind in ("images", "labels") for i in range(1, 4)))
    assert discover(tmp_path).warnings == ()


def test_numbers_that_only_the_numbers_of_masks_suggest_are_warned_of(tmp_path):
    put(tmp_path, *(f"{kind}_{i:04d}.nii.gz" for kind in ("images/img", "labels/seg") for i in range(4)))
    dataset = discover(tmp_path)
    assert len(labelled(dataset)) == 4
    assert "the numbers at the end of img_0000, img_0001 and others" in dataset.warnings[0]


def test_brain_masks_left_aside_are_reported(tmp_path):
    put(tmp_path, *(f"c{i}{end}.nii.gz" for i in range(3) for end in ("", "_brain_mask")))
    assert "left aside: 3 brain masks" in discover(tmp_path).notes[0]


@pytest.mark.parametrize("words", [("V1", "V2"), ("scan_1", "scan_2"), ("flair_V1", "flair_V2"), ("6m", "12m")])
def test_visits_of_a_folder_are_no_channels(tmp_path, words):
    put(tmp_path, *(f"P{p}/{word}.nii.gz" for p in "123" for word in words))
    dataset = discover(tmp_path)
    assert len(dataset.cases) == 6
    assert len(dataset.channels) == 1
    assert {case.patient for case in dataset.cases} == {"P1", "P2", "P3"}


def test_visits_after_the_channel(tmp_path):
    put(tmp_path, *(f"P{p}_{word}.nii.gz" for p in "12" for word in ("T1_V1", "T1_V2", "T2_V1", "T2_V2")))
    put(tmp_path, *(f"P{p}_V{v}_seg.nii.gz" for p in "12" for v in "12"))
    assert labelled(discover(tmp_path)) == ["P1_V1", "P1_V2", "P2_V1", "P2_V2"]


def test_scans_and_masks_of_one_name_in_folders_that_tell(tmp_path):
    put(tmp_path, *(f"{kind}/{i}_roi.nii.gz" for kind in ("images", "labels") for i in range(3)))
    assert labelled(discover(tmp_path)) == ["0_roi", "1_roi", "2_roi"]


def test_the_surer_of_two_files_for_a_channel_counts(tmp_path):
    put(tmp_path, *(f"p{i}/{name}{END}" for i in range(2) for name in ("CT", "CTres", "PET", "SUV", "SEG")))  # autoPET
    dataset = discover(tmp_path)
    assert (dataset.channels, dataset.refused, labelled(dataset)) == (("ct", "pet"), (), ["p0", "p1"])
    assert files(dataset, "p0") == ["p0/CTres.nii.gz", "p0/SUV.nii.gz"]
    put(tmp_path, *(f"p{i}/CTA{END}" for i in range(2)), *(f"p{i}/NCCT{END}" for i in range(2)))
    for i in range(2):
        (tmp_path / f"p{i}/CTres{END}").unlink()
    reason = discover(tmp_path).refused[0].reason
    assert all(f"{name}.nii.gz" in reason for name in ("CT", "NCCT"))


@pytest.mark.parametrize(
    "words", [("b50_reg", "b500_reg"), ("3T_T1", "7T_T1"), ("001_t1", "002_t2"), ("T1_1mm", "T1_2mm")]
)
def test_channels_with_numbers_of_few_patients(tmp_path, words):
    put(tmp_path, *(f"P{p}/{word}.nii.gz" for p in "12" for word in (*words, "mask")))
    dataset = discover(tmp_path)
    assert (len(dataset.channels), labelled(dataset)) == (2, ["P1", "P2"])


@pytest.mark.parametrize(
    ("training", "test"),
    [("imagesTr", "unlabeled_test"), ("imagesTr", "TestData/images"), ("labeled", "unlabeled_test")],
)
def test_scans_for_testing_beside_training_scans_of_any_name_stay_out(tmp_path, training, test):
    put(tmp_path, *(f"{training}/c{index}.nii.gz" for index in range(3)))
    put(tmp_path, *(f"{training.replace('images', 'labels')}/c{index}_seg.nii.gz" for index in range(3)))
    put(tmp_path, *(f"{test}/t{index}.nii.gz" for index in range(2)))
    assert {case.name for case in discover(tmp_path).cases if not case.held_out} <= {"c0", "c1", "c2"}


def test_an_empty_folder_called_training_holds_nothing_out(tmp_path):
    put(
        tmp_path,
        *(
            f"{folder}/{folder[0]}{i}{end}"
            for folder in ("ContrastTest", "other")
            for i in "01"
            for end in (END, "_seg" + END)
        ),
    )
    (tmp_path / "train_logs").mkdir()
    assert not any(case.held_out for case in discover(tmp_path).cases)


def test_a_name_with_masks_in_it_is_one_of_scans_without_scans_of_that_part_beside(tmp_path):
    for folder in ("with", "without"):
        put(tmp_path, *(f"data_{folder}_labels_tr/{folder}{index}.nii.gz" for index in range(2)))
    put(tmp_path, *(f"data_with_labels_tr/with{index}_seg.nii.gz" for index in range(2)))
    dataset = discover(tmp_path)
    assert (len(dataset.cases), labelled(dataset), dataset.refused) == (4, ["with0", "with1"], ())
