"""Cases that cannot stand: one name or one file twice, files outside the folder, lists that are wrong."""

import json
from pathlib import Path

import pytest

from equireg.errors import EquiregError
from equireg.layouts import discover, discover_inputs
from layout_folders import decathlon, describe, masks, names, put, put_brats


def problems(cases):
    return {case.name: case.problem for case in cases if case.problem is not None}


def nnunet(root, **content):
    describe(root, **({"channel_names": {"0": "T1"}, "labels": {"background": 0, "a": 1}} | content))
    return root


@pytest.mark.parametrize("inner", ["", "images", "imagesTr", "site"])
def test_one_name_twice_in_a_folder_is_refused_for_that_name_alone(tmp_path, inner):
    put(tmp_path / inner, "c0.nii.gz", "c1.nii.gz", "c1.nii", "c2.nii.gz")
    dataset = discover(tmp_path)
    assert names(dataset) == ["c0", "c2"]
    (refusal,) = dataset.refused
    assert refusal.case == "c1"
    assert "c1.nii.gz" in refusal.reason
    cases = discover_inputs(tmp_path, ("MRI",))
    assert [case.name for case in cases] == ["c0", "c1", "c2"]
    assert list(problems(cases)) == ["c1"]


def test_one_name_twice_in_other_layouts(tmp_path):
    put_brats(tmp_path / "brats", "A_1")
    put_brats(tmp_path / "brats", "B_1")
    put(tmp_path / "brats/A_1", "A_1_t1.nii")
    put(nnunet(tmp_path), "imagesTr/a_0000.nii.gz", "imagesTr/a_0000.nii", "imagesTr/b_0000.nii.gz")
    put(decathlon(tmp_path / "msd"), "imagesTr/a.nii", "imagesTr/extra.nii")
    for folder, channels, good in (
        ("brats", ("t1", "t1ce", "t2", "flair"), ["B_1"]),
        ("", ("T1",), ["b"]),
        ("msd", ("FLAIR", "T1w"), ["a", "b", "c"]),
    ):
        dataset = discover(tmp_path / folder)
        assert [name for name in names(dataset) if name != "z"] == good  # z has one channel alone
        assert {refusal.case for refusal in dataset.refused} <= {"A_1", "a", "extra"}
        cases = discover_inputs(tmp_path / folder, channels)
        assert [case.name for case in cases if case.problem is None] == good


def test_two_masks_of_one_name(tmp_path):
    put(tmp_path / "p", "images/a.nii.gz", "images/b.nii.gz", "labels/a.nii.gz", "labels/a.nii", "labels/b.nii")
    put(nnunet(tmp_path / "n"), *(f"imagesTr/{name}_0000.nii.gz" for name in "ab"), "labelsTr/a.nii", "labelsTr/b.nii")
    put(tmp_path / "n", "labelsTr/a.nii.gz")
    for root in (tmp_path / "p", tmp_path / "n"):
        dataset = discover(root)
        assert names(dataset) == ["b"]
        assert "mask" in dataset.refused[0].reason
        assert len(discover_inputs(root, ("T1",))) == 2


@pytest.mark.parametrize(
    ("make", "scan", "orphan"),
    [
        (Path, "a.nii.gz", "b_seg.nii.gz"),
        (Path, "images/a.nii.gz", "labels/c.nii.gz"),
        (nnunet, "imagesTr/a_0000.nii.gz", "labelsTr/orphan.nii.gz"),
        (decathlon, "imagesTr/d.nii.gz", "labelsTr/orphan.nii.gz"),
    ],
)
def test_a_mask_without_its_scan_is_refused(tmp_path, make, scan, orphan):
    put(make(tmp_path), scan, orphan)
    dataset = discover(tmp_path)
    (refusal,) = dataset.refused
    assert refusal.reason.startswith(str(tmp_path / orphan))
    assert orphan not in masks(dataset).values()


def test_one_name_in_two_folders(tmp_path):
    put(tmp_path, "imagesTr/a.nii.gz", "imagesTs/a.nii.gz", "imagesTr/b.nii.gz")
    dataset = discover(tmp_path)
    assert names(dataset) == ["a", "b"]
    assert "imagesTs" in dataset.refused[0].reason
    assert "is taken by" in str(problems(discover_inputs(tmp_path, ("T1",)))["a"])


def test_a_list_that_names_the_files_of_the_folder_otherwise(tmp_path):
    for name in "abc":
        put(tmp_path, f"imagesTr/{name}_0000.nii.gz", f"labelsTr/{name}.nii.gz")
    put(tmp_path, "imagesTr/d_0000.nii.gz")
    listed = {
        f"case_{name}": {"images": [f"imagesTr/{name}_0000.nii.gz"], "label": f"labelsTr/{name}.nii.gz"}
        for name in "abc"
    }
    listed["again"] = {"images": ["./imagesTr/../imagesTr/c_0000.nii.gz"]}
    dataset = discover(nnunet(tmp_path, dataset=listed))
    assert names(dataset) == ["again", "case_a", "case_b", "d"]
    assert "same file as that of the case again" in dataset.refused[0].reason


