"""Scores of all cases, summarised."""

import statistics
from collections.abc import Mapping, Sequence
from math import isnan
from typing import Any

import numpy as np

from equireg.evaluation.scores import Score, shown_regions
from equireg.metrics import METRICS
from equireg.statistics import describe


def summarise(scores: Sequence[Score], not_predicted: int = 0) -> dict[str, Any]:
    """Summarise the scores of all cases, as ``summary.json`` holds them.

    ``std`` is that of a sample (n - 1), 0 for a single value; ``q25`` and ``q75`` are quartiles by linear
    interpolation; missing values are counted and left out. ``cases`` counts those with a mask, or where none
    has one, all; ``judged`` those whose mask is not ignored everywhere.

    ``mean`` averages the regions' means, but for regions that no file shows: ``left_out_of_mean`` names them.
    ``presence`` counts for each region the cases in which both files show it, one of the two, or neither.

    Args:
        scores: of one case or more, each with all regions.
        not_predicted: masks that had no prediction, as far as those are not demanded.
    """
    names = list(scores[0].regions)
    metrics = [name for name, metric in METRICS.items() if metric.averaged and any(s.has(name) for s in scores)]
    regions = {
        name: {
            metric: _statistics([score.regions[name][metric] for score in scores if score.has(metric)])
            for metric in metrics
        }
        for name in names
    }
    shown = {metric: shown_regions(scores, metric) for metric in metrics}
    return {
        "cases": sum(score.has("dice") for score in scores) or len(scores),
        "regions": regions,
        "mean": {metric: _mean([regions[name][metric]["mean"] for name in shown[metric]]) for metric in metrics},
        "left_out_of_mean": [name for name in names if not any(name in some for some in shown.values())],
        "presence": _presence([score for score in scores if score.has("dice") and score.is_judged], names),
        "masks_without_prediction": not_predicted,
        "judged": sum(score.is_judged for score in scores),
    }


def _presence(scores: Sequence[Score], regions: Sequence[str]) -> dict[str, Mapping[str, int]]:
    """Count in how many cases a region is shown by both files, one or none; empty where nobody knows."""
    counts = {}
    for region in regions:
        judged = [score for score in scores if score.regions[region]["dice"] is not None]
        seen = [score.shown.get(region, frozenset()) for score in judged if score.shown is not None]
        found = [("prediction" in sides, "reference" in sides) for sides in seen]
        if found:
            counts[region] = {
                "both": found.count((True, True)),
                "prediction_only": found.count((True, False)),
                "reference_only": found.count((False, True)),
                "neither": found.count((False, False)),
            }
    return counts


def _mean(values: Sequence[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return statistics.fmean(found) if found else None


def _statistics(values: Sequence[float | None]) -> dict[str, float | int | None]:
    """Return mean, spread, median, quartiles, extremes and the number of missing values; None where none is there."""
    summary = vars(describe(np.array([np.nan if value is None else value for value in values])))
    return {name: None if isnan(value) else value for name, value in summary.items()}
