"""Arms in the order of their labels: what a line of a drawing joins, and what a group of bars holds."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from equireg.reporting.comparison import BASELINE, Arm, Arms, Cohort
from equireg.reporting.sources import Evaluation
from equireg.reporting.statistics import summarise

_AMOUNT = re.compile(r"[-_. ]*(?<!un)sup_?(cut|cases)?[-_=]?\d[\d.]*", re.IGNORECASE)


@dataclass(frozen=True, order=True)
class Amount:
    """How many labels a training was shown."""

    cases: int
    fraction: float | None
    """part of the masks that there are, 0 to 1; None if unknown"""

    @property
    def text(self) -> str:
        """The fraction in percent where it is known, else the count."""
        return str(self.cases) if self.fraction is None else percent(self.fraction)


@dataclass(frozen=True)
class Series:
    """Arms that differ in their labels only."""

    label: str
    index: int
    """place among the page's series; fixes its colour and marker"""
    method: str
    amounts: Mapping[Amount, tuple[Evaluation, ...]]
    """amount of labels to the runs with it, least first"""


def percent(fraction: float) -> str:
    """Write a fraction of the labels in percent, with three digits at most."""
    return f"{100 * fraction:.3g}\N{NO-BREAK SPACE}%"


def series_of(cohort: Cohort, arms: Arms) -> list[Series]:
    """Gather the cohort's arms that differ in their labels only, the baseline first.

    Arms that name no method or no count of labels belong to none.
    """
    members: dict[Arm, list[Evaluation]] = {}
    for evaluation in cohort.evaluations:
        arm = arms.of(evaluation)
        if arm.method is not None and arm.labelled_cases is not None:
            members.setdefault(arm, []).append(evaluation)
    label = _wording(list(members))
    gathered: dict[str, list[Arm]] = {}
    for arm in sorted(members, key=lambda arm: arm.index):
        gathered.setdefault(label(arm), []).append(arm)
    # Numbered over the page's arms, not this cohort's, so that a method keeps its colour from cohort to cohort.
    known = [arm for arm in arms.all if arm.method is not None and arm.labelled_cases is not None]
    numbers = {name: place for place, name in enumerate(dict.fromkeys(label(arm) for arm in known))}
    found = [_series(name, numbers[name], parts, members) for name, parts in gathered.items()]
    return sorted(found, key=lambda one: (one.method != BASELINE, one.index))


def means(evaluations: Sequence[Evaluation], cohort: Cohort, metric: str, region: str) -> list[float]:
    """Return each evaluation's mean over its cases of one metric of one region, or of `MEAN`."""
    return [summarise(evaluation, cohort.regions)[metric, region].mean for evaluation in evaluations]


def _series(label: str, index: int, parts: Sequence[Arm], members: Mapping[Arm, Sequence[Evaluation]]) -> Series:
    amounts = {
        Amount(arm.labelled_cases or 0, members[arm][0].facts.fraction): tuple(members[arm])
        for arm in sorted(parts, key=lambda arm: arm.labelled_cases or 0)
    }
    return Series(label, index, parts[0].method or label, amounts)


def _wording(arms: Sequence[Arm]) -> Callable[[Arm], str]:
    """Choose the shortest words by which no two arms with as many labels have one name."""
    wordings: tuple[Callable[[Arm], str], ...] = (
        lambda arm: arm.method or arm.label,
        lambda arm: f"{arm.method} ({_AMOUNT.sub('', arm.stem)})",
    )
    for wording in wordings:
        if len({(wording(arm), arm.labelled_cases) for arm in arms}) == len(arms):
            return wording
    return lambda arm: arm.label
