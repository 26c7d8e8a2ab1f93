"""What stands in the tables: what is missing, what is best, metrics of others, and how often a number is found."""

import csv
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from equireg.comparing import differences, statistics
from equireg.comparing.cohorts import Cohort, Results
from equireg.comparing.sources import read_sources
from equireg.comparing.statistics import MEAN
from equireg.disk import read_json, write_json
from equireg.metrics import METRICS, Metric
from equireg.reporting.build import report
from equireg.reporting.section import NONE
from equireg.reporting.sections.results import best_of, metric_tables, seed_tables, takeaway
from reporting_made_up import Training, write_evaluation

Scores = dict[tuple[str, str], dict[str, float | None]]


def hd95(*values: float | None) -> Scores:
    """Write a distance a case, and a Dice that is the same everywhere."""
    return {(f"c{place}", "whole"): {"dice": 0.5, "hd95_mm": value} for place, value in enumerate(values)}


def cohort_of(tmp_path: Path, *arms: tuple[str, int, Scores]) -> Cohort:
    folders = [
        write_evaluation(tmp_path / f"e{place}", Training(f"{method}-seed{seed}", method, seed=seed).facts(), scores)
        for place, (method, seed, scores) in enumerate(arms)
    ]
    [cohort] = Results.of(read_sources(folders)).cohorts
    return cohort


FEW = hd95(2.0, None, None, None)
ALL = hd95(9.0, 8.0, 7.0, 8.0)


@pytest.mark.parametrize("seeds", [(1,), (1, 2)])
def test_a_value_over_fewer_cases_is_never_best(tmp_path: Path, seeds: tuple[int, ...]) -> None:
    arms = [(method, seed, scores) for method, scores in (("bcp", FEW), ("supervised", ALL)) for seed in seeds]
    cohort = cohort_of(tmp_path, *arms)
    tables = [metric_tables(cohort)] + ([seed_tables(cohort)] if len(seeds) > 1 else [])
    for found, runs in zip(tables, (1, len(seeds)), strict=False):
        [table] = [one for one in found if one.title.endswith("mm")]
        cells = {row.title.split("-")[0]: row.cells[0] for row in table.rows}
        assert cells["bcp"].text == "2.0"
        assert (cells["bcp"].best, cells["bcp"].missing) == (False, 3 * runs)
        assert (cells["supervised"].best, cells["supervised"].missing) == (True, 0)
        assert "lack the fewest cases" in table.note


def test_the_first_table_shows_what_is_missing(tmp_path: Path) -> None:
    for place, (method, seed) in enumerate((m, s) for m in ("bcp", "supervised") for s in (1, 2)):
        scores = FEW if method == "bcp" else ALL
        write_evaluation(tmp_path / f"e{place}", Training(f"{method}-seed{seed}", method, seed=seed).facts(), scores)
    page = report(sorted(tmp_path.glob("e*")), tmp_path / "report")
    first = page.read_text().split("Every run (4)")[0]
    assert "6 missing" in first
    assert 'class="best">2.0' not in first
    with (page.parent / "tables" / "seeds.csv").open() as file:
        missing = {row["arm"]: row["missing"] for row in csv.DictReader(file) if row["metric"] == "hd95_mm"}
    assert missing == {"supervised": "0", "bcp": "6"}


@pytest.mark.parametrize(
    ("values", "best"),
    [
        ([(1.0, 0), (2.0, 0)], {0}),
        ([(1.0, 0), (1.04, 0)], {0, 1}),  # alike as they are written
        ([(1.0, 1), (2.0, 0)], {1}),
        ([(1.0, 1), (2.0, 1)], {0}),
        ([(np.nan, 4), (2.0, 0)], set()),
        ([(1.0, 1), (3.0, 2), (np.nan, 0)], set()),
        ([], set()),
    ],
)
def test_the_best_is_among_those_that_lack_the_fewest(values: list[tuple[float, int]], best: set[int]) -> None:
    assert best_of(values, METRICS["hd95_mm"]) == best


def with_tolerance(folder: Path, tolerance_mm: float) -> Path:
    signature = read_json(folder / "made_by.json")
    write_json(folder / "made_by.json", signature | {"config": {"tolerance_mm": tolerance_mm}})
    return folder


def test_surface_dice_of_different_tolerances_is_not_ranked(tmp_path: Path) -> None:
    made = [("supervised", 1, 4.0), ("supervised", 2, 1.0), ("bcp", 1, 1.0), ("bcp", 2, 1.0)]
    folders = []
    for place, (method, seed, tolerance_mm) in enumerate(made):
        scores: Scores = {("a", "whole"): {"dice": 0.5 + 0.1 * place, "nsd": 0.9 - 0.1 * place}}
        training = Training(f"{method}-seed{seed}", method, seed=seed)
        folders.append(with_tolerance(write_evaluation(tmp_path / f"e{place}", training.facts(), scores), tolerance_mm))
    [cohort] = Results.of(read_sources(folders)).cohorts
    dice, nsd = metric_tables(cohort)
    assert any(row.cells[0].best for row in dice.rows)
    assert {row.title: row.cells[0].best for row in nsd.rows} == {
        "supervised-seed1 (4 mm)": False,
        "supervised-seed2 (1 mm)": False,
        "bcp-seed1 (1 mm)": False,
        "bcp-seed2 (1 mm)": False,
    }
    assert "Tolerance 1.0, 4.0 mm. Values of different tolerances are not comparable" in nsd.note
    means = {row.title: row.cells[0].text for row in seed_tables(cohort)[1].rows}
    assert means == {"supervised (1 and 4 mm)": NONE, "bcp (1 mm)": "0.650"}
    [alike] = Results.of(read_sources(folders[1:])).cohorts
    assert [row.title for row in metric_tables(alike)[1].rows if row.cells[0].best] == ["supervised-seed2"]


def with_facts(folder: Path, **facts: Any) -> Path:
    write_json(folder / "made_by.json", read_json(folder / "made_by.json") | facts)
    return folder


@pytest.mark.parametrize(("split", "noun"), [("train", "training case"), ("test", "test case"), (None, "case")])
def test_cases_are_called_by_their_split_and_learnt_ones_are_counted(
    tmp_path: Path, split: str | None, noun: str
) -> None:
    facts = Training().facts() | {"split": split}
    folder = write_evaluation(tmp_path / "e", facts, ALL)
    assert "learnt" not in report([folder], tmp_path / "plain").read_text()
    page = report([with_facts(folder, learnt_cases=["c0", "c2"])], tmp_path / "report")
    text = page.read_text()
    assert f"mean Dice 0.50 over 4 {noun}s (2 of them learnt)." in text
    assert f'"fact">{noun.capitalize()}s</th>' in text
    assert f"over the {noun}s;" in text
    assert "4 <small>2 learnt</small>" in text
    assert "2 of these cases were learnt from with their masks" in text
    assert ("test case" in text.lower()) == (split == "test")
    with (page.parent / "tables" / "results.csv").open() as file:
        assert {row["learnt_cases"] for row in csv.DictReader(file)} == {"2"}


def test_predictions_with_other_options_are_told(tmp_path: Path) -> None:
    folders = []
    views = ({"test_time": "flips", "passes": 8}, {"test_time": "none", "passes": 9}, {"test_time": "flips"}, {})
    for place, (method, told) in enumerate(zip(("supervised", "equireg", "bcp", "other"), views, strict=True)):
        written = write_evaluation(tmp_path / f"e{place}", Training(method, method).facts(), ALL)
        folders.append(with_facts(written, views=told | {"quality_views": place, "checkpoint": "auto"} if told else {}))
    text = report(folders, tmp_path / "report").read_text()
    assert "--test_time flips (supervised, bcp); --test_time none (equireg)." in text
    assert text.count('<td class="text">--test_time') == 3
    alike = report([folders[0], *folders[2:]], tmp_path / "alike").read_text()
    assert "--test_time" not in alike
    assert "Predicted with" not in alike


