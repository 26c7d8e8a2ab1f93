"""Folds of a cross-validation: by patient, the same for everybody, drawn or read from nnU-Net's file."""

import json
from pathlib import Path

import pytest

from equireg.batches.choice import choose_cases
from equireg.batches.folds import check_validated_once, draw_folds, folds_of, splits_in
from equireg.config import TrainConfig
from equireg.config.checks import parse_fold
from equireg.errors import EquiregError, UsageError
from equireg.folders.folds import SPLITS, FoldCases, read_folds, write_folds
from equireg.folders.prepared import PreparedSet
from equireg.pipeline.folds import How, cross_validate
from prepared_sets import record, write_set

CASES = [
    *(record(f"p{index}_{scan}", patient=f"p{index}") for index in range(5) for scan in "ab"),
    record("p0_u", patient="p0", labelled=False),
    record("v", "val"),
    record("t", "test"),
    record("u", labelled=False),
]


def test_every_patient_validates_once_and_nobody_trains_and_validates() -> None:
    folds = draw_folds(CASES, 3)
    assert sorted(name for fold in folds for name in fold.val) == sorted(
        case.name for case in CASES if case.labelled and case.split != "test"
    )
    for fold in folds:
        splits = splits_in(fold, CASES)
        patients = {split: {case.patient for case in CASES if splits[case.name] == split} for split in ("train", "val")}
        assert not patients["train"] & patients["val"]
        assert splits["t"] == "test"
        assert splits["u"] == "train"
    assert [len({name.split("_")[0] for name in fold.val}) for fold in folds] == [2, 2, 2]


def test_the_unlabelled_scan_of_a_patient_who_validates_does_not_train() -> None:
    fold = next(fold for fold in draw_folds(CASES, 3) if "p0_a" in fold.val)
    assert splits_in(fold, CASES)["p0_u"] == "val"


def test_one_scan_a_patient_gives_the_folds_that_nnunet_draws() -> None:
    # sklearn.model_selection.KFold(3, shuffle=True, random_state=12345) over seven names, as nnU-Net calls it
    folds = draw_folds([record(name) for name in "abcdefg"], 3)
    assert [fold.val for fold in folds] == NNUNET


NNUNET = [("d", "e", "g"), ("a", "b"), ("c", "f")]


def test_more_folds_than_patients_are_refused() -> None:
    with pytest.raises(EquiregError, match="7 folds are asked for, but only 6 patients have a mask"):
        draw_folds(CASES, 7)


def test_few_labelled_cases_are_a_prefix_of_more_within_the_fold() -> None:
    records = [record(f"c{index}") for index in range(12)]
    fold = draw_folds(records, 3)[0]
    splits = splits_in(fold, records)
    records = [record(name, split) for name, split in splits.items()]
    few, more = (choose_cases(records, TrainConfig(sup_cases=count))[0] for count in (2, 5))
    assert more[:2] == few
    assert not set(more) & set(fold.val)


def test_a_file_beside_the_folder_is_used_and_one_that_is_named_wins(tmp_path: Path) -> None:
    data = PreparedSet(write_set(tmp_path / "set", CASES))
    own = [FoldCases(("p0_a",), ("v",)), FoldCases(("v",), ("p0_a",))]
    write_folds(data.root / SPLITS, own)
    assert folds_of(data, 2) == own == read_folds(data.root / SPLITS)
    write_folds(tmp_path / "other.json", own[::-1])
    assert folds_of(data, 2, tmp_path / "other.json") == own[::-1]
    assert splits_in(own[0], CASES)["p1_a"] == "test", "a masked case in neither list is left out, as in nnU-Net"


