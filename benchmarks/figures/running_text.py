"""Figures in the running text of README and docs: each has a result file, a table's cell, or a reason why it has none.

``running_text.toml`` lists them. A figure is a number with decimals or with a unit; versions, commands, tables and what
stands in backticks are none. A source is a list whose first item says what it is:

    ["json", FILE, KEY, KEY, ...]                   a value of a result file
    ["mean", FILE, COLUMN, {COLUMN = VALUE, ...}]   of the rows of a CSV file; also min and max
    ["cell", PAGE, SECTION, ROW, COLUMN, PLACE]     a number of a table's cell, the first without PLACE; ROW is how the
                                                    row begins, with " | " between cells
    ["-", SOURCE, SOURCE]                           a difference; also +, * and /, and numbers as they are
"""

import csv
import operator
import re
import statistics
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, reduce
from pathlib import Path
from typing import Any

from pages import Table, agrees, tables_of
from sources import ROOT, result

LIST = Path(__file__).with_name("running_text.toml")
_UNITS = "s|ms|min|MiB|GiB|KiB|points|times"
_NUMBER = r"\d[\d,]*(?:\.\d+)?"
_MORE = rf"(?:(?:,| to| and| or| instead of) {_NUMBER})*"
FIGURE = re.compile(rf"(?<![\w.])(?:{_NUMBER}(?={_MORE} ?(?:%|(?:{_UNITS})\b))|\d+\.\d+(?![\w.]*\d))")
_NO_FIGURE = re.compile(
    r"`[^`]*`|\]\([^)]*\)|(?:Python|torch|MONAI|Lightning|nnU-Net|SA) \d[\d.]*|Apache-2.0"
    r"|\d+ % (?:bootstrap )?interval|0 % is `supervised`.*100 %"
)
_COMBINED = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
_OF_ROWS: Mapping[str, Callable[[list[float]], float]] = {"mean": statistics.fmean, "min": min, "max": max}


@dataclass(frozen=True, eq=False)
class Claim:
    """A piece of running text with figures."""

    page: str
    text: str
    figures: Sequence[Any] = ()
    """source of each figure, in their order"""
    by_hand: str = ""
    """why there is no source"""


@dataclass(frozen=True, eq=False)
class Left:
    """A section whose running text has figures without a source."""

    page: str
    section: str
    """regular expression of the heading"""
    by_hand: str


def read_list() -> tuple[list[str], list[Claim], list[Left]]:
    """Return the pages that are looked at, the pieces of text, and the sections that are left out."""
    content = tomllib.loads(LIST.read_text("utf-8"))
    return content["pages"], [Claim(**one) for one in content["claim"]], [Left(**one) for one in content["left"]]


def problems() -> Iterator[str]:
    """Yield each figure that differs from its source or has none, and each entry of the list without its text."""
    pages, claims, left = read_list()
    found: set[Claim | Left] = set()
    for page in pages:
        for section, text in passages((ROOT / page).read_text("utf-8")):
            whole = [one for one in left if one.page == page and re.fullmatch(one.section, section)]
            known = [one for one in claims if one.page == page and one.text in text]
            found |= {*whole, *known}
            covered = [place for one in known for place in _spans(one.text, text)]
            for figure in FIGURE.finditer(text):
                if not whole and not any(start <= figure.start() < end for start, end in covered):
                    yield f"{page}, {section}: {figure[0]!r} in {_around(text, figure.start())!r} is not listed"
    for claim in claims:
        yield from differences(claim)
    yield from (f"{one.page}: {one} is listed and not there" for one in {*claims, *left} - found)


def differences(claim: Claim) -> Iterator[str]:
    """Yield the figures of a claim that are not those of their sources."""
    shown = FIGURE.findall(claim.text)
    if claim.by_hand:
        return
    if len(shown) != len(claim.figures):
        yield f"{claim.page}: {claim.text!r} has the figures {shown}, and {len(claim.figures)} sources"
    for figure, source in zip(shown, claim.figures, strict=False):
        value = abs(evaluate(source))
        if not agrees(figure, value):
            yield f"{claim.page}: {figure} is shown in {claim.text!r}, {value:.6g} was measured"


def evaluate(source: Any) -> float:
    """Return the value of a source."""
    if isinstance(source, int | float):
        return float(source)
    kind, *rest = source
    if kind in _COMBINED:
        return reduce(_COMBINED[kind], map(evaluate, rest))
    if kind == "json":
        value = result(rest[0])
        for key in rest[1:]:
            value = value[key]
        return float(value)
    if kind == "cell":
        return _cell(*rest)
    file, column, wanted = rest
    rows = [row for row in _rows(file) if all(row.get(key) == value for key, value in wanted.items())]
    if not rows:
        raise ValueError(f"{file}: has no row with {wanted}; expected one or more.")
    return _OF_ROWS[kind]([float(row[column]) for row in rows])


@cache
def _rows(file: str) -> list[dict[str, str]]:
    with (ROOT / file).open(newline="") as opened:
        return list(csv.DictReader(opened))


@cache
def _tables(page: str) -> list[Table]:
    return tables_of(ROOT, page)


def _cell(page: str, section: str, row: str, column: str, place: int = 0) -> float:
    for table in _tables(page):
        for cells in table.rows if table.section == section and column in table.header else ():
            if f"{' | '.join(cells)} | ".startswith(f"{row} | "):
                return float(re.findall(_NUMBER, cells[table.header.index(column)])[place].replace(",", ""))
    raise ValueError(f"{page}: no table of the section {section!r} has a row {row!r} and a column {column!r}.")


def passages(page: str) -> Iterator[tuple[str, str]]:
    """Yield heading and text of each paragraph and item of a Markdown page, in one line; without code and tables."""
    section, lines = "", list[str]()
    for line in [*re.sub(r"```.*?```", "", page, flags=re.DOTALL).splitlines(), ""]:
        stop = not line.strip() or line.startswith(("#", "|", "    "))
        if (stop or line.startswith("- ")) and lines:
            yield section, _plain(" ".join(lines))
            lines = []
        if line.startswith("#"):
            section = line.lstrip("# ")
        elif not stop:
            lines.append(line.strip())


def _plain(text: str) -> str:
    return _NO_FIGURE.sub(lambda found: re.sub(r"\d", "#", found[0]), text)


def _spans(part: str, text: str) -> Iterator[tuple[int, int]]:
    start = text.find(part)
    while start >= 0:
        yield start, start + len(part)
        start = text.find(part, start + 1)


def _around(text: str, place: int) -> str:
    return text[max(0, place - 40) : place + 25]


if __name__ == "__main__":
    for problem in problems():
        print(problem)
