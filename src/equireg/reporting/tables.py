"""The page's tables: what stands in each cell, and which cells are best."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from equireg.reporting.comparison import Arm, Arms, Cohort, by_arm
from equireg.reporting.differences import Difference, differences
from equireg.reporting.sources import Evaluation, Facts
from equireg.reporting.statistics import MEAN, METRICS, SeedSpread, Summary, case_values, spread_over_seeds, summarise

_DIGITS = {"dice": 3, "nsd": 3, "hd95_mm": 1, "equivariance_dice": 3}
_LOWER_IS_BETTER = ("hd95_mm",)
_TITLES = {
    "dice": "Dice",
    "hd95_mm": "95th percentile Hausdorff distance (HD95), mm",
    "nsd": "Normalised surface Dice (NSD)",
    "equivariance_dice": "Equivariance Dice",
}
NONE = "\N{EN DASH}"


@dataclass(frozen=True)
class Cell:
    """A value with its spread."""

    text: str
    spread: str = ""
    quartiles: str = ""
    """lower and upper quartile over the cases"""
    missing: int = 0
    """values that are missing from it"""
    best: bool = False


@dataclass(frozen=True)
class Row:
    """A line of a table: an evaluation or an arm."""

    title: str
    arm: Arm
    facts: Facts
    cells: list[Cell]
    runs: int = 1
    """evaluations behind it"""


@dataclass(frozen=True)
class MetricTable:
    """One metric: a row an evaluation or arm, a column a region and one for their mean."""

    title: str
    note: str
    columns: list[str]
    rows: list[Row]
    cases: int = 0
    """cases that were asked for the metric"""


@dataclass(frozen=True)
class DifferenceTable:
    """Differences of Dice to the supervised arm, and of EquiReg to its best rivals."""

    columns: list[str]
    rows: list["DifferenceRow"]


@dataclass(frozen=True)
class DifferenceRow:
    """One comparison."""

    arm: str
    other: str
    cases: int
    pairs: int
    """seeds that both have; 0 where each is averaged over its own"""
    cells: list[Cell]
    p: str
    """of the mean of regions, corrected; a dash where there is none"""


@dataclass(frozen=True)
class CaseTable:
    """Dice of every case: a row a case, a group of columns an evaluation."""

    groups: list[tuple[Arm, str]]
    """arm and title of each evaluation"""
    columns: list[str]
    """of each group"""
    rows: list[tuple[str, list[str]]]


def number(value: float, metric: str) -> str:
    """Write a metric with its customary digits; a dash where it is missing."""
    return f"{value:.{_DIGITS[metric]}f}" if np.isfinite(value) else NONE


def signed(difference: float) -> str:
    """Write a difference of Dice with its sign; a dash where it is missing."""
    return f"{difference:+.3f}".replace("-", "\N{MINUS SIGN}") if np.isfinite(difference) else NONE


def metric_tables(cohort: Cohort, arms: Arms) -> list[MetricTable]:
    """Return a table a metric, a row an evaluation: mean ± standard deviation over the cases."""
    summaries = [summarise(evaluation, cohort.regions) for evaluation in cohort.evaluations]
    columns = columns_of(cohort)
    tables = []
    for metric in METRICS:
        cells = _cells(summaries, columns, metric)
        if cells:
            rows = [
                Row(evaluation.title, arms.of(evaluation), evaluation.facts, line)
                for evaluation, line in zip(cohort.evaluations, cells, strict=True)
            ]
            cases = max(len(evaluation.cases_with(metric)) for evaluation in cohort.evaluations)
            tables.append(MetricTable(_TITLES[metric], _note(metric, cohort.evaluations), columns, rows, cases))
    return tables


def seed_tables(cohort: Cohort, arms: Arms) -> list[MetricTable]:
    """Return a table a metric, a row an arm: mean ± standard deviation over its runs; none without several."""
    spreads = spread_over_seeds(cohort, arms)
    groups = by_arm(cohort, arms)
    columns = columns_of(cohort)
    tables = []
    for metric in METRICS:
        cells = _cells(list(spreads.values()), columns, metric)
        if cells:
            rows = [
                Row(label, arms.of(groups[label][0]), groups[label][0].facts, line, runs=len(groups[label]))
                for label, line in zip(spreads, cells, strict=True)
            ]
            tables.append(MetricTable(_TITLES[metric], "", columns, rows))
    return tables


def difference_table(cohort: Cohort, arms: Arms) -> DifferenceTable | None:
    """Return the paired differences, or None where no arm has another to be compared with."""
    columns = columns_of(cohort)
    rows = []
    for (arm, other), by_region in differences(cohort, arms).items():
        cells = [_difference_cell(by_region[column]) for column in columns]
        cases = max(found.cases for found in by_region.values())
        tested = by_region[MEAN]
        rows.append(DifferenceRow(arm, other, cases, tested.pairs, cells, _p(tested.p_holm)))
    return DifferenceTable(columns, rows) if rows else None


def _difference_cell(found: Difference) -> Cell:
    known = np.isfinite(found.low)
    interval = f"{signed(found.low)} to {signed(found.high)}" if known else "one case: no interval"
    return Cell(signed(found.difference), interval, best=found.low > 0 or found.high < 0)


def _p(value: float) -> str:
    """Write a p value with two digits; a dash where there is none."""
    if not np.isfinite(value):
        return NONE
    return "< 0.001" if value < 0.001 else f"{value:.2g}" if value < 0.995 else "1"


def case_table(cohort: Cohort, arms: Arms) -> CaseTable | None:
    """Return the Dice of every case, or None where no case has a mask."""
    if not cohort.has("dice"):
        return None
    values = [case_values(evaluation, "dice", cohort.regions) for evaluation in cohort.evaluations]
    columns = columns_of(cohort)
    rows = [
        (case, [number(table[column][place], "dice") for table in values for column in columns])
        for place, case in enumerate(cohort.cases)
    ]
    return CaseTable([(arms.of(evaluation), evaluation.title) for evaluation in cohort.evaluations], columns, rows)


def columns_of(cohort: Cohort) -> list[str]:
    """Return the regions, and their mean where there are several."""
    return [*cohort.regions, MEAN] if len(cohort.regions) > 1 else list(cohort.regions)


def _cells(
    lines: Sequence[dict[tuple[str, str], Summary]] | Sequence[dict[tuple[str, str], SeedSpread]],
    columns: Sequence[str],
    metric: str,
) -> list[list[Cell]]:
    """Return the cells of each line, the best of each column marked; none where no line has the metric."""
    if not any((metric, column) in line for line in lines for column in columns):
        return []
    cells: list[list[Cell]] = [[] for _ in lines]
    for column in columns:
        found = [line.get((metric, column)) for line in lines]
        best = _best([np.nan if value is None else value.mean for value in found], metric)
        for place, value in enumerate(found):
            if value is None:
                cells[place].append(Cell(NONE))
                continue
            spread = number(value.std, metric) if np.isfinite(value.std) else ""
            missing = value.missing if isinstance(value, Summary) else 0
            cells[place].append(
                Cell(number(value.mean, metric), spread, _quartiles(value, metric), missing, place in best)
            )
    return cells


def _quartiles(value: Summary | SeedSpread, metric: str) -> str:
    """Write the quartiles of a Dice over several cases; those of the other metrics stand in the CSV."""
    if metric != "dice" or not isinstance(value, Summary) or value.min == value.max or not np.isfinite(value.q25):
        return ""
    return f"{number(value.q25, metric)} to {number(value.q75, metric)}"


def _best(means: Sequence[float], metric: str) -> set[int]:
    """Return the places of the best value as it is written; none where there is nothing to choose from."""
    written = [number(mean, metric) for mean in means]
    known = [float(text) for text in written if text != NONE]
    if len(known) < 2:
        return set()
    best = min(known) if metric in _LOWER_IS_BETTER else max(known)
    return {place for place, text in enumerate(written) if text != NONE and float(text) == best}


def _note(metric: str, evaluations: Sequence[Evaluation]) -> str:
    if metric == "hd95_mm":
        return "Lower is better. Missing where one of prediction and reference is empty."
    if metric == "equivariance_dice":
        return (
            "Dice of the prediction of the transformed scan with the transformed prediction, under one fixed transform "
            "a slice, the same for all models. It needs no mask and says nothing of being right."
        )
    if metric != "nsd":
        return ""
    tolerances = {evaluation.provenance.config.get("tolerance_mm") for evaluation in evaluations}
    told = sorted(str(tolerance) for tolerance in tolerances if tolerance is not None)
    return f"Tolerance {', '.join(told)} mm." if told else ""
