"""The scores of cases."""

import logging
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import Literal

from equireg.errors import some_of
from equireg.metrics import METRICS

_log = logging.getLogger("equireg")

Side = Literal["prediction", "reference", "transform"]


@dataclass(frozen=True)
class Score:
    """The metrics of one case, a row of each region."""

    case: str
    regions: Mapping[str, Mapping[str, float | None]]
    """Region name to metric name to value; None where the metric has no value."""
    values: frozenset[int] = frozenset()
    """Label values found in the files."""
    shown: Mapping[str, frozenset[Side]] | None = None
    """Region name to the files that show it: prediction, reference, or either of the two under the transform.
    None: nobody knows."""

    def has(self, metric: str) -> bool:
        """Whether the case was judged by a metric, with or without a value."""
        return any(metric in metrics for metrics in self.regions.values())

    @property
    def is_judged(self) -> bool:
        """Whether the mask gives anything a value: not where all of it is ignored."""
        values = ((METRICS[name].of, value) for found in self.regions.values() for name, value in found.items())
        return any(of == "reference" and value is not None for of, value in values)

    def shows(self, region: str, sides: Collection[Side]) -> bool:
        """Whether one of some files shows a region, or may do so."""
        return self.shown is None or not self.shown.get(region, frozenset()).isdisjoint(sides)

    def mean_dice(self, regions: Collection[str]) -> float:
        """Return the Dice averaged over some regions, of a case with a mask; 0 where none has a value."""
        found = [value for region in regions if (value := self.regions[region]["dice"]) is not None]
        return statistics.fmean(found) if found else 0.0


def with_all_regions(scores: Sequence[Score], regions: Iterable[str], metrics: Collection[str]) -> list[Score]:
    """Give every case every region, in the same order: a region that a case does not name is empty in both files."""
    empty = {metric: METRICS[metric].both_empty for metric in metrics}
    names = list(regions)
    return [replace(score, regions={name: score.regions.get(name, empty) for name in names}) for score in scores]


def finite(scores: Sequence[Score]) -> list[Score]:
    """Count values that are no finite numbers as missing, and warn of them: a metric from outside may return them."""
    odd = {
        (metric, score.case): value
        for score in scores
        for metrics in score.regions.values()
        for metric, value in metrics.items()
        if value is not None and not isfinite(value)
    }
    if not odd:
        return list(scores)
    _log.warning(
        "metrics that are infinite or no number count as missing: %s",
        some_of(sorted(f"{metric} of {case} ({value})" for (metric, case), value in odd.items())),
    )
    return [
        replace(score, regions={region: _finite(metrics) for region, metrics in score.regions.items()})
        for score in scores
    ]


def _finite(metrics: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: value if value is not None and isfinite(value) else None for name, value in metrics.items()}


def joined(first: Sequence[Score], second: Sequence[Score]) -> list[Score]:
    """Put the metrics of two kinds of scores together, sorted by case; a case may be in either alone."""
    together = {score.case: score for score in first}
    for score in second:
        known = together.get(score.case)
        if known is None:
            together[score.case] = score
            continue
        regions = {name: {**known.regions[name], **metrics} for name, metrics in score.regions.items()}
        together[score.case] = replace(
            known, regions=regions, values=known.values | score.values, shown=_joined_shown(known, score)
        )
    return [together[case] for case in sorted(together)]


def shown_regions(scores: Sequence[Score], metric: str) -> list[str]:
    """Return the regions that at least one file shows, of those that a metric compares; all where none is shown.

    A declared label that neither side ever shows is empty in both, a perfect answer to a question that was not
    asked; it must not lift the mean.
    """
    asked = [score for score in scores if score.has(metric)]
    sides: tuple[Side, ...] = ("transform",) if METRICS[metric].of == "transform" else ("prediction", "reference")
    names = list(asked[0].regions) if asked else []
    return [name for name in names if any(score.shows(name, sides) for score in asked)] or names


def nothing_in_common(scores: Sequence[Score]) -> str | None:
    """Say so where predictions and masks show different regions in all cases, as 0 and 1 beside 0 and 255 do."""
    predicted, referred = (
        {name for score in scores if score.shown for name, found in score.shown.items() if side in found}
        for side in ("prediction", "reference")
    )
    if not predicted or not referred or predicted & referred:
        return None
    return (
        f"shows {some_of(sorted(predicted))}, and the masks show {some_of(sorted(referred))}; nothing is in both. "
        "If they mean the same, give both the same label values."
    )


def _joined_shown(first: Score, second: Score) -> Mapping[str, frozenset[Side]] | None:
    if first.shown is None or second.shown is None:
        return first.shown or second.shown
    names = {*first.shown, *second.shown}
    return {name: first.shown.get(name, frozenset()) | second.shown.get(name, frozenset()) for name in names}