def test_the_takeaway_compares_the_seeds_that_both_have(tmp_path: Path) -> None:
    runs = {("supervised", 1): 0.60, ("supervised", 2): 0.61, ("equireg", 1): 0.55, ("equireg", 3): 0.75}
    several: list[tuple[str, int, Scores]] = [
        (method, seed, {(f"c{place}", "whole"): {"dice": dice} for place in range(5)})
        for (method, seed), dice in runs.items()
    ]
    said = takeaway(cohort_of(tmp_path, *several))
    assert said.startswith("equireg: mean Dice 0.55 over 5 cases and the 1 seed that both have; supervised: 0.60 (diff")
    assert "difference \N{MINUS SIGN}0.050" in said


@pytest.mark.parametrize(
    ("options", "labelled", "said"),
    [
        ({"max_steps": 3000}, 3, " Not trained alike: steps: 3000 of equireg, 1000 of supervised."),
        ({"max_steps": 1050}, 3, ""),
        ({"max_steps": 3000, "max_minutes": 5}, 3, ""),
        ({}, 6, " Not trained alike: labelled cases: 6 of equireg, 3 of supervised."),
    ],
)
def test_the_takeaway_tells_of_arms_that_are_not_trained_alike(
    tmp_path: Path, options: dict[str, Any], labelled: int, said: str
) -> None:
    arms = (Training("s", options={}), Training("e", "equireg", labelled, options=options))
    folders = [
        write_evaluation(tmp_path / one.name, one.facts(), {(f"c{case}", "whole"): {"dice": dice} for case in range(5)})
        for one, dice in zip(arms, (0.5, 0.6), strict=True)
    ]
    [cohort] = Results.of(read_sources(folders)).cohorts
    first, unlike, rest = takeaway(cohort).partition(" Not trained alike")
    assert first.startswith("equireg: mean Dice 0.60")
    assert unlike + rest == said


@pytest.mark.parametrize(
    ("lacking", "best"), [((1, 1, 1), "equireg"), ((0, 1, 1), "equireg"), ((1, 1, 0), "supervised")]
)
def test_an_arm_of_more_runs_may_lack_more(tmp_path: Path, lacking: tuple[int, int, int], best: str) -> None:
    runs = [("equireg", 1, 3.0), ("equireg", 2, 3.2), ("supervised", 1, 30.0)]
    several = [
        (method, seed, hd95(*([None] * missing), *[mm] * (4 - missing)))
        for (method, seed, mm), missing in zip(runs, lacking, strict=True)
    ]
    [table] = [one for one in seed_tables(cohort_of(tmp_path, *several)) if one.title.endswith("mm")]
    assert [row.title for row in table.rows if row.cells[0].best] == [best]
    assert ("lack the fewest" in table.note) == (lacking != (1, 1, 1))


def test_a_single_value_has_no_spread_and_ignored_masks_are_not_counted(tmp_path: Path) -> None:
    scores = hd95(2.0, None)
    scores["c1", "whole"]["dice"] = None
    cohort = cohort_of(tmp_path, ("supervised", 1, scores))
    assert takeaway(cohort) == "supervised: mean Dice 0.50 over 1 case."
    assert [row.cells[0].spread for table in metric_tables(cohort) for row in table.rows] == ["", ""]
    [alike] = metric_tables(cohort_of(tmp_path / "two", ("supervised", 1, hd95(2.0, 2.0))))[1].rows
    assert alike.cells[0].spread == "0.0"
    scores["c0", "whole"]["dice"] = None
    said = takeaway(cohort_of(tmp_path / "none", ("supervised", 1, scores)))
    assert said == "No mean Dice is known: no case has a region that can be judged."


