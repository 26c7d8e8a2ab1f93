"""How much of what all labels would bring a method recovers from few: the bridging coefficients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from equireg.reporting.comparison import BASELINE, Arms, Cohort
from equireg.reporting.series import Amount, Series, means, series_of
from equireg.reporting.sources import Evaluation
from equireg.reporting.tables import NONE, Cell, columns_of

LEAST_GAP = 0.005
"""Difference of Dice below which all labels bring nothing that can be told from chance."""


@dataclass(frozen=True)
class Bridging:
    """The coefficient of one series at one amount of labels, for one region or the mean of regions."""

    series: str
    amount: Amount
    region: str
    gain: float
    """mean Dice of the series less that of the supervised runs with as many labels"""
    gap: float
    """mean Dice of the supervised runs with all labels less that of the supervised ones with as many"""
    coefficient: float
    """gain over gap; NaN where the gap is below `LEAST_GAP`, for there is then nothing to bridge"""
    pairs: tuple[float, ...]
    """gain over gap for each pair of runs of one seed and repeat whose gap is at least that"""
    pairs_without: int
    """pairs of runs whose gap is smaller"""
    index: int = 0
    """place of the series, which fixes its colour"""


@dataclass(frozen=True)
class BridgingTable:
    """A row a series and amount of labels, a column a region."""

    columns: list[str]
    rows: list[tuple[str, str, int, list[Cell]]]
    """series, amount of labels, pairs of runs of one seed, cells"""


def bridging(cohort: Cohort, arms: Arms) -> list[Bridging]:
    """Return the coefficients of every series that learns from unlabelled scans: there is no other way to bridge.

    The coefficient is (method(f) - supervised(f)) / (supervised(all) - supervised(f)) for the fraction f of the
    labels, each term a mean over runs: the ratio of the means, not the mean of the ratios, which a pair with
    hardly any gap would rule. Runs with all labels have no partner of their seed with few, so that each pair
    is measured against their mean.

    Returns:
        One a series, amount and region; none where no supervised run is known to have used all labels.
    """
    series = series_of(cohort, arms) if cohort.has("dice") else []
    supervised = [one for one in series if one.method == BASELINE]
    full = next((amount for one in supervised for amount in one.amounts if amount.fraction == 1), None)
    if len(supervised) != 1 or full is None:
        return []
    few = supervised[0].amounts
    found = []
    for region in columns_of(cohort):
        most = float(np.mean(means(few[full], cohort, "dice", region)))
        for one in series:
            for amount, runs in one.amounts.items():
                if not _bridges(one, runs):
                    continue
                if amount in few and amount.cases < full.cases:
                    ours, theirs = (_by_chance(part, cohort, region) for part in (runs, few[amount]))
                    found.append(replace(_coefficient(one.label, amount, region, most, ours, theirs), index=one.index))
    return sorted(found, key=lambda one: (one.series, one.amount.cases))


def _bridges(one: Series, runs: Sequence[Evaluation]) -> bool:
    return one.method != BASELINE and any(run.facts.unlabelled_cases != 0 for run in runs)


def _by_chance(runs: Sequence[Evaluation], cohort: Cohort, region: str) -> dict[tuple, float]:
    """Return seed and repeat of each run to its mean Dice."""
    dice = means(runs, cohort, "dice", region)
    return {run.facts.chance: value for run, value in zip(runs, dice, strict=True)}


def _coefficient(
    series: str,
    amount: Amount,
    region: str,
    full: float,
    ours: Mapping[tuple, float],
    theirs: Mapping[tuple, float],
) -> Bridging:
    mine, baseline = float(np.mean(list(ours.values()))), float(np.mean(list(theirs.values())))
    gain, gap = mine - baseline, full - baseline
    paired = [(ours[chance] - theirs[chance], full - theirs[chance]) for chance in ours if chance in theirs]
    pairs = tuple(won / left for won, left in paired if left >= LEAST_GAP)
    return Bridging(series, amount, region, gain, gap, _ratio(gain, gap), pairs, len(paired) - len(pairs))


def _ratio(gain: float, gap: float) -> float:
    return gain / gap if gap >= LEAST_GAP else float("nan")


def bridging_table(found: Sequence[Bridging]) -> BridgingTable | None:
    """Return the coefficients, under each those of its lowest and highest pair; None without any."""
    columns = list(dict.fromkeys(one.region for one in found))
    by_row: dict[tuple[str, Amount], list[Bridging]] = {}
    for one in found:
        by_row.setdefault((one.series, one.amount), []).append(one)
    rows = [
        (series, amount.text, max(len(one.pairs) + one.pairs_without for one in ones), [_cell(one) for one in ones])
        for (series, amount), ones in by_row.items()
    ]
    return BridgingTable(columns, rows) if rows else None


def sentence(found: Sequence[Bridging]) -> str | None:
    """Say what the coefficients of the last region, the mean where there are several, come to; None without any."""
    region = found[-1].region if found else None
    parts: dict[str, list[str]] = {}
    for one in found:
        if one.region == region:
            parts.setdefault(one.series, []).append(f"{written(one.coefficient)} at {one.amount.text}")
    if all(not np.isfinite(one.coefficient) for one in found):
        return None
    told = "; ".join(f"{series} {', '.join(values)}" for series, values in parts.items())
    return f"Bridging coefficient, {region}: {told} of the labels."


def _cell(one: Bridging) -> Cell:
    if not np.isfinite(one.coefficient):
        return Cell(NONE, "no gap")
    spread = f"{written(min(one.pairs))} to {written(max(one.pairs))}" if len(one.pairs) > 1 else ""
    return Cell(written(one.coefficient), spread)


def written(value: float) -> str:
    """Write a coefficient; a dash where there is none."""
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}") if np.isfinite(value) else NONE
