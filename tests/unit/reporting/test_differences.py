"""Paired differences: who is compared with whom, the interval over cases and seeds, the test and its correction."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import wilcoxon

from equireg.comparing.arms import Arms
from equireg.comparing.cohorts import Cohort, cohorts
from equireg.comparing.compared import Evaluation
from equireg.comparing.differences import Difference
from equireg.comparing.sources import read_sources
from equireg.comparing.statistics import MEAN
from equireg.disk import read_json, write_json
from equireg.reporting.build import report
from equireg.reporting.sections.differences import difference_rows
from equireg.reporting.sections.results import takeaway
from equireg.statistics import bootstrap_interval, holm, signed_rank
from reporting_made_up import Training, write_evaluation

CASES = tuple("abcdefgh")


def cohort_of(tmp_path: Path, *trainings: Training, noise: float = 0.0) -> Cohort:
    """Write an evaluation a training, whose Dice is its skill and some noise of its own, and read them."""
    folders = []
    for place, training in enumerate(trainings):
        rng = np.random.default_rng(place)
        scores = {
            (case, "whole"): {"dice": training.skill + 0.02 * number + noise * rng.standard_normal()}
            for number, case in enumerate(CASES)
        }
        folders.append(write_evaluation(tmp_path / f"e{place}", training.facts(), scores))
    found = read_sources(folders).evaluations
    [cohort] = cohorts(found, Arms(found))
    return cohort


def run(method: str, skill: float, seed: int = 1, unlabelled: int = 20) -> Training:
    return Training(f"{method}-seed{seed}", method, 3, unlabelled, seed, skill)


def test_runs_are_paired_by_seed(tmp_path: Path) -> None:
    cohort = cohort_of(
        tmp_path,
        run("supervised", 0.4, seed=1),
        run("supervised", 0.6, seed=2),
        run("equireg", 0.5, seed=1),
    )
    gain = cohort.differences["equireg", "supervised"]["whole"]
    assert (gain.cases, gain.pairs) == (8, 1)
    assert gain.difference == pytest.approx(0.1)  # to seed 1 alone; to the mean of both it would be 0


def test_without_a_common_seed_each_arm_is_averaged(tmp_path: Path) -> None:
    cohort = cohort_of(
        tmp_path,
        run("supervised", 0.4, seed=1),
        run("supervised", 0.6, seed=2),
        run("equireg", 0.7, seed=3),
    )
    gain = cohort.differences["equireg", "supervised"]["whole"]
    assert gain.pairs == 0
    assert gain.difference == pytest.approx(0.2)


def test_equireg_meets_its_best_rivals_and_no_other(tmp_path: Path) -> None:
    cohort = cohort_of(
        tmp_path,
        run("supervised", 0.4),
        run("equireg", 0.6),
        run("fixmatch", 0.55),
        run("bcp", 0.58),
        run("nnunet", 0.9, unlabelled=0),
    )
    assert set(cohort.differences) == {
        ("equireg", "supervised"),
        ("equireg", "bcp"),
        ("equireg", "nnunet"),
        ("fixmatch", "supervised"),
        ("bcp", "supervised"),
        ("nnunet", "supervised"),
    }


def test_rivals_of_other_amounts_of_labels_are_no_rivals(tmp_path: Path) -> None:
    cohort = cohort_of(tmp_path, run("equireg", 0.6), replace(run("bcp", 0.7), labelled=9))
    assert cohort.differences == {}


def test_p_is_of_the_mean_of_regions_and_corrected_for_all_comparisons(tmp_path: Path) -> None:
    trainings = [run(method, 0.5 + 0.05 * place) for place, method in enumerate(("supervised", "bcp", "ict"))]
    cohort = cohort_of(tmp_path, *trainings, noise=0.05)
    found = cohort.differences
    assert [by_region["whole"].p for by_region in found.values()] == pytest.approx([np.nan] * 2, nan_ok=True)
    tested = [by_region[MEAN] for by_region in found.values()]
    assert [one.p_holm for one in tested] == holm([one.p for one in tested])
    dice = [
        np.array([evaluation.scores[case, "whole", "dice"] for case in CASES])
        for evaluation in (found_of(cohort, "bcp"), found_of(cohort, "supervised"))
    ]
    expected = np.asarray(wilcoxon(dice[0], dice[1]))[1]
    assert found["bcp", "supervised"][MEAN].p == pytest.approx(expected)
    assert [row.p for row in difference_rows(cohort)] == [f"{one.p_holm:.2g}" for one in tested]


def found_of(cohort: Cohort, method: str) -> Evaluation:
    [found] = [evaluation for evaluation in cohort.evaluations if evaluation.facts.method == method]
    return found


def test_scans_of_one_patient_are_one_value(tmp_path: Path) -> None:
    trainings, gains = (
        (run("supervised", 0.4), run("equireg", 0.5)),
        dict(zip(CASES, (3, 1, 2, 4, 9, 5, 7, 8), strict=True)),
    )
    groups = [list("abc"), list("gh")]
    for same_patient in (None, groups):
        folders = []
        for training in trainings:
            gain = training.skill - 0.4
            scores = {(case, "whole"): {"dice": 0.1 + gain * by} for case, by in gains.items()}
            folder = write_evaluation(tmp_path / f"{training.method}-{same_patient is None}", training.facts(), scores)
            if same_patient and training.method == "equireg":  # the other is of an earlier version
                write_json(folder / "made_by.json", read_json(folder / "made_by.json") | {"same_patient": same_patient})
            folders.append(folder)
        found = read_sources(folders).evaluations
        [cohort] = cohorts(found, Arms(found))
        values = np.array([0.2, 0.4, 0.9, 0.5, 0.75] if same_patient else [0.1 * by for by in gains.values()])
        difference = cohort.differences["equireg", "supervised"][MEAN]
        assert (difference.cases, difference.patients) == (8, len(values))
        assert difference.difference == pytest.approx(values.mean())
        assert (difference.low, difference.high) == pytest.approx(bootstrap_interval(values))
        assert difference.p == pytest.approx(signed_rank(values))
    assert "of 5 patients" in report(folders, tmp_path / "report").read_text()


@pytest.mark.parametrize(("patients", "best"), [(4, False), (5, True)])
def test_the_interval_of_few_patients_is_rough_and_never_bold(tmp_path: Path, patients: int, best: bool) -> None:
    folders = []
    for training in (run("supervised", 0.4), run("equireg", 0.5)):
        gains = {case: training.skill * (1 + 0.1 * place) for place, case in enumerate(CASES[:patients])}
        scores = {(case, "whole"): {"dice": dice} for case, dice in gains.items()}
        folders.append(write_evaluation(tmp_path / training.method, training.facts(), scores))
    found = read_sources(folders).evaluations
    [cohort] = cohorts(found, Arms(found))
    [[cell]] = [row.cells for row in difference_rows(cohort)]
    assert (cell.best, cell.spread.endswith(", rough")) == (best, not best)
    assert ("rough 95" in takeaway(cohort)) != best


def test_the_interval_is_repeatable_and_covers_the_mean() -> None:
    values = np.random.default_rng(3).normal(0.1, 0.2, 40)
    low, high = bootstrap_interval(values)
    assert (low, high) == bootstrap_interval(values)
    assert low < values.mean() < high
    # Of a mean of 40 values: about 2 x 1.96 standard errors.
    assert high - low == pytest.approx(3.92 * values.std() / np.sqrt(40), rel=0.1)


def test_seeds_that_disagree_widen_the_interval() -> None:
    cases = np.random.default_rng(3).normal(0.1, 0.02, 40)
    alike = np.stack([cases] * 3, axis=1)
    low, high = bootstrap_interval(alike)
    apart_low, apart_high = bootstrap_interval(alike + np.array([-0.1, 0.0, 0.1]))
    assert (low, high) == pytest.approx(bootstrap_interval(cases), abs=0.002)
    # Variances over cases and over 3 seeds (their sample's, 0.02 / 3, over 3) add up.
    expected = 3.92 * np.sqrt(cases.var() / 40 + 0.02 / 9)
    assert apart_high - apart_low == pytest.approx(expected, rel=0.15)


@pytest.mark.parametrize("values", [[], [0.3]])
def test_fewer_than_two_values_have_no_interval_and_no_p(values: list[float]) -> None:
    assert np.isnan(bootstrap_interval(np.array(values))).all()
    assert np.isnan(signed_rank(np.array(values)))


def test_the_signed_rank_test_by_hand() -> None:
    # All of 6 values on one side: the two extreme ones of 2^6 sign patterns.
    assert signed_rank(np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])) == pytest.approx(2 / 64)
    assert signed_rank(np.zeros(5)) == 1.0
    with_ties = signed_rank(np.array([0.1, 0.1, -0.1, 0.2, 0.0, 0.3]))
    assert 0 < with_ties <= 1


def test_the_signed_rank_test_is_exact_also_beside_many_zeros() -> None:
    assert signed_rank(np.array([*[0.0] * 15, 0.1, 0.2, 0.3, 0.4, 0.5])) == pytest.approx(2 / 32)
    assert signed_rank(np.array([*[0.0] * 60, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])) == pytest.approx(2 / 64)
    assert signed_rank(np.array([0.0, 0.3])) == 1.0


def test_holm_by_hand() -> None:
    # Sorted 0.01, 0.02, 0.04: times 3, 2 and 1, never falling.
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.9, np.nan, 0.8]) == pytest.approx([1.0, np.nan, 1.0], nan_ok=True)
    assert holm([]) == []


def test_a_difference_without_a_test_says_so() -> None:
    assert np.isnan(Difference(3, 1, 0.1, 0.0, 0.2).p)


def test_the_page_and_its_table_report_the_comparisons(tmp_path: Path) -> None:
    cohort_of(tmp_path, run("supervised", 0.4), run("equireg", 0.6), run("bcp", 0.5), noise=0.05)
    page = report([tmp_path / f"e{place}" for place in range(3)], tmp_path / "report").read_text()
    assert "equireg <small>minus bcp</small>" in page
    assert "Holm's correction for the 3 comparisons" in page
    with (tmp_path / "report" / "tables" / "differences.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    tested = [row for row in rows if row["region"] == MEAN]
    assert len(tested) == 3
    assert all(float(row["p_holm"]) >= float(row["p"]) for row in tested)
    assert all(row["p"] == "" for row in rows if row["region"] != MEAN)
