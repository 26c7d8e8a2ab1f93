"""Splits by patient, and the nested choice of labelled and unlabelled cases."""

import itertools
import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equireg.batches.choice import choose_cases
from equireg.config import TrainConfig
from equireg.errors import EquiregError
from equireg.folders.prepared import CaseRecord, Split
from equireg.layouts import RawCase
from equireg.preparation.split import SplitCase, read_split, split_cases, thesis_split
from prepared_sets import record

# Ten labelled patients with two scans each, and five unlabelled ones.
SCANS = [record(f"p{i:02}_{scan}", patient=f"p{i:02}") for i in range(10) for scan in range(2)]
SCANS += [record(f"u{i}", labelled=False) for i in range(5)]
LABELLED = frozenset(case.name for case in SCANS if case.labelled)
TRAINING = [record(f"c{i:02}", labelled=i % 3 != 0) for i in range(21)]


def plain(cases: list[CaseRecord]) -> list[SplitCase]:
    return [SplitCase(case.name, case.patient, case.held_out) for case in cases]


def chosen(cases: list[CaseRecord] | None = None, **options: Any) -> tuple[list[str], list[str]]:
    return choose_cases(TRAINING if cases is None else cases, TrainConfig(**options))


def test_fractions_count_patients_with_a_mask() -> None:
    splits = split_cases(plain(SCANS), LABELLED, (0.2, 0.3), 42)
    assert sorted(splits) == sorted(case.name for case in SCANS)
    counts = {split: sum(value == split for value in splits.values()) for split in ("train", "val", "test")}
    assert counts == {"train": 10 + 5, "val": 4, "test": 6}


def test_a_patients_scans_stay_together_and_the_seed_decides() -> None:
    splits = split_cases(plain(SCANS), LABELLED, (0.2, 0.3), 42)
    assert all(splits[f"p{i:02}_0"] == splits[f"p{i:02}_1"] for i in range(10))
    assert splits == split_cases(plain(SCANS[::-1]), LABELLED, (0.2, 0.3), 42)
    assert splits != split_cases(plain(SCANS), LABELLED, (0.2, 0.3), 43)


def test_held_out_patients_are_test_whole() -> None:
    cases = [*SCANS, record("h_0", patient="h", held_out=True, labelled=False), record("h_1", patient="h")]
    splits = split_cases(plain(cases), LABELLED | {"h_1"}, (0.2, 0.0), 42)
    assert splits["h_0"] == splits["h_1"] == "test"
    assert list(splits.values()).count("test") == 2


@pytest.mark.parametrize(("patients", "expected"), [(1, (1, 0, 0)), (2, (1, 1, 0)), (3, (1, 1, 1)), (0, (0, 0, 0))])
def test_too_few_patients_train_first_then_validate(patients: int, expected: tuple[int, int, int]) -> None:
    cases = [record(f"p{i}") for i in range(patients)]
    splits = list(split_cases(plain(cases), frozenset(case.name for case in cases), (0.4, 0.4), 1).values())
    assert (splits.count("train"), splits.count("val"), splits.count("test")) == expected


def test_known_patients_stay_and_new_ones_are_drawn_toward_the_fractions() -> None:
    cases = [record(f"p{i:02}") for i in range(20)]

    def drawn(count: int, known: dict[str, Split]) -> dict[str, Split]:
        names = frozenset(case.name for case in cases[:count])
        return split_cases(plain(cases[:count]), names, (0.2, 0.2), 42, known)

    first = drawn(10, {})
    assert first == split_cases(plain(cases[:10]), frozenset(case.name for case in cases[:10]), (0.2, 0.2), 42)
    second = drawn(20, first)
    assert {name: second[name] for name in first} == first
    assert [[*second.values()].count(split) for split in ("train", "val", "test")] == [12, 4, 4]
    assert second == drawn(20, first)
    assert drawn(10, first) == first
    # Nobody of those that stay trains, so that the one new patient does.
    assert drawn(4, {"p00": "test", "p01": "test", "p02": "test"})["p03"] == "train"


def raw_case(folder: str, *, masked: bool = True, held_out: bool = False) -> RawCase:
    home = Path("raw") / folder
    label = home / "seg.nii.gz" if masked else None
    return RawCase(home.name, (home / "t1.nii.gz",), label, "one patient", held_out)


