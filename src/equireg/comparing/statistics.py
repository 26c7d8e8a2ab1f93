"""Numbers over regions and over runs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from equireg.statistics import Summary, describe, nan_mean

MEAN = "mean of regions"
"""Stands beside the regions' names for their mean."""


@dataclass(frozen=True)
class RunSpread:
    """One metric of one region over the runs of an arm: its seeds, and the repeats of each."""

    mean: float
    std: float
    """of the sample of runs; NaN for one run"""
    missing: int
    """values that all the runs together lack"""
    runs: int


def summarise(values: Mapping[str, np.ndarray], left_out: Collection[str] = ()) -> dict[str, Summary]:
    """Describe one metric of each region over the cases.

    The mean of the regions averages their means, as `summary.json` does; its spread is that of the cases' means
    over the regions.

    Args:
        values: region, and `MEAN`, to values [cases], NaN where missing.
        left_out: regions that are not in the mean.
    """
    found = {region: describe(one) for region, one in values.items() if region != MEAN}
    meant = [summary for region, summary in found.items() if region not in left_out]
    over_regions = nan_mean(np.array([summary.mean for summary in meant]))
    missing = sum(summary.missing for summary in meant)
    return {**found, MEAN: describe(values[MEAN], mean=float(over_regions), missing=missing)}


def spread(summaries: Sequence[Summary]) -> RunSpread:
    """Return the mean and the spread of the means of runs, and how many values lie behind none."""
    means = np.array([summary.mean for summary in summaries])
    std = float(means.std(ddof=1)) if len(means) > 1 else np.nan
    return RunSpread(float(means.mean()), std, sum(summary.missing for summary in summaries), len(summaries))
