from pathlib import Path

import numpy as np

from equireg.comparing.arms import Arms
from equireg.comparing.cohorts import cohorts
from equireg.comparing.compared import Evaluation
from equireg.comparing.differences import Groups, baseline_of
from equireg.comparing.sources import read_sources
from equireg.comparing.statistics import MEAN
from reporting_made_up import Training, write_evaluation


def evaluations(tmp_path: Path, *trainings: Training) -> tuple[Evaluation, ...]:
    folders = []
    for place, training in enumerate(trainings):
        scores = {(case, "whole"): {"dice": training.skill + extra} for case, extra in (("a", 0.0), ("b", 0.1))}
        folders.append(write_evaluation(tmp_path / f"e{place}", training.facts(), scores))
    return read_sources(folders).evaluations


def groups_of(found: tuple[Evaluation, ...]) -> Groups:
    [cohort] = cohorts(found, Arms(found))
    return cohort.groups


def test_arms_gather_seeds_and_are_reported_apart_by_labels(tmp_path: Path) -> None:
    found = evaluations(
        tmp_path,
        Training("s-3-1", labelled=3, seed=1),
        Training("s-3-2", labelled=3, seed=2),
        Training("s-9-1", labelled=9, seed=1),
    )
    groups = groups_of(found)
    assert {label: len(members) for label, members in groups.items()} == {
        "supervised, 3 labelled": 2,
        "supervised, 9 labelled": 1,
    }


def test_one_seed_twice_hides_another_difference(tmp_path: Path) -> None:
    found = evaluations(
        tmp_path,
        Training("self-s1", "equireg", seed=1),
        Training("self-s2", "equireg", seed=2),
        Training("ema-s1", "equireg", seed=1),
        Training("ema-s2", "equireg", seed=2),
    )
    groups = groups_of(found)
    assert [[member.title for member in members] for members in groups.values()] == [
        ["ema-s1", "ema-s2"],
        ["self-s1", "self-s2"],
    ]


def test_two_evaluations_of_one_run_are_not_averaged(tmp_path: Path) -> None:
    groups = groups_of(evaluations(tmp_path, Training("r"), Training("r")))
    assert list(groups) == ["r (e0)", "r (e1)"]


def test_the_baseline_has_as_many_labels(tmp_path: Path) -> None:
    found = evaluations(
        tmp_path,
        Training("s3", labelled=3),
        Training("s9", labelled=9),
        Training("q9", "equireg", labelled=9),
        Training("q5", "equireg", labelled=5),
    )
    groups = groups_of(found)
    assert baseline_of("equireg, 9 labelled", groups) == "supervised, 9 labelled"
    assert baseline_of("equireg, 5 labelled", groups) is None
    assert baseline_of("supervised, 9 labelled", groups) is None


def test_a_case_without_any_value_stays_missing(tmp_path: Path) -> None:
    scores = {
        ("a", "whole"): {"dice": 0.0, "hd95_mm": None},
        ("b", "whole"): {"dice": 0.0, "hd95_mm": None},
    }
    [found] = read_sources([write_evaluation(tmp_path / "e", None, scores)]).evaluations
    summary = found.summaries["hd95_mm", MEAN]
    assert np.isnan(summary.mean)
    assert summary.missing == 2