def test_the_thesis_shuffled_its_folders_in_the_order_of_their_paths() -> None:
    # The names are such that the order of the folders is not that of the cases.
    folders = [f"{grade}/{9 - index}" for grade in ("HGG", "LGG") for index in range(5)]
    cases = [raw_case(folder) for folder in reversed(folders)]
    paths = sorted(folders)
    random.Random(42).shuffle(paths)
    splits = thesis_split(cases, 0.2, 42)
    assert {name for name, split in splits.items() if split == "val"} == {path[-1] for path in paths[8:]}
    assert splits == thesis_split(cases[::-1], 0.2, 42)
    assert splits != thesis_split(cases, 0.2, 43)


@pytest.mark.parametrize(
    ("count", "fraction", "train"), [(335, 0.2, 268), (2, 0.2, 1), (10, 0.3, 7), (10, 0.9, 1), (5, 0, 5)]
)
def test_the_thesis_part_is_cut_to_a_whole_number(count: int, fraction: float, train: int) -> None:
    splits = thesis_split([raw_case(f"HGG/{index}") for index in range(count)], fraction, 42)
    assert list(splits.values()).count("train") == train


def test_the_thesis_split_shuffles_masked_cases_that_are_not_held_out() -> None:
    masked = [raw_case(f"HGG/{index}") for index in range(10)]
    others = [raw_case("HGG/bare", masked=False), raw_case("Validation/set", held_out=True)]
    splits = thesis_split([*others, *masked], 0.2, 42)
    assert (splits["bare"], splits["set"]) == ("train", "test")
    assert {name: splits[name] for name in map(str, range(10))} == thesis_split(masked, 0.2, 42)


