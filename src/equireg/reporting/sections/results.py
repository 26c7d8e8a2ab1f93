"""The tables of results: a row an arm over its runs, and a row a run over its cases; which cells are best."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np

from equireg.comparing.arms import Arm
from equireg.comparing.cohorts import Cohort, tolerances_mm
from equireg.comparing.compared import Evaluation
from equireg.comparing.differences import baseline_of, paired
from equireg.comparing.fairness import trained_unlike
from equireg.comparing.predicting import predicted_otherwise
from equireg.comparing.series import label_fraction
from equireg.comparing.statistics import MEAN, RunSpread
from equireg.errors import some_of
from equireg.folders.run_facts import RunFacts
from equireg.metrics import METRICS, Metric
from equireg.reporting.section import NONE, Section, counted, number, signed
from equireg.statistics import Summary


class Cell(NamedTuple):
    """A value with its spread."""

    text: str
    spread: str = ""
    quartiles: str = ""
    """lower and upper quartile over the cases"""
    missing: int = 0
    """values that are missing from it"""
    best: bool = False


class Row(NamedTuple):
    """A line of a table: an evaluation or an arm."""

    title: str
    arm: Arm
    facts: RunFacts
    cells: list[Cell]
    runs: int = 1
    """evaluations behind it"""
    learnt: int = 0
    """cases that they learnt from with their masks"""


class MetricTable(NamedTuple):
    """One metric: a row an evaluation or arm, a column a region and one for their mean."""

    title: str
    note: str
    columns: list[str]
    rows: list[Row]
    cases: int
    """cases that were asked for the metric"""


def section(cohort: Cohort) -> Section:
    """Return the tables of every arm and every run, with `results.csv` and `seeds.csv`."""
    content: dict[str, Any] = {
        "title": cohort.title,
        "masks": cohort.masks,
        "cases": len(cohort.cases),
        "judged": len(cohort.judged),
        "noun": cohort.noun,
        "learnt": _learnt(cohort.evaluations),
        "otherwise": _otherwise(cohort.evaluations),
        "seeds": seed_tables(cohort),
        "metrics": metric_tables(cohort),
    }
    return Section(
        "results", content, {"results.csv": _result_rows(cohort), "seeds.csv": _seed_rows(cohort)}, takeaway(cohort)
    )


def metric_tables(cohort: Cohort) -> list[MetricTable]:
    """Return a table a metric, a row an evaluation: mean ± standard deviation over the cases."""
    lines = [evaluation.summaries for evaluation in cohort.evaluations]
    heads = [(one.title, (one,)) for one in cohort.evaluations]
    return [_table(cohort, METRICS[name], heads, lines) for name in cohort.metrics]


def seed_tables(cohort: Cohort) -> list[MetricTable]:
    """Return a table a metric, a row an arm: mean ± standard deviation over its runs; none without several."""
    heads = [(label, cohort.groups[label]) for label in cohort.spreads]
    lines = list(cohort.spreads.values())
    return [_table(cohort, METRICS[name], heads, lines) for name in cohort.metrics if lines]


def takeaway(cohort: Cohort) -> str:
    """Say what the cohort's numbers say: the best arm, against the supervised one, and if both are trained unlike."""
    metric, words = ("dice", "mean Dice") if cohort.judged else ("equivariance_dice", "mean equivariance Dice")
    groups = cohort.groups
    dice = {label: _mean(runs, metric) for label, runs in groups.items()}
    if all(np.isnan(value) for value in dice.values()):
        return f"No {words} is known: no {cohort.noun} has a region that can be judged."
    best = max(dice, key=lambda label: -1.0 if np.isnan(dice[label]) else dice[label])
    baseline = baseline_of(best, groups)
    over, runs = _over(cohort, groups[best], metric), groups[best]
    if baseline and (pairs := paired(runs, groups[baseline])):
        of_both = dict(zip((best, baseline), zip(*pairs, strict=True), strict=True))
        dice |= {label: _mean(some, metric) for label, some in of_both.items()}
        if any(len(some) < len(groups[label]) for label, some in of_both.items()):
            runs, over = (), f"{over} and the {counted(len(pairs), 'seed')} that both have"
    over += f" and {len(runs)} runs" if len(runs) > 1 else ""
    digits = 2 if len({f"{value:.2f}" for value in dice.values()}) == len(dice) else 3
    said = f"{best}: {words} {dice[best]:.{digits}f} over {over}"
    others = [baseline] if baseline else [label for label in groups if label != best][:3]
    said += "".join(f"; {label}: {dice[label]:.{digits}f}" for label in others)
    if baseline and cohort.judged:
        found = cohort.differences[best, baseline][MEAN]
        if np.isfinite(found.low):
            interval = f"95\N{NO-BREAK SPACE}% interval {signed(found.low)} to {signed(found.high)}"
            said += f" (difference {signed(found.difference)}, {'rough ' * found.rough}{interval})"
    unmentioned = len(groups) - 1 - len(others)
    said += f"; {unmentioned} more below." if unmentioned else "."
    unlike = trained_unlike({label: groups[label][0].facts for label in (best, *others)})
    return f"{said} {unlike}" if unlike else said


def _mean(runs: Sequence[Evaluation], metric: str) -> float:
    """Return the mean of runs, of the mean of the regions; NaN where one has none."""
    return float(np.mean([run.mean(metric, MEAN) for run in runs]))


def _over(cohort: Cohort, runs: Sequence[Evaluation], metric: str) -> str:
    """Say over how many cases the mean of some runs is, and how many of these were learnt from."""
    values = [(run, run.values[metric][MEAN]) for run in runs if metric in run.values]
    cases = {case for run, found in values for case, value in zip(run.cases, found, strict=True) if np.isfinite(value)}
    learnt = cases & {case for run in runs for case in run.learnt}
    return counted(len(cases), cohort.noun) + (f" ({len(learnt)} of them learnt)" if learnt else "")


def best_of(values: Sequence[tuple[float, float]], metric: Metric) -> set[int]:
    """Return the places of the best value as it is written; none where there is nothing to choose from.

    A value that lacks more cases than another is not ranked: it would win by what it leaves out.

    Args:
        values: each with the number of values that are missing from it, a run; NaN where there is none.
        metric: which way is better.
    """
    known = {place: missing for place, (value, missing) in enumerate(values) if np.isfinite(value)}
    if len(known) < 2:
        return set()
    fewest = min(missing for _, missing in values)
    written = {place: float(number(values[place][0], metric.name)) for place in known if known[place] == fewest}
    best = metric.best(list(written.values())) if written else None
    return {place for place, value in written.items() if value == best}


def _table(
    cohort: Cohort,
    metric: Metric,
    heads: Sequence[tuple[str, Sequence[Evaluation]]],
    lines: Sequence[Mapping[tuple[str, str], Summary]] | Sequence[Mapping[tuple[str, str], RunSpread]],
) -> MetricTable:
    """Write one metric's table, a row a head and line, the best of each column marked."""
    cells: list[list[Cell]] = [[] for _ in lines]
    differ = metric.name == "nsd" and len(tolerances_mm(cohort.evaluations)) > 1
    for column in cohort.columns:
        found = [line.get((metric.name, column)) for line in lines]
        ranked = [(np.nan, len(cohort.cases)) if one is None else (one.mean, _missing(one)) for one in found]
        best = set[int]() if differ else best_of(ranked, metric)
        for place, value in enumerate(found):
            cell = Cell(NONE) if value is None else _cell(value, metric, place in best)
            alone = isinstance(value, Summary) and _count(heads[place][1][0], metric.name, column) < 2
            cells[place].append(cell._replace(spread="") if alone else cell)
    rows = [
        Row(title + _tolerance(runs) * differ, cohort.arms.of(runs[0]), runs[0].facts, line, len(runs), _learnt(runs))
        for (title, runs), line in zip(heads, cells, strict=True)
    ]
    cases = max(len(evaluation.cases_with.get(metric.name, ())) for evaluation in cohort.evaluations)
    return MetricTable(metric.label, _note(metric, cohort.evaluations, rows), cohort.columns, rows, cases)