def test_a_file_may_hold_one_fold_and_one_fold_is_not_drawn(tmp_path: Path) -> None:
    data = PreparedSet(write_set(tmp_path / "set", CASES))
    assert parse_fold("0/1") == (0, 1)
    with pytest.raises(UsageError, match="--fold is 0/1; expected INDEX/COUNT with 2 folds or more"):
        folds_of(data, 1)
    write_folds(data.root / SPLITS, [FoldCases(("p0_a",), ("v",))])
    assert folds_of(data, 1) == [FoldCases(("p0_a",), ("v",))]
    with pytest.raises(EquiregError, match=r"holds 1 folds; 5 are asked for\. Give --fold 0/1"):
        folds_of(data, 5)


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        ({"train": []}, "expected a list of folds"),
        ([{"train": ["v"]}] * 2, "fold 0 is no object with the lists train and val"),
        ([{"train": ["v"], "val": []}] * 2, "fold 0 validates no case"),
        ([{"train": ["v"], "val": ["v"]}] * 2, "fold 0 trains and validates on 'v'"),
        (
            [{"train": ["v"], "val": ["nobody"]}] * 2,
            "names 'nobody', which the prepared folder does not hold; expected the name",
        ),
        ([{"train": ["v.nii.gz"], "val": ["p0_a"]}] * 2, "does not hold; expected 'v'"),
        ([{"train": ["v_0000"], "val": ["p0_a"]}] * 2, "does not hold; expected 'v'"),
        ([{"train": ["v"], "val": ["t"]}] * 2, "names 't', which tests"),
        ([{"train": ["v"], "val": ["u"]}] * 2, "names 'u', which has no mask"),
        ([{"train": ["p0_a"], "val": ["p0_b"]}] * 2, "scans of patient 'p0' both in train and in val"),
        ([{"train": ["v"], "val": ["p0_a"]}] * 3, "holds 3 folds; 2 are asked for"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, content: object, finding: str) -> None:
    data = PreparedSet(write_set(tmp_path / "set", CASES))
    file = tmp_path / "splits.json"
    file.write_text(json.dumps(content))
    with pytest.raises(EquiregError, match=finding):
        folds_of(data, 2, file)


def test_a_case_that_validates_in_two_folds_is_refused_where_all_are_trained(tmp_path: Path) -> None:
    data = PreparedSet(write_set(tmp_path / "set", CASES))
    again = [FoldCases(("p0_a",), ("v", "p1_a")), FoldCases(("p1_a",), ("p2_a", "v"))]
    write_folds(data.root / SPLITS, again)
    assert folds_of(data, 2) == again, "one fold of a repeated split may be trained"
    with pytest.raises(EquiregError, match=r"'v' validates in fold 0 and in fold 1; expected one"):
        check_validated_once(again)
    with pytest.raises(EquiregError, match="'v' validates in fold 0 and in fold 1"):
        cross_validate(data.root, tmp_path / "out", {"method": "sup"}, How(2))
    assert not (tmp_path / "out").exists()


def test_masks_that_no_fold_holds_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    late = [record("e"), record("f", "test"), record("g", labelled=False)]
    data = PreparedSet(write_set(tmp_path / "prepared", [*(record(name) for name in "abcd"), *late]))
    folds = [FoldCases(("a", "b"), ("c", "d")), FoldCases(("c",), ("a", "b"))]
    write_folds(data.root / SPLITS, folds)
    assert folds_of(data, 2) == folds
    words = f"1 case with a mask is in no fold of {data.root / SPLITS} and left out: e. Add "
    assert [line.startswith(words) for line in caplog.messages if "no fold" in line] == [True]
    caplog.clear()
    write_folds(data.root / SPLITS, [folds[0], FoldCases(("c", "e"), ("a", "b"))])
    folds_of(data, 2)
    assert "no fold" not in caplog.text


def test_other_splits_leave_the_digest_of_the_folder(tmp_path: Path) -> None:
    data = PreparedSet(write_set(tmp_path / "set", CASES))
    assert data.by_name["v"].split == "val"
    other = data.split_as({case.name: "train" for case in CASES})
    assert {case.split for case in other.manifest.cases} == {other.by_name["v"].split} == {"train"}
    assert data.by_name["v"].split == "val"
    assert other.digest == data.digest
