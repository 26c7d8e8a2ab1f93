"""Names of cases."""

import json

import pytest

from equireg.layouts import discover
from equireg.layouts.masks import case_names
from equireg.layouts.names import problem_of
from layout_folders import describe, put


@pytest.mark.parametrize("name", ["c1", "-dash", "a.b.c", "Müller, 001", "日本 4", "O'Brien & co", "x" * 200])
def test_names_that_serve(name):
    assert problem_of(name) is None


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", ".", "..", ".c1", "/etc/c1", "../c1", "siteA/c1", "a\\b", "a\x00", "a\nb", "a\x1b[31m"),
        *("a\u202eb", "\udcff", "x" * 201, "é" * 101, None, 7),
    ],
)
def test_names_that_do_not(name):
    problem = problem_of(name)
    assert problem
    assert problem.isprintable()
    assert len(problem) < 200


def test_keys_of_an_explicit_list_are_names(tmp_path):
    put(tmp_path, "deep/x1.nii.gz", "deep/x2.nii.gz", "deep/x3.nii.gz")
    listed = {
        name: {"images": [f"deep/x{index}.nii.gz"]}
        for index, name in enumerate(["siteA/c1", str(tmp_path / "victim"), "good"], 1)
    }
    describe(tmp_path, channel_names={"0": "T1"}, dataset=listed)
    dataset = discover(tmp_path)
    assert [case.name for case in dataset.cases] == ["good"]
    assert len(dataset.refused) == 2
    assert all("separator" in refusal.reason for refusal in dataset.refused)
    json.dumps([vars(refusal) for refusal in dataset.refused])


@pytest.mark.parametrize("case", ["p1", "p1_lesion", "p1_roi", "p1_seg", "case_label_2", "c01-final"])
@pytest.mark.parametrize(
    "file",
    [
        "{}",
        "{}_seg",
        "{}-mask",
        "{}_label_map",
        "{}_corrected",
        "{}.seg",
        "{} segmentation.seg",
        "{}_seg_2",
        "{}_seg_final",
    ],
)
def test_words_for_masks_are_taken_off_one_by_one(case, file):
    """A scan may have such words in its own name, so that a longer name goes before a shorter one."""
    others = {"p1", "case"}
    first = next(name for name in case_names(file.format(case)) if name in {case, *others})
    assert first == case


def test_words_in_front_and_counts_are_taken_off_too():
    assert case_names("mask_c1_gt")[-1] == "c1"
    assert case_names("aligned_seg35")[-1] == "aligned"
    assert case_names("mask") == ["mask"]
