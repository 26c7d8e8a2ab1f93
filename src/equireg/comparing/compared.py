"""What is compared: runs and evaluations, frozen, free of paths."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from equireg.comparing.statistics import MEAN, summarise
from equireg.comparing.trust import Predictions
from equireg.folders.evaluation import Picture
from equireg.folders.run_facts import RunFacts
from equireg.imaging.labels import LabelTable
from equireg.statistics import Summary, nan_mean

Values = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Provenance:
    """How a folder was made."""

    config: Mapping[str, Any]
    """nested options, without paths"""
    versions: Mapping[str, str]
    """library to version"""
    commit: str | None
    seconds: float | None
    """wall-clock time, where the folder holds it"""
    predicted_with: Mapping[str, Any]
    """options of `equireg predict` behind an evaluation, as far as it knows them"""


@dataclass(frozen=True, eq=False)
class Run:
    """A folder made by `equireg train`."""

    title: str
    """name to show, unlike that of any other run of the page"""
    facts: RunFacts
    provenance: Provenance
    finished: bool
    last_step: int
    scalars: Mapping[str, np.ndarray]
    """scalar's name to its steps and values [n, 2], by step; none is empty"""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A folder made by `equireg evaluate`; its numbers are found once, at the first call."""

    title: str
    """name to show, unlike that of any other evaluation of the page"""
    facts: RunFacts
    """of the run that predicted"""
    provenance: Provenance
    scores: Mapping[tuple[str, str, str], float]
    """(case, region, metric) to its value; NaN where missing"""
    labels: LabelTable
    pictures: tuple[Picture, ...] = ()
    left_out: frozenset[str] = frozenset()
    """regions that no case shows; they are not in the mean of the regions"""
    predictions: Predictions | None = None
    """what it judged, where that is still there"""
    patients: tuple[str, ...] = ()
    """whose scan each of its cases is, in their order"""
    learnt: frozenset[str] = frozenset()
    """its cases that the model learnt from with their masks, as far as that is known"""

    @property
    def draw(self) -> tuple[int | None, int, str]:
        """What distinguishes runs of one arm: the seed, the repeat of that seed, 0 for the first, and the fold."""
        return self.facts.seed, self.facts.repeat or 0, self.facts.fold or ""

    @cached_property
    def cases(self) -> tuple[str, ...]:
        """Names of the evaluated cases, sorted."""
        return tuple(sorted({case for case, _, _ in self.scores}))

    @cached_property
    def regions(self) -> tuple[str, ...]:
        """Names of the judged regions, in the data set's order; those that it does not name come last."""
        found = list(dict.fromkeys(region for _, region, _ in self.scores))
        declared = [region for region in self.labels.judged_regions() if region in found]
        return tuple(declared + [region for region in found if region not in declared])

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that it has, in the order of its table."""
        return tuple(dict.fromkeys(metric for _, _, metric in self.scores))

    @cached_property
    def cases_with(self) -> Mapping[str, tuple[str, ...]]:
        """Metric to the cases that it was asked of, sorted; those without a mask have no Dice, not even none."""
        asked = dict.fromkeys((metric, case) for case, _, metric in sorted(self.scores))
        return {name: tuple(case for metric, case in asked if metric == name) for name in self.metrics}

    @cached_property
    def values(self) -> Mapping[str, Values]:
        """Metric to region, and `MEAN` of those that a case has a value for, to values [cases]; NaN if missing."""
        return {metric: self._values(metric) for metric in self.metrics}

    @cached_property
    def summaries(self) -> Mapping[tuple[str, str], Summary]:
        """Describe each metric, by region over the cases and the mean of the regions."""
        found = {}
        for metric, by_region in self.values.items():
            asked = np.isin(self.cases, self.cases_with[metric])
            described = summarise({region: values[asked] for region, values in by_region.items()}, self.left_out)
            found |= {(metric, region): summary for region, summary in described.items()}
        return found

    def mean(self, metric: str, region: str) -> float:
        """Return a metric's mean over the cases, of a region or of `MEAN`; NaN where there is none."""
        summary = self.summaries.get((metric, region))
        return np.nan if summary is None else summary.mean

    def _values(self, metric: str) -> Values:
        table = {
            region: np.array([self.scores.get((case, region, metric), np.nan) for case in self.cases])
            for region in self.regions
        }
        meant = [values for region, values in table.items() if region not in self.left_out]
        return {**table, MEAN: nan_mean(np.stack(meant), axis=0)}