def test_a_split_file_decides_and_the_rest_trains(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    path.write_text(json.dumps({"val": ["p00_0"], "test": ["p01_0", "p01_1"]}))
    held = record("h", held_out=True, labelled=False)
    splits = read_split(path, plain([*SCANS, held]))
    assert splits["p00_0"] == splits["p00_1"] == "val"  # the second scan follows its patient
    assert splits["p01_0"] == splits["p01_1"] == splits["h"] == "test"
    assert splits["p02_0"] == splits["u0"] == "train"


def test_masks_that_a_split_file_does_not_list_are_told_where_it_lists_training(tmp_path: Path, caplog) -> None:
    path, masked = tmp_path / "split.json", {"p00_0", "p01_0", "p02_0", "p03_0"}
    path.write_text(json.dumps({"train": ["p02_0"], "val": ["p00_0"], "test": ["p01_0"]}))
    splits = read_split(path, plain(SCANS), masked=masked)
    assert splits["p03_0"] == "train"
    assert f"{path}: no list names 1 of 4 cases with a mask, and they train with it: p03_0." in caplog.text
    caplog.clear()
    path.write_text(json.dumps({"val": ["p00_0"]}))
    read_split(path, plain(SCANS), masked=masked)
    assert not caplog.text


def test_letters_of_a_split_file_are_composed_as_names_are(tmp_path: Path) -> None:
    path = tmp_path / "split.json"
    path.write_text(json.dumps({"val": ["Mu\u0308ller"]}))
    assert read_split(path, plain([record("Müller"), record("b")])) == {"Müller": "val", "b": "train"}


@pytest.mark.parametrize(
    ("content", "finding"),
    [
        ('{"val": ["nobody"]}', "names the case 'nobody'"),
        ('{"val": ["labels/p00_0.nii.gz"]}', "did you mean 'p00_0'? Give names of cases, without folder and ending"),
        ('{"val": ["p00_0"], "test": ["p00_0"]}', "names the case 'p00_0' both in val and in test"),
        ('{"val": ["p00_0"], "test": ["p00_1"]}', "patient 'p00' are both in val and in test"),
        ('{"val": ["p00_0", "p00_0"]}', "names the case 'p00_0' twice in val"),
        ('{"val": ["p00_0"], "val": ["p01_0"]}', "the key 'val' is there twice"),
        ('{"valid": ["p00_0"]}', "has the keys valid; expected an object with the lists train, val and test"),
        ('{"val": "p00_0"}', "has under val no list of names; expected an object"),
        ('[{"train": ["p00_0"], "val": []}]', "`equireg train --folds_file`; here expected an object"),
        ("1", "is a JSON int; expected an object"),
        ("{", "is not valid JSON"),
        (None, "no such file or folder"),
    ],
)
def test_a_split_file_that_does_not_fit_is_named(tmp_path: Path, content: str | None, finding: str) -> None:
    path = tmp_path / "split.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(EquiregError) as caught:
        read_split(path, plain(SCANS))
    assert str(caught.value).startswith(f"{path}: ")
    assert finding in str(caught.value)


@pytest.mark.parametrize("seed", range(5))
def test_choices_of_one_seed_are_nested(seed: int) -> None:
    orders = [chosen(sup_cases=n, unsup_cases=n, seed=seed) for n in (3, 5, 14)]
    for (few, few_more), (many, many_more) in itertools.pairwise(orders):
        assert many[: len(few)] == few
        assert many_more[: len(few_more)] == few_more
    assert set(orders[-1][0]) == {case.name for case in TRAINING if case.labelled}


@pytest.mark.parametrize("seed", [0, 7, 42])
def test_all_scans_of_few_patients_are_labelled_rather_than_one_of_many(seed: int) -> None:
    labelled, unlabelled = chosen(SCANS, sup_cases=4, seed=seed)
    assert len({name.split("_")[0] for name in labelled}) == 2
    assert sorted(unlabelled) == sorted(case.name for case in SCANS)
    order = [name.split("_")[0] for name in unlabelled]
    assert len(list(itertools.groupby(order))) == 10 + 5  # a patient's scans follow each other


def test_where_each_patient_has_one_scan_the_permutation_is_that_of_the_scans() -> None:
    labelled, unlabelled = chosen(TRAINING, sup_cases=3, seed=42)
    order = [f"c{index:02}" for index in np.random.default_rng(42).permutation(21)]
    assert unlabelled == order
    assert labelled == [name for name in order if int(name[1:]) % 3][:3]


def test_another_seed_chooses_others() -> None:
    assert chosen(sup_cases=5, seed=1) != chosen(sup_cases=5, seed=2)
    assert chosen(sup_cases=5, seed=1) == chosen(TRAINING[::-1], sup_cases=5, seed=1)


@pytest.mark.parametrize(("cut", "expected"), [(1.0, 14), (0.5, 7), (0.51, 8), (0.05, 1), (3 / 14, 3), (0.3, 5)])
def test_sup_cut_counts_masks_and_rounds_up(cut: float, expected: int) -> None:
    assert len(chosen(sup_cut=cut)[0]) == expected


@pytest.mark.parametrize(("cut", "expected"), [(1.0, 21), (0.5, 10), (0.99, 20), (0.01, 1), (0.0, 0), (3 / 21, 3)])
def test_unsup_cut_counts_all_and_rounds_down_but_never_to_none(cut: float, expected: int) -> None:
    assert len(chosen(unsup_cut=cut)[1]) == expected


def test_masks_are_ignored_where_cases_are_used_without() -> None:
    labelled, unlabelled = chosen()
    assert set(labelled) < set(unlabelled)
    assert set(unlabelled) == {case.name for case in TRAINING}


@pytest.mark.parametrize(
    ("options", "finding"),
    [
        ({"sup_cases": 0}, "asks for 0 labelled cases; expected 1 to 14"),
        ({"sup_cut": 0.0}, "asks for 0 labelled cases; expected 1 to 14"),
        ({"sup_cases": 15}, "asks for 15 labelled cases; expected 1 to 14"),
        ({"unsup_cases": 22}, "asks for 22 cases; expected at most 21"),
    ],
)
def test_a_cut_that_cannot_be_met_is_refused(options: dict[str, Any], finding: str) -> None:
    with pytest.raises(EquiregError, match=finding):
        chosen(**options)


def test_no_labelled_case_is_refused() -> None:
    with pytest.raises(EquiregError, match="no labelled case among the 1 training cases"):
        chosen([record("a", labelled=False), record("b", "val")])


def test_held_out_cases_are_used_only_when_asked_for() -> None:
    held = [record("h0", "test", labelled=False, held_out=True), record("h1", "test", held_out=True)]
    drawn = record("t", "test")
    cases = [*TRAINING, *held, drawn]
    assert set(chosen(cases)[1]) == {case.name for case in TRAINING}
    labelled, unlabelled = chosen(cases, unlabelled_from="test")
    # A held-out case with a mask, and a test case that was drawn, stay out of training.
    assert set(unlabelled) == {case.name for case in TRAINING} | {"h0"}
    assert not set(labelled) & {"h0", "h1", "t"}


@pytest.mark.parametrize("seed", range(5))
def test_further_scans_without_masks_leave_the_labelled_cases_as_they_are(seed: int) -> None:
    held = [record(f"h{number}", "test", labelled=False, held_out=True) for number in range(3)]
    further = chosen([*TRAINING, *held], unlabelled_from="test", sup_cases=2, seed=seed)[0]
    assert further == chosen([*TRAINING, *held], sup_cases=2, seed=seed)[0]
