"""How much of what all labels would bring a method recovers from few: the bridging coefficients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from equireg.comparing.arms import BASELINE
from equireg.comparing.compared import Evaluation
from equireg.comparing.series import Amount, Series

LEAST_GAP = 0.005
"""Difference of Dice below which the gain from all labels cannot be distinguished from noise."""


@dataclass(frozen=True)
class Bridging:
    """The coefficient of one series at one amount of labels, for one region or the mean of regions."""

    series: str
    amount: Amount
    region: str
    gain: float
    """mean Dice of the series less that of the supervised runs with the same number of labels"""
    gap: float
    """mean Dice of the supervised runs with all labels less that of the supervised ones with the same few labels"""
    coefficient: float
    """gain over gap; NaN where the gap is below `LEAST_GAP`: there is then nothing to bridge"""
    pairs: tuple[float, ...]
    """gain over gap for each pair of runs of one seed and repeat whose gap is at least that"""
    pairs_without: int
    """pairs of runs whose gap is smaller"""
    index: int = 0
    """place of the series, which fixes its colour"""


def bridging(series: Sequence[Series], regions: Sequence[str]) -> list[Bridging]:
    """Return the coefficients of every series that learns from unlabelled scans: there is no other way to bridge.

    The coefficient is (method(f) - supervised(f)) / (supervised(all) - supervised(f)) for the fraction f of the
    labels, each term a mean over runs: the ratio of the means, not the mean of the ratios, which a pair with
    hardly any gap would rule. Runs with all labels have no partner of their seed with few, so that each pair
    is measured against their mean.

    Returns:
        One a series, amount and region; none where no supervised run is known to have used all labels.
    """
    supervised = [one for one in series if one.method == BASELINE]
    full = next((amount for one in supervised for amount in one.amounts if amount.fraction == 1), None)
    if len(supervised) != 1 or full is None:
        return []
    few = supervised[0].amounts
    found = []
    for region in regions:
        most = float(np.mean([run.mean("dice", region) for run in few[full]]))
        for one in series:
            for amount, runs in one.amounts.items():
                if _bridges(one, runs) and amount in few and amount.cases < full.cases:
                    ours, theirs = ({r.draw: r.mean("dice", region) for r in part} for part in (runs, few[amount]))
                    found.append(_coefficient(one, amount, region, most, ours, theirs))
    return sorted(found, key=lambda one: (one.series, one.amount.cases))


def _bridges(one: Series, runs: Sequence[Evaluation]) -> bool:
    return one.method != BASELINE and any(run.facts.unlabelled_cases != 0 for run in runs)


def _coefficient(
    one: Series, amount: Amount, region: str, full: float, ours: Mapping[tuple, float], theirs: Mapping[tuple, float]
) -> Bridging:
    mine, baseline = float(np.mean(list(ours.values()))), float(np.mean(list(theirs.values())))
    gain, gap = mine - baseline, full - baseline
    paired = [(ours[draw] - theirs[draw], full - theirs[draw]) for draw in ours if draw in theirs]
    pairs = tuple(won / left for won, left in paired if left >= LEAST_GAP)
    without = len(paired) - len(pairs)
    return Bridging(one.label, amount, region, gain, gap, _ratio(gain, gap), pairs, without, one.index)


def _ratio(gain: float, gap: float) -> float:
    return gain / gap if gap >= LEAST_GAP else float("nan")


def sentence(found: Sequence[Bridging]) -> str | None:
    """Say what the coefficients of the last region, the mean where there are several, come to; None without any."""
    region = found[-1].region if found else None
    parts: dict[str, list[str]] = {}
    for one in found:
        if one.region == region:
            parts.setdefault(one.series, []).append(f"{written(one.coefficient)} at {one.amount.text}")
    if all(not np.isfinite(one.coefficient) for one in found):
        return None
    listed = "; ".join(f"{series} {', '.join(values)}" for series, values in parts.items())
    return f"Bridging coefficient, {region}: {listed} of the labels."


def written(value: float) -> str:
    """Write a coefficient; a dash where there is none."""
    return f"{value:.2f}".replace("-", "\N{MINUS SIGN}") if np.isfinite(value) else "\N{EN DASH}"