def test_lists_of_a_decathlon_that_repeat_a_scan(tmp_path):
    pair = {"image": "./imagesTr/a.nii.gz", "label": "./labelsTr/a.nii.gz"}
    other = "./imagesTr/b.nii.gz"
    dataset = discover(decathlon(tmp_path, training=[pair, pair, other], test=[other, "./imagesTs/z.nii.gz"]))
    assert masks(dataset) == {"a": "labelsTr/a.nii.gz", "c": None, "extra": None, "z": None}
    assert "under training and under test" in dataset.refused[0].reason
    assert "2 scans more than once" in dataset.notes[0]


def test_a_scan_that_is_its_own_mask(tmp_path):
    pair = {"image": "./imagesTr/a.nii.gz", "label": "./imagesTr/a.nii.gz"}
    dataset = discover(decathlon(tmp_path, training=[pair]))
    assert "scan and its mask" in dataset.refused[0].reason


@pytest.mark.parametrize("described", [True, False])
def test_masks_whose_values_are_instances_are_refused(tmp_path, described):
    for case, found in {"a": {"1": 0, "2": 0}, "b": {"1": 1}, "c": {"1": 0}, "d": {"1": 0, "2": 1}}.items():
        put(tmp_path, f"imagesTr/{case}_0000.nii.gz", f"labelsTr/{case}.nii.gz")
        (tmp_path / f"labelsTr/{case}.json").write_text(json.dumps({"instances": found}))
    put(tmp_path, "imagesTr/e_0000.nii.gz", "labelsTr/e.nii.gz")
    (tmp_path / "labelsTr/e.json").write_text('{"spacing": [1, 1, 1]}')
    dataset = discover(nnunet(tmp_path) if described else tmp_path)
    assert [refusal.case for refusal in dataset.refused] == ["a", "b"], "of the others the values are those of classes"
    assert "a.json says (value 2 is one of class 0); expected a value for each class" in dataset.refused[0].reason


@pytest.mark.parametrize("way", ["link", "folder", "../out/x.nii.gz", "absolute"])
def test_files_outside_the_folder(tmp_path, way):
    put(tmp_path, "out/x.nii.gz")
    root = tmp_path / "raw"
    put(root, "imagesTr/a.nii.gz")
    path = way
    if way == "link":
        (root / "imagesTr/x.nii.gz").symlink_to(tmp_path / "out/x.nii.gz")
        path = "imagesTr/x.nii.gz"
    elif way == "folder":
        (root / "linked").symlink_to(tmp_path / "out")
        path = "linked/x.nii.gz"
    elif way == "absolute":
        path = str(tmp_path / "out/x.nii.gz")
    describe(root, modality={"0": "T1"}, training=["imagesTr/a.nii.gz", path])
    dataset = discover(root, follow_links=False)
    assert names(dataset) == ["a"]
    (refusal,) = dataset.refused
    assert "outside the raw folder" in refusal.reason
    assert "--follow_links true" in refusal.remedy
    assert names(discover(root, follow_links=True)) == ["a", "x"]
    assert "outside" in str(problems(discover_inputs(root, ("T1",), follow_links=False))["x"])


def test_a_linked_folder_itself_is_the_users_own(tmp_path):
    put(tmp_path, "store/images/a.nii.gz")
    (tmp_path / "raw").symlink_to(tmp_path / "store")
    assert names(discover(tmp_path / "raw", follow_links=False)) == ["a"]


def test_listed_scans_that_are_missing_are_named_in_predict(tmp_path):
    gone = {"image": "./imagesTr/gone.nii.gz", "label": "./labelsTr/a.nii.gz"}
    cases = discover_inputs(decathlon(tmp_path, training=[gone]), ("FLAIR", "T1w"))
    assert "no such file" in str(problems(cases)["gone"])
    with pytest.raises(EquiregError, match="no such file"):
        next(case for case in cases if case.name == "gone").read_image()
    put(tmp_path / "n", "imagesTr/a_0000.nii.gz")
    nnunet(tmp_path / "n", dataset={"a": {"images": ["imagesTr/a_0000.nii.gz"]}, "b": {"images": ["no.nii.gz"]}})
    assert list(problems(discover_inputs(tmp_path / "n", ("T1",)))) == ["b"]
    put(tmp_path / "v1", "imagesTr/a_0000.nii.gz")
    listed = [{"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in "ab"]
    describe(tmp_path / "v1", modality={"0": "T1"}, training=listed)
    assert list(problems(discover_inputs(tmp_path / "v1", ("T1",)))) == ["b"]
    assert names(discover(tmp_path / "v1")) == ["a"]
