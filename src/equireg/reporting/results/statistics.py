"""Numbers over cases and over runs."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

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
class RunSpread:
    """One metric of one region over the runs of an arm: its seeds, and the repeats of each."""

    mean: float
    std: float
    """of the sample of runs; NaN for one run"""
    missing: int
    """values that all the runs together lack"""


def nan_mean(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Average what is not NaN; NaN where nothing is left."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Mean of empty slice")
        return np.asarray(np.nanmean(values, axis=axis))


def summarise(values: Mapping[str, np.ndarray]) -> dict[str, Summary]:
    """Describe one metric of each region over the cases.

    The mean of the regions averages their means, as `summary.json` does; its spread is that of the cases' means
    over the regions.

    Args:
        values: region, and `MEAN`, to values [cases], NaN where missing.
    """
    found = {region: describe(one) for region, one in values.items() if region != MEAN}
    over_regions = nan_mean(np.array([summary.mean for summary in found.values()]))
    missing = sum(summary.missing for summary in found.values())
    return {**found, MEAN: describe(values[MEAN], mean=float(over_regions), missing=missing)}


def spread(summaries: Sequence[Summary]) -> RunSpread:
    """Return the mean and the spread of the means of runs, and how many values lie behind none."""
    means = np.array([summary.mean for summary in summaries])
    std = float(means.std(ddof=1)) if len(means) > 1 else np.nan
    return RunSpread(float(means.mean()), std, sum(summary.missing for summary in summaries))


def describe(values: np.ndarray, **known: float) -> Summary:
    """Summarise values with NaN for missing ones; what is ``known`` replaces what they would give."""
    there = values[~np.isnan(values)]
    facts: Mapping[str, float] = dict.fromkeys(("mean", "std", "median", "min", "max", "q25", "q75"), np.nan)
    if len(there):
        q25, median, q75 = np.percentile(there, [25, 50, 75])
        facts = {
            "mean": there.mean(),
            "std": there.std(ddof=1) if len(there) > 1 else 0.0,
            "median": median,
            "min": there.min(),
            "max": there.max(),
            "q25": q25,
            "q75": q75,
        }
    chosen = {"missing": len(values) - len(there), **facts, **known}
    missing = int(chosen.pop("missing"))
    return Summary(**{name: float(value) for name, value in chosen.items()}, missing=missing)
