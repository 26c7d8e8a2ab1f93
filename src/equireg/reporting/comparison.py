"""Which results may stand side by side: arms of equal training, and cohorts of equal cases."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from equireg.reporting.sources import Evaluation, Facts, Run

BASELINE = "supervised"
"""The method that all others are compared with."""


@dataclass(frozen=True)
class Arm:
    """All runs that differ in nothing but their seed and repeat, as far as their folders say."""

    label: str
    index: int
    """place among the arms of the page; fixes its colour and marker"""
    method: str | None
    labelled_cases: int | None
    stem: str
    """name of its runs, less their seed"""


@dataclass(frozen=True)
class Cohort:
    """Evaluations of the same cases by the same regions: only these are compared with each other.

    Cases without a mask have no Dice; a cohort of nothing else is judged by equivariance alone.
    """

    title: str
    cases: tuple[str, ...]
    regions: tuple[str, ...]
    evaluations: tuple[Evaluation, ...]

    @property
    def judged(self) -> tuple[str, ...]:
        """The cases that have a mask."""
        return self.evaluations[0].cases_with("dice")

    def has(self, metric: str) -> bool:
        """Whether any of its evaluations has a metric."""
        return any(metric in evaluation.metrics for evaluation in self.evaluations)


class Arms:
    """Finds the arm of a source; built once from all sources of the page."""

    def __init__(self, sources: Iterable[Run | Evaluation]) -> None:
        entries = list(dict.fromkeys(source.facts for source in sources))
        split = _ambiguous(entries)
        keys = {facts: _arm_key(facts, by_stem=_setting(facts) in split) for facts in entries}
        first = {}
        for facts in sorted(entries, key=_order):
            first.setdefault(keys[facts], facts)
        labels = _labels(first)
        arms = {
            key: Arm(labels[key], index, facts.method, facts.labelled_cases, _stem(facts.name))
            for index, (key, facts) in enumerate(first.items())
        }
        self._of = {facts: arms[keys[facts]] for facts in entries}
        self.all = tuple(arms.values())

    def of(self, source: Run | Evaluation) -> Arm:
        """Return the arm of one of the sources."""
        return self._of[source.facts]


def cohorts(evaluations: Sequence[Evaluation], arms: Arms) -> tuple[Cohort, ...]:
    """Gather the evaluations that judge the same cases by the same regions."""
    gathered: dict[tuple, list[Evaluation]] = {}
    for evaluation in _fullest(evaluations):
        alike = evaluation.cases, evaluation.regions, evaluation.cases_with("dice")
        gathered.setdefault(alike, []).append(evaluation)
    sets = []
    for (cases, regions, _), members in gathered.items():
        datasets = list(dict.fromkeys(e.facts.dataset for e in members if e.facts.dataset))
        splits = list(dict.fromkeys(e.split for e in members if e.split))
        title = ", ".join([*datasets, *splits]) or "Test cases"
        ordered = sorted(members, key=lambda e: (arms.of(e).index, e.facts.seed or 0, e.facts.chance[1], e.title))
        sets.append(Cohort(title, cases, regions, tuple(ordered)))
    return tuple(sets)


def _fullest(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Leave out an evaluation without Dice of predictions that another one has scored, such as by the portal."""
    scored = {(e.facts, e.split, e.cases) for e in evaluations if e.cases_with("dice")}
    return [e for e in evaluations if e.cases_with("dice") or (e.facts, e.split, e.cases) not in scored]


def by_arm(cohort: Cohort, arms: Arms) -> dict[str, tuple[Evaluation, ...]]:
    """Gather a cohort's evaluations that differ in nothing but their seed and repeat.

    Returns:
        Label to evaluations. Two of one arm, seed and repeat differ in something that the folders do not tell
        (the checkpoint, say), so they are not averaged: each of that arm stands alone, under its own title.
    """
    gathered: dict[Arm, list[Evaluation]] = {}
    for evaluation in cohort.evaluations:
        gathered.setdefault(arms.of(evaluation), []).append(evaluation)
    groups: dict[str, tuple[Evaluation, ...]] = {}
    for arm, members in gathered.items():
        if len({member.facts.chance for member in members}) == len(members):
            groups[arm.label] = tuple(members)
        else:
            groups.update({member.title: (member,) for member in members})
    return groups


def baseline_of(label: str, groups: Mapping[str, tuple[Evaluation, ...]]) -> str | None:
    """Name the group that a group is compared with: the supervised one with as many labelled cases.

    Returns:
        Its label, or None for a supervised group, and where no baseline or more than one would fit.
    """
    facts = groups[label][0].facts
    if facts.method is None or facts.method == BASELINE:
        return None
    fitting = [
        other
        for other, members in groups.items()
        if members[0].facts.method == BASELINE
        and members[0].facts.labelled_cases == facts.labelled_cases
        and members[0].facts.dataset == facts.dataset
    ]
    return fitting[0] if len(fitting) == 1 else None


def _setting(facts: Facts) -> tuple:
    """Return what two runs of one arm have in common; a run that names no method is an arm of its own."""
    return (facts.method or f"run {facts.name}", facts.labelled_cases, facts.unlabelled_cases, facts.dataset)


def _ambiguous(entries: Sequence[Facts]) -> set[tuple]:
    """Find the settings in which a seed's repeat comes twice: there the folders hide another difference."""
    runs: dict[tuple, set[tuple]] = {}
    for facts in entries:
        runs.setdefault(_setting(facts), set()).add((facts.name, facts.chance))
    return {setting for setting, found in runs.items() if len({chance for _, chance in found}) < len(found)}


def _arm_key(facts: Facts, by_stem: bool) -> tuple:
    return (*_setting(facts), _stem(facts.name)) if by_stem else _setting(facts)


def _stem(name: str) -> str:
    """Strip seed and repeat: `ema-s43`, `seed42-ema` and `ema-seed1-repeat0` are all `ema`."""
    named = re.sub(r"[-_. ]*(seed|repeat)[-_=]?\d+", "", name, flags=re.IGNORECASE).strip("-_. ")
    return re.sub(r"[-_. ]*s?[-_=]?\d+$", "", named, flags=re.IGNORECASE) if named == name else named or name


def _order(facts: Facts) -> tuple:
    """Sort the baseline first, then by method and by number of labels."""
    return (facts.method != BASELINE, facts.method or "", facts.labelled_cases or 0, facts.name)


def _labels(first: Mapping[tuple, Facts]) -> dict[tuple, str]:
    """Say of each arm as little as tells it from the others: its method, then its labels, then its name."""
    wordings = (
        lambda facts: facts.method or facts.name,
        lambda facts: f"{facts.method or facts.name}, {facts.labelled_cases} labelled",
        lambda facts: f"{facts.method or facts.name}, {facts.labelled_cases} + {facts.unlabelled_cases} cases",
        lambda facts: f"{facts.method or facts.name} ({_stem(facts.name)}), {facts.labelled_cases} labelled",
        lambda facts: f"{facts.method or facts.name} ({facts.name}), {facts.dataset}",
    )
    labels: dict[tuple, str] = {}
    for wording in wordings:
        labels = {key: wording(facts) for key, facts in first.items()}
        if len(set(labels.values())) == len(labels):
            return labels
    return {key: f"{label} #{place}" for place, (key, label) in enumerate(labels.items(), start=1)}