def test_evaluations_by_other_masks_are_not_compared(tmp_path: Path) -> None:
    folders = []
    for place, volume_ml in enumerate((20.0, 26.0, 20.001, None)):
        scores: Scores = {("a", "whole"): {"dice": 0.5}}
        if volume_ml is not None:  # an earlier evaluation, or the portal's
            scores["a", "whole"]["reference_volume_ml"] = volume_ml
        training = Training(f"run{place}", "supervised")
        folders.append(write_evaluation(tmp_path / f"e{place}", training.facts(), scores))
    found = Results.of(read_sources(folders)).cohorts
    assert [[one.title for one in cohort.evaluations] for cohort in found] == [["run0", "run2", "run3"], ["run1"]]
    assert [cohort.title for cohort in found] == ["phantom, masks 1", "phantom, masks 2"]
    page = report(folders, tmp_path / "report").read_text()
    assert page.count("judge the same cases by other masks") == 2
    [alike] = Results.of(read_sources([folders[0], *folders[2:]])).cohorts
    assert (alike.title, alike.masks) == ("phantom", 0)


def test_a_metric_from_outside_has_its_table_and_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Metric("clicks", title="Clicks to mend", short="Clicks", compute=lambda _: 1.0, better="lower", digits=1)
    monkeypatch.setitem(METRICS, "clicks", made)
    folders = []
    for place, clicks in enumerate((4.0, 6.5)):
        scores: Scores = {("a", "whole"): {"dice": 0.5, "clicks": clicks}}
        method = ("supervised", "equireg")[place]
        folders.append(write_evaluation(tmp_path / f"e{place}", Training(method, method).facts(), scores))
    page = report(folders, tmp_path / "report")
    assert "<h3>Clicks to mend</h3>" in page.read_text()
    assert 'class="best">4.0' in page.read_text()
    with (page.parent / "tables" / "results.csv").open() as file:
        means = [row["mean"] for row in csv.DictReader(file) if row["metric"] == "clicks"]
    assert means == ["4.0", "4.0", "6.5", "6.5"]


def test_every_number_is_found_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: Counter[str] = Counter()

    def counted(module: Any, name: str) -> None:
        real: Callable[..., Any] = getattr(module, name)

        def once(*arguments: Any, **options: Any) -> Any:
            calls[name] += 1
            return real(*arguments, **options)

        monkeypatch.setattr(module, name, once)

    for module, name in ((statistics, "describe"), (differences, "bootstrap_interval"), (differences, "signed_rank")):
        counted(module, name)
    folders = []
    methods = ("supervised", "equireg", "bcp")
    for method in methods:
        for labelled in (2, 20):
            for seed in (1, 2):
                one = replace(Training(f"{method}-{labelled}-seed{seed}", method, labelled, 20, seed), masked=20)
                scores: Scores = {
                    (case, region): {"dice": 0.5 + 0.01 * seed, "nsd": 0.4} for case in "abc" for region in ("x", "y")
                }
                folders.append(write_evaluation(tmp_path / one.name, one.facts(), scores))
    report(folders, tmp_path / "report")
    regions, comparisons = 3, 2 * 3  # x, y and their mean; equireg against two, bcp against one, twice
    assert calls == {
        "describe": len(folders) * 2 * regions,
        "bootstrap_interval": comparisons * regions,
        "signed_rank": comparisons,
    }


def test_a_region_that_no_case_shows_is_not_in_the_mean_of_any_model(tmp_path: Path) -> None:
    folders = []
    for place, (method, spleen) in enumerate((("supervised", 1.0), ("equireg", 0.0))):
        scores: Scores = {
            ("a", "liver"): {"dice": 0.5},
            ("a", "spleen"): {"dice": spleen},
            ("a", "kidney"): {"dice": 1.0},
        }
        folder = write_evaluation(tmp_path / f"e{place}", Training(method, method).facts(), scores)
        left_out = ["spleen", "kidney"] if spleen else ["kidney"]  # the second model invents a spleen
        write_json(folder / "summary.json", {"cases": 1, "regions": {}, "mean": {}, "left_out_of_mean": left_out})
        folders.append(folder)
    [cohort] = Results.of(read_sources(folders)).cohorts
    assert [one.mean("dice", MEAN) for one in cohort.evaluations] == [0.75, 0.25]
    [table] = metric_tables(cohort)
    assert "no case shows it: kidney." in table.note
