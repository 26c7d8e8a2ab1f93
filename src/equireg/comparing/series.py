"""Arms in the order of their labels: what a line of a drawing joins, and what a group of bars holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from equireg.comparing.arms import BASELINE, Arm, Arms
from equireg.comparing.compared import Evaluation
from equireg.folders.run_facts import RunFacts


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


def label_fraction(facts: RunFacts) -> float | None:
    """Return the part of the masks that training was shown, 0 to 1; None if unknown."""
    if facts.labelled_cases is None or not facts.masked_cases:
        return None
    return facts.labelled_cases / facts.masked_cases


def series_of(evaluations: Sequence[Evaluation], arms: Arms) -> list[Series]:
    """Gather the evaluations whose arms differ in their labels only, the baseline first.

    Arms that name no method or no count of labels belong to none.
    """
    members: dict[Arm, list[Evaluation]] = {}
    for evaluation in evaluations:
        arm = arms.of(evaluation)
        if arm.line is not None:
            members.setdefault(arm, []).append(evaluation)
    found = []
    for key in dict.fromkeys(arm.line for arm in members):
        parts = sorted((arm for arm in members if arm.line == key), key=lambda arm: arm.labelled_cases or 0)
        amounts: dict[Amount, tuple[Evaluation, ...]] = {}
        for arm in parts:
            amount = Amount(arm.labelled_cases or 0, label_fraction(members[arm][0].facts))
            amounts[amount] = (*amounts.get(amount, ()), *members[arm])
        if key is not None:
            found.append(Series(key.label, key.index, parts[0].method or key.label, amounts))
    return sorted(found, key=lambda one: (one.method != BASELINE, one.index))
