"""Dice and HD95 against labelled cases: what a table on any page must show, from the benchmark's results.csv."""

import contextlib
import csv
import io
import re
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

from pages import Table, agrees
from sources import ROOT

FOLDER = ROOT / "benchmarks" / "label_efficiency"
_METHODS = {"nnu-net": "nnunet", "equireg": "equireg", "supervised": "supervised"}
_METHODS |= {"fixmatch": "fixmatch", "bcp": "bcp", "cps": "cps"}
_DICE = re.compile(r"\b\d\.\d{3}(?: ± \d\.\d{3})?")
_NO_RIVALS = ("equireg", "supervised", "nnunet")


@cache
def _printed() -> tuple[set[str], dict[tuple[str, int, str], str], dict[str, str]]:
    """Return the lines that the benchmark's own script prints, the cells of Dice, and the means over all points."""
    sys.path.insert(0, str(FOLDER))
    import tables as script  # pyright: ignore[reportMissingImports]

    results = FOLDER / "results.csv"
    runs: Any = script.runs_of(results)
    out, before = io.StringIO(), sys.argv
    sys.argv = ["tables.py", str(results)]
    with contextlib.redirect_stdout(out):
        script.main()
    sys.argv = before
    keys = ["dataset", "labelled_cases", "method"]
    cells = {key: script.cell(group) for key, group in runs.groupby(keys)["dice"]}
    lines = [line.strip() for line in out.getvalue().splitlines()]
    means = [line.strip("| ").split(" | ") for line in lines[lines.index("| method | Dice |") + 2 :] if line]
    return set(lines), cells, dict(means)


def as_printed(table: Table) -> Iterator[str]:
    """Yield what is wrong with a table that the script prints."""
    lines = _printed()[0]
    printed = {tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines}
    for row in table.rows:
        if row not in printed:
            yield f"{' | '.join(row)}: `tables.py` prints no such row"


def chosen(table: Table) -> Iterator[str]:
    """Yield what is wrong with a table that picks Dice of some methods, data sets and numbers of labels.

    The data set and the number of labels stand in the row's name or in the column's; so does the method, or it stands
    in the cell, in parentheses.
    """
    for row in table.rows:
        for title, cell in zip(table.header, row, strict=True):
            for figure in _DICE.findall(cell):
                expected = _expected(" ".join((title, *row[:2])), f"{title} {cell}", title)
                if figure not in expected and not any(one.startswith(f"{figure} ±") for one in expected):
                    yield f"{row[0]}, {title}: {figure} is shown; expected {' or '.join(sorted(expected)) or 'none'}"


def _expected(where: str, who: str, title: str) -> set[str]:
    """Return what a cell may show."""
    _, cells, means = _printed()
    named = [method for word, method in _METHODS.items() if re.search(rf"\b{word}\b", who.lower())]
    if "mean of" in where:
        return {value for method, value in means.items() if method in named}
    dataset = "hippocampus" if "hippocampus" in (title if "," in title else where) else "lgg"
    part = re.search(r"(\d+) of \d+", where)
    counts = {int(part[1])} if part else {int(number) for number in re.findall(r"\d+", where)}
    here = {key: value for key, value in cells.items() if key[0] == dataset and key[1] in counts}
    if "rival" in title.lower():
        best = max(value for key, value in here.items() if key[2] not in _NO_RIVALS)
        return {value for key, value in here.items() if key[2] in named and value == best}
    return {value for key, value in here.items() if key[2] in named}


def longer(table: Table) -> Iterator[str]:
    """Yield what is wrong with the table of runs of twice the steps; its last cell is beside that of the first runs."""
    with (FOLDER / "results.csv").open(newline="") as file:
        runs = list(csv.DictReader(file))
    for method, cells in table.by_header():
        own = [run for run in runs if (run["method"], run["variant"]) == (method, "2400 steps")]
        dice = {f"seed {run['seed']}": float(run["dice"]) for run in own}
        expected = [*dice.values(), sum(dice.values()) / len(dice)] if dice else []
        shown = [cell.partition(";")[0] for cell in cells.values()]
        if len(shown) != len(expected) or not all(map(agrees, shown, expected)):
            yield f"{method}: {shown} is shown, {expected} was measured"
