"""Numbers of the page: spread over cases and spread over seeds."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from equireg.reporting.comparison import Arms, Cohort, by_arm
from equireg.reporting.sources import Evaluation

METRICS = ("dice", "hd95_mm", "nsd", "equivariance_dice")
"""Metrics that are averaged, each where an evaluation has it."""

MEAN = "mean of regions"
"""Stands beside the regions' names for their mean."""


@dataclass(frozen=True)
class Summary:
    """One metric of one region over the cases; NaN where no case has a value."""

    mean: float
    std: float
    """of the sample of cases, 0 for a single one, as in `summary.json`"""
    median: float
    min: float
    max: float
    q25: float
    """quartiles by linear interpolation"""
    q75: float
    missing: int
    """cases that should have a value and have none; for the mean of regions, missing values of all regions"""


@dataclass(frozen=True)
class SeedSpread:
    """One metric of one region over the runs of an arm: its seeds, and the repeats of each."""

    mean: float
    std: float
    """of the sample of runs; NaN for one run"""


def case_values(evaluation: Evaluation, metric: str, regions: Sequence[str]) -> dict[str, np.ndarray]:
    """Return a metric of each region, and of `MEAN`, the mean over the regions that a case has a value for.

    Returns:
        Region to values [cases], in the order of `evaluation.cases`; NaN where missing.
    """
    values = {
        region: np.array([evaluation.scores.get((case, region, metric), np.nan) for case in evaluation.cases])
        for region in regions
    }
    return {**values, MEAN: nan_mean(np.stack(list(values.values())), axis=0)}


def nan_mean(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Average what is not NaN; NaN where nothing is left."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Mean of empty slice")
        return np.asarray(np.nanmean(values, axis=axis))


def summarise(evaluation: Evaluation, regions: Sequence[str]) -> dict[tuple[str, str], Summary]:
    """Describe each metric that the evaluation has, by region over the cases, and the mean of the regions.

    The mean of the regions averages their means, as `summary.json` does; its spread is that of the cases'
    means over the regions.

    Returns:
        (metric, region or `MEAN`) to its summary.
    """
    summaries = {}
    for metric in METRICS:
        if metric not in evaluation.metrics:
            continue
        asked = np.isin(evaluation.cases, evaluation.cases_with(metric))
        values = {region: found[asked] for region, found in case_values(evaluation, metric, regions).items()}
        described = {region: _describe(values[region]) for region in regions}
        over_regions = _describe(
            values[MEAN],
            mean=float(nan_mean(np.array([summary.mean for summary in described.values()]))),
            missing=sum(summary.missing for summary in described.values()),
        )
        summaries |= {(metric, region): summary for region, summary in described.items()}
        summaries[metric, MEAN] = over_regions
    return summaries


def spread_over_seeds(cohort: Cohort, arms: Arms) -> dict[str, dict[tuple[str, str], SeedSpread]]:
    """Return each arm's mean and spread over its seeds; empty where no arm has several.

    Returns:
        Arm's label to (metric, region or `MEAN`) to mean and spread.
    """
    groups = by_arm(cohort, arms)
    if all(len(members) == 1 for members in groups.values()):
        return {}
    spreads = {}
    for label, members in groups.items():
        summaries = [summarise(member, cohort.regions) for member in members]
        spreads[label] = {}
        for key in dict.fromkeys(key for summary in summaries for key in summary):
            means = np.array([summary[key].mean for summary in summaries if key in summary])
            std = float(means.std(ddof=1)) if len(means) > 1 else np.nan
            spreads[label][key] = SeedSpread(float(means.mean()), std)
    return spreads


def _describe(values: np.ndarray, **known: float) -> Summary:
    """Summarise values with NaN for missing ones; what is ``known`` replaces what they would give."""
    there = values[~np.isnan(values)]
    facts: Mapping[str, float] = dict.fromkeys(("mean", "std", "median", "min", "max", "q25", "q75"), np.nan)
    if len(there):
        facts = {
            "mean": there.mean(),
            "std": there.std(ddof=1) if len(there) > 1 else 0.0,
            "median": np.median(there),
            "min": there.min(),
            "max": there.max(),
            "q25": np.percentile(there, 25),
            "q75": np.percentile(there, 75),
        }
    chosen = {"missing": len(values) - len(there), **facts, **known}
    missing = int(chosen.pop("missing"))
    return Summary(**{name: float(value) for name, value in chosen.items()}, missing=missing)
