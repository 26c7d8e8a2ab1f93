"""The scores of one case and their summary over cases."""

import csv
import io
import itertools
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from equireg.errors import EquiregError
from equireg.evaluation.pairing import Pair
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import read_label
from equireg.metrics import dice, hd95_mm, nsd, volume_ml

METRICS = ("dice", "hd95_mm", "nsd", "equivariance_dice")
"""What a summary holds, as far as any case has it; the table has the two volumes besides."""

COLUMNS = ("case", "region", "metric", "value")

BOTH_EMPTY: Mapping[str, float] = {
    "dice": 1.0,
    "hd95_mm": 0.0,
    "nsd": 1.0,
    "volume_ml": 0.0,
    "reference_volume_ml": 0.0,
}


@dataclass(frozen=True)
class Score:
    """The metrics of one case, a row of each region."""

    case: str
    regions: Mapping[str, Mapping[str, float | None]]
    """Region name to metric name to value; None where the metric has no value."""
    values: frozenset[int]
    """Label values found in either file."""

    @property
    def mean_dice(self) -> float:
        """Dice averaged over the regions, of a case with a mask."""
        return statistics.fmean(metrics["dice"] or 0.0 for metrics in self.regions.values())

    def has(self, metric: str) -> bool:
        """Whether the case was judged by a metric, with or without a value."""
        return any(metric in metrics for metrics in self.regions.values())


def score_case(pair: Pair, table: LabelTable | None, tolerance_mm: float) -> Score:
    """Read a prediction and its reference and compare them, region by region.

    Args:
        pair: where both files are, and the geometry that they share.
        table: what the label values mean; None: each value found is a region, named by its value.
        tolerance_mm: NSD's tolerance, mm.

    Raises:
        EquiregError: if a file cannot be read or holds a value that the table does not know.
    """
    prediction = read_label(pair.prediction, pair.geometry)
    reference = read_label(pair.reference, pair.geometry)
    predicted_values, referred_values = found_values(prediction), found_values(reference)
    if table is None:
        table = table_of_values(predicted_values | referred_values)
    check_values(predicted_values, table.values, pair.prediction)
    declared = table.values if table.ignore is None else (*table.values, table.ignore)
    check_values(referred_values, declared, pair.reference)
    known = np.ones(reference.shape, dtype=bool) if table.ignore is None else reference != table.ignore
    spacing_mm = pair.geometry.spacing_mm
    scores = {}
    for name, members in table.judged_regions().items():
        predicted, referred = np.isin(prediction, members) & known, np.isin(reference, members) & known
        scores[name] = {
            "dice": dice(predicted, referred),
            "hd95_mm": hd95_mm(predicted, referred, spacing_mm),
            "nsd": nsd(predicted, referred, spacing_mm, tolerance_mm),
            "volume_ml": volume_ml(predicted, spacing_mm),
            "reference_volume_ml": volume_ml(referred, spacing_mm),
        }
    return Score(pair.case, scores, frozenset(predicted_values | referred_values))


def table_of_values(values: Iterable[int]) -> LabelTable:
    """Make a label table of nothing but values, each named as ``equireg prepare`` would name it."""
    ordered = sorted({0, *values})
    return LabelTable(tuple(ordered), ("background", *(f"label {value}" for value in ordered[1:])))


def with_all_regions(
    scores: Sequence[Score], regions: Sequence[str], empty: Mapping[str, float] = BOTH_EMPTY
) -> list[Score]:
    """Give every case a row for every region: one that a case lacks is empty in both of its masks."""
    return [replace(score, regions={name: score.regions.get(name, empty) for name in regions}) for score in scores]


def joined(*groups: Sequence[Score]) -> list[Score]:
    """Put all metrics of a case together, sorted by case; the groups have the same regions."""
    together: dict[str, Score] = {}
    for score in itertools.chain(*groups):
        known = together.get(score.case)
        if known is None:
            together[score.case] = score
        else:
            regions = {name: {**known.regions[name], **metrics} for name, metrics in score.regions.items()}
            together[score.case] = replace(known, regions=regions, values=known.values | score.values)
    return [together[case] for case in sorted(together)]


def summarise(scores: Sequence[Score]) -> dict[str, Any]:
    """Summarise the scores of all cases, as ``summary.json`` holds them.

    ``std`` is that of a sample (n - 1), 0 for a single value; ``q25`` and ``q75`` are quartiles by linear
    interpolation; missing values are counted and left out. ``cases`` counts those with a mask, or where none
    has one, all.
    """
    names = list(scores[0].regions)
    metrics = [metric for metric in METRICS if any(score.has(metric) for score in scores)]
    regions = {
        name: {
            metric: _statistics([score.regions[name][metric] for score in scores if score.has(metric)])
            for metric in metrics
        }
        for name in names
    }
    mean = {}
    for metric in metrics:
        means = [regions[name][metric]["mean"] for name in names]
        found = [value for value in means if value is not None]
        mean[metric] = statistics.fmean(found) if found else None
    cases = sum(score.has("dice") for score in scores) or len(scores)
    return {"cases": cases, "regions": regions, "mean": mean}


def as_csv(scores: Sequence[Score]) -> str:
    """Return the table of all scores: a row a case, region and metric; empty where a value is missing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for score in scores:
        for region, metrics in score.regions.items():
            for metric, value in metrics.items():
                writer.writerow((score.case, region, metric, "" if value is None else repr(float(value))))
    return text.getvalue()


def _statistics(values: Sequence[float | None]) -> dict[str, float | int | None]:
    """Return mean, spread, median, extremes and the number of missing values."""
    found = [value for value in values if value is not None]
    missing = len(values) - len(found)
    if not found:
        return {**dict.fromkeys(("mean", "std", "median", "q25", "q75", "min", "max")), "missing": missing}
    q25, q75 = (float(quartile) for quartile in np.quantile(found, (0.25, 0.75)))
    return {
        "mean": statistics.fmean(found),
        "std": statistics.stdev(found) if len(found) > 1 else 0.0,
        "median": statistics.median(found),
        "q25": q25,
        "q75": q75,
        "min": min(found),
        "max": max(found),
        "missing": missing,
    }


def found_values(labels: np.ndarray) -> set[int]:
    """Return the label values of a mask, the background's always among them."""
    # Most of a mask is background; to sort it would take longer than all metrics together.
    return {0, *(int(value) for value in np.unique(labels[labels != 0]))}


def check_values(found: Iterable[int], known: Sequence[int], path: Path) -> None:
    """Refuse a label value that the labels do not declare: its voxels would silently count as background."""
    unknown = sorted(set(found) - set(known))
    if unknown:
        raise EquiregError(
            f"{path}: has the label values {unknown}; expected some of {sorted(known)}. "
            "Give predictions and masks of the same labels, or correct labels.json."
        )
