"""Differences of Dice to the supervised arm, and of EquiReg to its best rivals."""

from dataclasses import asdict
from typing import NamedTuple

import numpy as np

from equireg.comparing.cohorts import Cohort
from equireg.comparing.differences import Difference
from equireg.comparing.statistics import MEAN
from equireg.postprocessing.patients import LEAST_PATIENTS
from equireg.reporting.section import NONE, Section, signed
from equireg.reporting.sections.results import Cell


class DifferenceRow(NamedTuple):
    """One comparison."""

    arm: str
    other: str
    cases: int
    patients: int
    pairs: int
    """seeds that both have; 0 where each is averaged over its own"""
    cells: list[Cell]
    p: str
    """of the mean of regions, corrected; a dash where there is none"""


def section(cohort: Cohort) -> Section:
    """Return the paired differences, with `differences.csv`."""
    rows = difference_rows(cohort)
    table = [
        {"dataset": cohort.title, "arm": arm, "baseline": other, "region": region, "metric": "dice", **asdict(found)}
        for (arm, other), by_region in cohort.differences.items()
        for region, found in by_region.items()
    ]
    content = {"columns": cohort.columns, "rows": rows, "least": LEAST_PATIENTS}
    return Section("differences", content if rows else {}, {"differences.csv": table})


def difference_rows(cohort: Cohort) -> list[DifferenceRow]:
    """Return a row a comparison; none where no arm has another to be compared with."""
    return [
        DifferenceRow(
            arm,
            other,
            max(found.cases for found in by_region.values()),
            max(found.patients for found in by_region.values()),
            by_region[MEAN].pairs,
            [_cell(by_region[column]) for column in cohort.columns],
            _p(by_region[MEAN].p_holm),
        )
        for (arm, other), by_region in cohort.differences.items()
    ]


def _cell(found: Difference) -> Cell:
    known = np.isfinite(found.low)
    interval = f"{signed(found.low)} to {signed(found.high)}" if known else "one patient: no interval"
    interval += ", rough" if known and found.rough else ""
    return Cell(signed(found.difference), interval, best=(found.low > 0 or found.high < 0) and not found.rough)


def _p(value: float) -> str:
    """Write a p value with two digits; a dash where there is none."""
    if not np.isfinite(value):
        return NONE
    return "< 0.001" if value < 0.001 else f"{value:.2g}" if value < 0.995 else "1"
