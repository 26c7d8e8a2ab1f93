"""Cohorts: which results may stand side by side, and every number that comes of comparing them, found once."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from equireg.comparing.arms import Arm, Arms
from equireg.comparing.bridging import Bridging, bridging
from equireg.comparing.compared import Evaluation
from equireg.comparing.differences import Difference, Groups, differences
from equireg.comparing.series import Series, series_of
from equireg.comparing.sources import Sources
from equireg.comparing.statistics import MEAN, RunSpread, spread
from equireg.metrics import METRICS

_SPLITS = {"train": "training case", "val": "validation case", "test": "test case"}
"""What cases of a split are called."""
_VOLUME = "reference_volume_ml"
_SAME_VOLUME = 1e-3
"""Relative difference up to which volumes are of the same mask: file formats round spacings differently."""


@dataclass(frozen=True, eq=False)
class Cohort:
    """Evaluations of the same cases by the same regions and masks: only these are compared with each other.

    Cases without a mask have no Dice; a cohort of nothing else is judged by equivariance alone.
    """

    title: str
    evaluations: tuple[Evaluation, ...]
    arms: Arms
    masks: int = 0
    """number of its masks, where other cohorts judge the same cases by others; else 0"""

    @property
    def cases(self) -> tuple[str, ...]:
        """Names of the cases, sorted."""
        return self.evaluations[0].cases

    @property
    def noun(self) -> str:
        """What one of its cases is called: by its split, where that is known and the same for all evaluations."""
        splits = {one.facts.split for one in self.evaluations if one.facts.split}
        return _SPLITS.get(splits.pop(), "case") if len(splits) == 1 else "case"

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
                if key[0] != "nsd" or len(tolerances_mm(members)) < 2
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
    """Gather the evaluations that judge the same cases by the same regions and masks.

    Masks are the same where their volumes are. One without volumes, such as the portal's, joins the first that fit.
    """
    gathered: dict[tuple, list[list[Evaluation]]] = {}
    for evaluation in _fullest(evaluations):
        alike = evaluation.cases, evaluation.regions, evaluation.cases_with.get("dice")
        several = gathered.setdefault(alike, [])
        same = next((one for one in several if _by_the_same_masks(evaluation, one)), None)
        several.append([evaluation]) if same is None else same.append(evaluation)
    found = []
    for (_, regions, _), place, members in _numbered(gathered):
        datasets = list(dict.fromkeys(e.facts.dataset for e in members if e.facts.dataset))
        splits = list(dict.fromkeys(e.facts.split for e in members if e.facts.split))
        title = ", ".join([*datasets, *splits]) or "Cases"
        title += f", masks {place}" if place else ""
        # What one model shows wrongly counts for all of them: their means are of the same regions.
        left_out = frozenset.intersection(*(e.left_out for e in members))
        alike = [replace(e, left_out=left_out if left_out != set(regions) else frozenset()) for e in members]
        ordered = sorted(alike, key=lambda e: (arms.of(e).index, e.draw[0] or 0, *e.draw[1:], e.title))
        found.append(Cohort(title, tuple(ordered), arms, place))
    return tuple(found)


def tolerances_mm(evaluations: Sequence[Evaluation]) -> list[float]:
    """Return the tolerances of NSD that differ, sorted, as far as they are known."""
    told = {one.provenance.config.get("tolerance_mm") for one in evaluations if "nsd" in one.metrics}
    return sorted(float(one) for one in told if isinstance(one, int | float))


def _numbered(gathered: Mapping[tuple, Sequence[list[Evaluation]]]) -> Iterator[tuple[tuple, int, list[Evaluation]]]:
    """Yield what cohorts have in common, their number where masks alone divide them, else 0, and their members."""
    for alike, several in gathered.items():
        for place, members in enumerate(several, 1):
            yield alike, place if len(several) > 1 else 0, members


def _by_the_same_masks(one: Evaluation, others: Sequence[Evaluation]) -> bool:
    """Whether all masks have the volumes that they have in other evaluations of the same cases and regions."""
    mine = one.values.get(_VOLUME)
    theirs = next((values for other in others if (values := other.values.get(_VOLUME)) is not None), None)
    if mine is None or theirs is None:
        return True
    return all(np.allclose(mine[name], theirs[name], _SAME_VOLUME, 0.0, equal_nan=True) for name in one.regions)


def _fullest(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Leave out an evaluation without Dice of predictions that another one has scored, such as by the portal."""
    scored = [_predictions(e) for e in evaluations if "dice" in e.metrics]
    return [e for e in evaluations if "dice" in e.metrics or _predictions(e) not in scored]


def _predictions(evaluation: Evaluation) -> tuple:
    return evaluation.facts, evaluation.cases
