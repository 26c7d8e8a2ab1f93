"""Numbers of the page: spread over cases, spread over seeds, paired differences."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from equireg.reporting.comparison import Arms, Cohort, baseline_of, by_arm
from equireg.reporting.sources import Evaluation

METRICS = ("dice", "hd95_mm", "nsd", "equivariance_dice")
"""Metrics that are averaged, each where an evaluation has it."""

MEAN = "mean of regions"
"""Stands beside the regions' names for their mean."""

RESAMPLES = 10_000
_BOOTSTRAP_SEED = 20_201


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


@dataclass(frozen=True)
class Difference:
    """How an arm's Dice differs from its baseline's, over the cases that both have."""

    cases: int
    difference: float
    low: float
    """2.5 % end of the bootstrap interval; NaN for fewer than two cases"""
    high: float


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


def differences(cohort: Cohort, arms: Arms) -> dict[tuple[str, str], dict[str, Difference]]:
    """Compare each arm's Dice with that of the supervised arm of as many labels, case by case.

    Each case counts once, with its mean over the seeds of its arm. The interval is the percentile bootstrap
    over cases (Efron & Tibshirani 1993, chapter 13): it tells how far other cases might move the difference,
    not how far other seeds might.

    Returns:
        (arm's label, baseline's label) to region or `MEAN` to the difference.
    """
    groups = by_arm(cohort, arms) if cohort.has("dice") else {}
    found: dict[tuple[str, str], dict[str, Difference]] = {}
    for label, members in groups.items():
        baseline = baseline_of(label, groups)
        if baseline is None:
            continue
        ours, theirs = _over_seeds(members, cohort), _over_seeds(groups[baseline], cohort)
        found[label, baseline] = {region: _difference(ours[region] - theirs[region]) for region in ours}
    return found


def bootstrap_interval(values: np.ndarray, resamples: int = RESAMPLES) -> tuple[float, float]:
    """Return the 95 % interval of the mean over resampled values; NaN for fewer than two.

    The generator is seeded: the same values give the same interval.
    """
    if len(values) < 2:
        return np.nan, np.nan
    generator = np.random.default_rng(_BOOTSTRAP_SEED)
    drawn = generator.integers(0, len(values), size=(resamples, len(values)), dtype=np.int32)
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5])
    return float(low), float(high)


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


def _difference(gain: np.ndarray) -> Difference:
    paired = gain[~np.isnan(gain)]
    low, high = bootstrap_interval(paired)
    return Difference(len(paired), float(nan_mean(gain)), low, high)


def _over_seeds(members: Sequence[Evaluation], cohort: Cohort) -> dict[str, np.ndarray]:
    """Average the Dice of each case over the members: region or `MEAN` to values [cases]."""
    tables = [case_values(member, "dice", cohort.regions) for member in members]
    return {region: np.mean([table[region] for table in tables], axis=0) for region in tables[0]}
