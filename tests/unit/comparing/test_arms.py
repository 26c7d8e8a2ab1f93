"""Which runs are one arm: exactly those with equal options and data; and how arms are named."""

from dataclasses import replace
from pathlib import Path

import pytest

from equireg.comparing.arms import Arms, own_name
from equireg.comparing.cohorts import Cohort, Results
from equireg.comparing.sources import read_sources
from equireg.folders.run_facts import RunFacts
from reporting_made_up import Training, write_evaluation, write_run


def cohort_of(tmp_path: Path, *trainings: Training) -> Cohort:
    folders = [
        write_evaluation(tmp_path / f"e{place}", one.facts(), {("a", "whole"): {"dice": one.skill}})
        for place, one in enumerate(trainings)
    ]
    [cohort] = Results.of(read_sources(folders)).cohorts
    return cohort


def counts(cohort: Cohort) -> dict[str, int]:
    return {label: len(members) for label, members in cohort.groups.items()}


def run(name: str, seed: int = 1, labelled: int = 2, **options: object) -> Training:
    return Training(name, "equireg", labelled, 20, seed, masked=20, options=options)


def test_runs_whose_options_differ_are_two_arms_whatever_their_names(tmp_path: Path) -> None:
    trainings = [
        run(f"equireg-features{width}", seed, network={"features": width}) for width in (16, 32) for seed in (1, 2)
    ]
    assert counts(cohort_of(tmp_path, *trainings)) == {
        "equireg (network.features=16)": 2,
        "equireg (network.features=32)": 2,
    }


def test_runs_whose_options_agree_are_one_arm_whatever_their_names(tmp_path: Path) -> None:
    assert counts(cohort_of(tmp_path, run("monday", 1), run("on the new machine", 2), run("x-9", 3))) == {"equireg": 3}


def test_options_and_labels_both_report_arms_apart(tmp_path: Path) -> None:
    trainings = [run("r", 1, labelled, max_steps=steps) for labelled in (2, 5) for steps in (10, 20)]
    assert list(counts(cohort_of(tmp_path, *trainings))) == [
        f"equireg (max_steps={steps}), {labelled} labelled" for labelled in (2, 5) for steps in (10, 20)
    ]


def test_a_line_joins_what_differs_in_labels_alone(tmp_path: Path) -> None:
    trainings = [run("r", 1, labelled, max_steps=steps) for labelled in (2, 5) for steps in (10, 20)]
    cohort = cohort_of(tmp_path, *trainings)
    assert {one.label: [amount.cases for amount in one.amounts] for one in cohort.series} == {
        "equireg (max_steps=10)": [2, 5],
        "equireg (max_steps=20)": [2, 5],
    }


def test_a_run_of_an_earlier_version_joins_the_arm_of_its_options(tmp_path: Path) -> None:
    new, old = run("new", 1), replace(run("old", 2), options=None)
    sources = read_sources([write_run(tmp_path / one.name, one) for one in (new, old)])
    assert [arm.label for arm in Arms(sources.runs).all] == ["equireg"]


def test_an_evaluation_of_an_earlier_version_joins_its_run(tmp_path: Path) -> None:
    wide, narrow = run("wide", network={"features": 32}), run("narrow", network={"features": 16})
    folders = [write_run(tmp_path / one.name, one) for one in (wide, narrow)]
    scores = {("a", "whole"): {"dice": 0.5}}
    folders += [
        write_evaluation(tmp_path / "e" / one.name, replace(one, options=None).facts(), scores)
        for one in (wide, narrow)
    ]
    found = Results.of(read_sources(folders))
    assert len(found.arms.all) == 2
    assert list(found.cohorts[0].groups) == ["equireg (network.features=16)", "equireg (network.features=32)"]


@pytest.mark.parametrize(
    ("name", "seed", "repeat", "stem"),
    [
        ("nnunet-seed7", 7, None, "nnunet"),
        ("nnunet_7", 7, None, "nnunet"),
        ("seed42-ema", 42, None, "ema"),
        ("ema-seed1-repeat2", 1, 2, "ema"),
        ("ema-r0-s43", 43, None, "ema"),
        ("equireg-features16", 16, None, "equireg-features16"),
        ("net-16", 42, None, "net-16"),
        ("net-seed1", 11, None, "net-seed1"),
        ("ema-seed1", None, None, "ema-seed1"),
        ("42", 42, None, "42"),
        ("supervised-2-seed2", 2, None, "supervised-2"),
    ],
)
def test_a_foreign_run_is_named_less_the_seed_that_its_facts_give(
    name: str, seed: int | None, repeat: int | None, stem: str
) -> None:
    assert own_name(RunFacts(name, seed=seed, repeat=repeat)) == stem


def test_foreign_runs_are_arms_by_their_names(tmp_path: Path) -> None:
    trainings = [Training(f"net-features{width}", "nnunet", seed=seed) for width in (16, 32) for seed in (42,)]
    trainings += [Training(f"plain-seed{seed}", "nnunet", seed=seed) for seed in (1, 2)]
    assert counts(cohort_of(tmp_path, *trainings)) == {
        "nnunet (net-features16)": 1,
        "nnunet (net-features32)": 1,
        "nnunet (plain)": 2,
    }


def test_two_data_sets_keep_a_methods_colour(tmp_path: Path) -> None:
    one = run("r").facts()
    scores = {("a", "whole"): {"dice": 0.5}}, {("b", "whole"): {"dice": 0.5}}
    other = {**one, "dataset": "other", "arm": "0" * 16, "series": "1" * 16}
    folders = [write_evaluation(tmp_path / str(i), facts, scores[i]) for i, facts in enumerate((one, other))]
    found = Results.of(read_sources(folders))
    assert sorted(arm.label for arm in found.arms.all) == ["equireg, other", "equireg, phantom"]
    assert {line.index for cohort in found.cohorts for line in cohort.series} == {0}