def _learnt(runs: Sequence[Evaluation]) -> int:
    return len(frozenset[str]().union(*(run.learnt for run in runs)))


def _count(run: Evaluation, metric: str, column: str) -> int:
    """Return how many cases have a value."""
    return int(np.isfinite(run.values[metric][column]).sum())


def _missing(value: Summary | RunSpread) -> float:
    """Return the values that are missing, of spreads a run: several runs lack more together."""
    return value.missing / value.runs if isinstance(value, RunSpread) else value.missing


def _cell(value: Summary | RunSpread, metric: Metric, best: bool) -> Cell:
    std = number(value.std, metric.name) if np.isfinite(value.std) else ""
    quartiles = ""
    # Those of the other metrics stand in the CSV.
    if metric.name == "dice" and isinstance(value, Summary) and value.min != value.max and np.isfinite(value.q25):
        quartiles = f"{number(value.q25, metric.name)} to {number(value.q75, metric.name)}"
    return Cell(number(value.mean, metric.name), std, quartiles, value.missing, best)


def _note(metric: Metric, evaluations: Sequence[Evaluation], rows: Sequence[Row]) -> str:
    parts = [metric.note]
    if metric.name == "nsd":
        known = tolerances_mm(evaluations)
        parts.append(f"Tolerance {', '.join(map(str, known))} mm." if known else "")
        parts.append("Values of different tolerances are not comparable: none is best." if len(known) > 1 else "")
    left_out = sorted(evaluations[0].left_out)
    parts.append(f"Not in the mean, because no case shows it: {', '.join(left_out)}." if left_out else "")
    lacking = [[cell.missing / row.runs for cell in row.cells] for row in rows]
    if any(len({*column}) > 1 for column in zip(*lacking, strict=True)):
        parts.append("Best is chosen among the values that lack the fewest cases.")
    return " ".join(part for part in parts if part)


def _tolerance(runs: Sequence[Evaluation]) -> str:
    return f" ({' and '.join(f'{tolerance:g}' for tolerance in tolerances_mm(runs)) or 'unknown'} mm)"


def _otherwise(evaluations: Sequence[Evaluation]) -> list[str]:
    """Return each of the different options that predictions were made with, and whose; nothing where all are alike."""
    titles: dict[str, list[str]] = {}
    for title, words in predicted_otherwise(evaluations).items():
        titles.setdefault(words, []).append(title)
    return [f"{words} ({some_of(several)})" for words, several in titles.items()]


def _trained_on(facts: RunFacts) -> dict[str, object]:
    return {
        "method": facts.method,
        "dataset": facts.dataset,
        "labelled_cases": facts.labelled_cases,
        "masked_cases": facts.masked_cases,
        "label_fraction": label_fraction(facts),
        "unlabelled_cases": facts.unlabelled_cases,
    }


def _result_rows(cohort: Cohort) -> list[dict[str, object]]:
    """Return a row an evaluation, metric and region."""
    return [
        {
            "evaluation": evaluation.title,
            **_trained_on(evaluation.facts),
            "seed": evaluation.facts.seed,
            "repeat": evaluation.facts.repeat,
            "split": evaluation.facts.split,
            "cases": len(evaluation.cases_with[metric]),
            "learnt_cases": len(evaluation.learnt),
            "region": region,
            "metric": metric,
            **asdict(evaluation.summaries[metric, region]),
        }
        for evaluation in cohort.evaluations
        for metric in cohort.metrics
        if metric in evaluation.metrics
        for region in (*cohort.regions, MEAN)
    ]


def _seed_rows(cohort: Cohort) -> list[dict[str, object]]:
    """Return a row an arm, metric and region."""
    return [
        {
            "arm": label,
            **_trained_on(cohort.groups[label][0].facts),
            "runs": spread.runs,
            "region": region,
            "metric": metric,
            **asdict(spread),
        }
        for label, spreads in cohort.spreads.items()
        for (metric, region), spread in spreads.items()
        if metric in cohort.metrics
    ]
