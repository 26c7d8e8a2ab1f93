"""Numbers over cases: a summary, an interval, a test; for evaluations and for the report."""

import statistics
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

RESAMPLES = 10_000
_BOOTSTRAP_SEED = 20_201


@dataclass(frozen=True)
class Summary:
    """One metric of one region over the cases; NaN where no case has a value."""

    mean: float
    std: float
    """of the sample of cases, 0 for a single one, as in `summary.json`"""
    median: float
    q25: float
    """quartiles by linear interpolation"""
    q75: float
    min: float
    max: float
    missing: int
    """cases that should have a value and have none"""


def nan_mean(values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Average what is not NaN; NaN where nothing is left."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Mean of empty slice")
        return np.asarray(np.nanmean(values, axis=axis))


def rank_correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return Spearman's rank correlation of two series of numbers [n]; NaN where one of them never changes."""
    ranks = np.stack([scipy.stats.rankdata(one), scipy.stats.rankdata(other)])
    return float(np.corrcoef(ranks)[0, 1]) if ranks.std(axis=1).all() else np.nan


def describe(values: np.ndarray, **known: float) -> Summary:
    """Summarise values with NaN for missing ones; what is ``known`` replaces what they would give."""
    there = values[~np.isnan(values)].tolist()
    facts: Mapping[str, float] = dict.fromkeys(("mean", "std", "median", "q25", "q75", "min", "max"), np.nan)
    if there:
        q25, q75 = np.quantile(there, (0.25, 0.75))
        facts = {
            "mean": statistics.fmean(there),
            "std": statistics.stdev(there) if len(there) > 1 else 0.0,
            "median": statistics.median(there),
            "q25": q25,
            "q75": q75,
            "min": min(there),
            "max": max(there),
        }
    chosen = {"missing": len(values) - len(there), **facts, **known}
    missing = int(chosen.pop("missing"))
    return Summary(**{name: float(value) for name, value in chosen.items()}, missing=missing)


def bootstrap_interval(values: np.ndarray, resamples: int = RESAMPLES) -> tuple[float, float]:
    """Return the 95 % percentile interval of the mean over resampled cases and resampled seeds.

    Both are drawn again, each with replacement and apart from the other (the pigeonhole bootstrap: Owen 2007,
    The pigeonhole bootstrap, section 3): the interval shows how far other cases and other trainings might move
    the mean. With one seed it is the plain bootstrap over cases (Efron & Tibshirani 1993, chapter 13). The
    generator is seeded: the same values give the same interval.

    Args:
        values: [cases] or [cases, seeds], none of them NaN.
        resamples: how often to draw.

    Returns:
        Low and high end; NaN for fewer than two cases.
    """
    if len(values) < 2:
        return np.nan, np.nan
    table = values.reshape(len(values), -1)
    generator = np.random.default_rng(_BOOTSTRAP_SEED)
    counts = [
        generator.multinomial(size, np.full(size, 1 / size), size=resamples) / size for size in table.shape
    ]  # how often each case and each seed is drawn, as weights
    drawn = ((counts[0] @ table) * counts[1]).sum(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def signed_rank(values: np.ndarray) -> float:
    """Return the two-sided p of Wilcoxon's signed-rank test that the values [cases] lie about zero.

    Zeros are left out, as Wilcoxon did; 1 where all are zero, NaN for fewer than two values.
    """
    if len(values) < 2:
        return np.nan
    values = values[values != 0]  # before scipy, which chooses the exact test by the number of all
    if not len(values):
        return 1.0
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning)  # few cases: the normal approximation is rough
        warnings.filterwarnings("ignore", category=RuntimeWarning)
        return float(np.asarray(scipy.stats.wilcoxon(values))[1])


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p values for their number (Holm 1979, A simple sequentially rejective multiple test procedure).

    Returns:
        The adjusted values in the given order; NaN stays and does not count.
    """
    known = [place for place, p in enumerate(p_values) if np.isfinite(p)]
    adjusted = [np.nan] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(known, key=lambda place: p_values[place])):
        highest = max(highest, min(1.0, (len(known) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted
