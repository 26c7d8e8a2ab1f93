"""Cohorts: which results may stand side by side, and every number that comes of comparing them, found once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from equireg.comparing.arms import Arm, Arms
from equireg.comparing.bridging import Bridging, bridging
from equireg.comparing.differences import Difference, Groups, differences
from equireg.comparing.series import Series, series_of
from equireg.comparing.sources import Evaluation, Sources
from equireg.comparing.statistics import MEAN, RunSpread, spread
from equireg.metrics import METRICS


@dataclass(frozen=True, eq=False)
class Cohort:
    """Evaluations of the same cases by the same regions: only these are compared with each other.

    Cases without a mask have no Dice; a cohort of nothing else is judged by equivariance alone.
    """

    title: str
    evaluations: tuple[Evaluation, ...]
    arms: Arms

    @property
    def cases(self) -> tuple[str, ...]:
        """Names of the cases, sorted."""
        return self.evaluations[0].cases

    @property
    def judged(self) -> tuple[str, ...]:
        """The cases that have a mask."""
        return self.evaluations[0].cases_with.get("dice", ())

    @property
    def regions(self) -> tuple[str, ...]:
        """The judged regions, in the data set's order."""
        return self.evaluations[0].regions

    @property
    def columns(self) -> list[str]:
        """The regions, and their mean where there are several."""
        return [*self.regions, MEAN] if len(self.regions) > 1 else list(self.regions)

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics that are averaged over the cases, as far as any evaluation has them."""
        return tuple(name for name, metric in METRICS.items() if metric.averaged and self.has(name))

    def has(self, metric: str) -> bool:
        """Whether any of its evaluations has a metric."""
        return any(metric in evaluation.metrics for evaluation in self.evaluations)

    @cached_property
    def groups(self) -> Groups:
        """Label to the evaluations that differ in nothing but their seed and repeat.

        Two of one arm, seed and repeat differ in something that the folders do not hold (the checkpoint, say), so
        they are not averaged: each of that arm stands alone, under its own title.
        """
        gathered: dict[Arm, list[Evaluation]] = {}
        for evaluation in self.evaluations:
            gathered.setdefault(self.arms.of(evaluation), []).append(evaluation)
        groups: dict[str, tuple[Evaluation, ...]] = {}
        for arm, members in gathered.items():
            if len({member.draw for member in members}) == len(members):
                groups[arm.label] = tuple(members)
            else:
                groups.update({member.title: (member,) for member in members})
        return groups

    @cached_property
    def spreads(self) -> Mapping[str, Mapping[tuple[str, str], RunSpread]]:
        """Label of each arm to (metric, region or `MEAN`) to its spread over runs; empty where no arm has several."""
        if all(len(members) == 1 for members in self.groups.values()):
            return {}
        return {
            label: {
                key: spread([member.summaries[key] for member in members if key in member.summaries])
                for key in dict.fromkeys(key for member in members for key in member.summaries)
            }
            for label, members in self.groups.items()
        }

    @cached_property
    def differences(self) -> Mapping[tuple[str, str], Mapping[str, Difference]]:
        """Paired differences of Dice: (label, other's label) to region or `MEAN` to the difference."""
        return differences(self.groups, self.regions) if self.has("dice") else {}

    @cached_property
    def series(self) -> list[Series]:
        """Arms that differ in their labels only, joined; the baseline first."""
        return series_of(self.evaluations, self.arms)

    @cached_property
    def bridging(self) -> list[Bridging]:
        """The bridging coefficients of every series that learns from unlabelled scans."""
        return bridging(self.series, self.columns) if self.has("dice") else []

    def mean_over_runs(self, label: str, metric: str) -> float:
        """Return the mean of a group's runs, of the mean of the regions; NaN where one has none."""
        return float(np.mean([member.mean(metric, MEAN) for member in self.groups[label]]))


@dataclass(frozen=True)
class Results:
    """All that a page shows: the sources, and what may be compared."""

    sources: Sources
    arms: Arms
    cohorts: tuple[Cohort, ...]

    @classmethod
    def of(cls, sources: Sources) -> "Results":
        """Gather the evaluations that judge the same cases by the same regions."""
        arms = Arms([*sources.runs, *sources.evaluations])
        return cls(sources, arms, cohorts(sources.evaluations, arms))


def cohorts(evaluations: Sequence[Evaluation], arms: Arms) -> tuple[Cohort, ...]:
    """Gather the evaluations that judge the same cases by the same regions."""
    gathered: dict[tuple, list[Evaluation]] = {}
    for evaluation in _fullest(evaluations):
        alike = evaluation.cases, evaluation.regions, evaluation.cases_with.get("dice")
        gathered.setdefault(alike, []).append(evaluation)
    found = []
    for (_, regions, _), members in gathered.items():
        datasets = list(dict.fromkeys(e.facts.dataset for e in members if e.facts.dataset))
        splits = list(dict.fromkeys(e.facts.split for e in members if e.facts.split))
        title = ", ".join([*datasets, *splits]) or "Test cases"
        # What one model shows wrongly counts for all of them: their means are of the same regions.
        left_out = frozenset.intersection(*(e.left_out for e in members))
        alike = [replace(e, left_out=left_out if left_out != set(regions) else frozenset()) for e in members]
        ordered = sorted(alike, key=lambda e: (arms.of(e).index, e.draw[0] or 0, *e.draw[1:], e.title))
        found.append(Cohort(title, tuple(ordered), arms))
    return tuple(found)


def _fullest(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Leave out an evaluation without Dice of predictions that another one has scored, such as by the portal."""
    scored = [_predictions(e) for e in evaluations if "dice" in e.metrics]
    return [e for e in evaluations if "dice" in e.metrics or _predictions(e) not in scored]


def _predictions(evaluation: Evaluation) -> tuple:
    return evaluation.facts, evaluation.cases
