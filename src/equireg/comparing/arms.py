"""Which runs are one arm: those with equal options and equal data, less seed and repeat."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from equireg.comparing.compared import Evaluation, Run
from equireg.folders.run_facts import RunFacts

BASELINE = "supervised"
"""The method that all others are compared with."""
_Words = Callable[[RunFacts, Sequence[RunFacts]], str]
_WORDS: dict[str, _Words] = {
    "labels": lambda facts, _: f", {facts.labelled_cases} labelled",
    "unlabelled": lambda facts, _: f", {facts.unlabelled_cases} unlabelled",
    "dataset": lambda facts, _: f", {facts.dataset}",
    "name": lambda facts, _: f" ({own_name(facts)})",
}
"""What distinguishes arms of one method and options, as far as needed."""


@dataclass(frozen=True)
class Line:
    """What arms have in common that differ in the amount of labels alone."""

    label: str
    index: int
    """place among the page's lines; fixes its colour and marker"""


@dataclass(frozen=True)
class Arm:
    """All runs that differ in nothing but their seed and repeat."""

    label: str
    index: int
    """place among the arms of the page; fixes its colour and marker"""
    method: str | None
    labelled_cases: int | None
    line: Line | None
    """the line that it is a point of; None without a method or a count of labels"""


class Arms:
    """Finds the arm of a source; built once from all sources of the page."""

    def __init__(self, sources: Iterable[Run | Evaluation]) -> None:
        first: dict[tuple, RunFacts] = {}
        for facts in sorted((source.facts for source in sources), key=_order):
            first.setdefault(_key(facts), facts)
        members = list(first.values())
        labels = _titles(members, (_options_that_differ, *_WORDS.values()))
        self._of = {
            _key(facts): Arm(label, index, facts.method, facts.labelled_cases, line)
            for index, (facts, label, line) in enumerate(zip(members, labels, _lines(members), strict=True))
        }
        self.all = tuple(self._of.values())

    def of(self, source: Run | Evaluation) -> Arm:
        """Return the arm of one of the sources."""
        return self._of[_key(source.facts)]


def own_name(facts: RunFacts) -> str:
    """Return a run's name less its own seed and repeat, as its facts give them: `ema-s43` of seed 43 is `ema`."""
    name = facts.name
    for words, number in (("repeat|r", facts.repeat or 0), ("seed|s", facts.seed)):
        name = re.sub(rf"(^|[-_. ]+)({words})[-_=]?{number}(?=$|[-_. ])", "", name, flags=re.IGNORECASE)
    return (name if name != facts.name else re.sub(rf"[-_. ]+{facts.seed}$", "", name)).strip("-_. ") or facts.name


def _key(facts: RunFacts) -> tuple:
    """Return what the runs of an arm have in common; of another tool's run only the name is known."""
    known = ("options", facts.arm) if facts.arm else ("name", own_name(facts), facts.method)
    return *known, facts.dataset, facts.labelled_cases, facts.unlabelled_cases


def _order(facts: RunFacts) -> tuple:
    """Sort the baseline first, then by method and by number of labels."""
    return (facts.method != BASELINE, facts.method or "", facts.labelled_cases or 0, facts.name)


def _lines(members: Sequence[RunFacts]) -> list[Line | None]:
    """Gather the arms that differ in their labels alone, and name each line as shortly as possible."""
    points = [facts for facts in members if facts.method is not None and facts.labelled_cases is not None]
    keys = [_line_key(facts, [one for one in points if one.method == facts.method]) for facts in points]
    first = dict(reversed(list(zip(keys, points, strict=True))))
    ordered = list(dict.fromkeys(keys))
    labels = _titles([first[key] for key in ordered], (_options_that_differ, _WORDS["name"]))
    lines = {key: Line(label, place) for place, (key, label) in enumerate(zip(ordered, labels, strict=True))}
    of = {_key(facts): lines[key] for facts, key in zip(points, keys, strict=True)}
    return [of.get(_key(facts)) for facts in members]


def _line_key(facts: RunFacts, alike: Sequence[RunFacts]) -> tuple:
    """Return what the arms of a line have in common, among the arms of one method."""
    if all(one.options for one in alike):
        return ("options", str(sorted(facts.options.items())))  # of any data set: a method keeps its colour
    # Of some nothing but their names is known: their method is a line unless an amount of labels comes twice.
    amounts = {(one.dataset, one.labelled_cases) for one in alike}
    return ("method", facts.method) if len(amounts) == len(alike) else ("arm", *_key(facts))


def _titles(members: Sequence[RunFacts], wordings: Sequence[_Words]) -> list[str]:
    """Name each by its method, and add one kind of words after the other until all differ."""
    titles = [facts.method or own_name(facts) for facts in members]
    for words in wordings:
        longer = [f"{title}{words(facts, members)}" for title, facts in zip(titles, members, strict=True)]
        alike = {
            title for title in titles if len({m for m, one in zip(longer, titles, strict=True) if one == title}) > 1
        }
        # Where one title needs its labels, all show them.
        chosen = set(titles) if alike and words is _WORDS["labels"] else alike
        titles = [more if title in chosen else title for more, title in zip(longer, titles, strict=True)]
    return [f"{title} #{place}" if titles.count(title) > 1 else title for place, title in enumerate(titles, start=1)]


def _options_that_differ(facts: RunFacts, members: Sequence[RunFacts]) -> str:
    alike = [one.options for one in members if one.method == facts.method and one.options]
    differ = [name for name in facts.options if len({str(one.get(name)) for one in alike}) > 1]
    words = ", ".join(f"{name.removeprefix('method.')}={facts.options[name]}" for name in differ)
    return f" ({words})" if words else ""
