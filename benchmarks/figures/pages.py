"""Tables of a Markdown page, and the checks of one: header, rows, and the section that they stand in."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_NUMBER = re.compile(r"\d")


@dataclass(frozen=True)
class Table:
    """A table as it stands on a page."""

    page: str
    section: str
    """heading above it"""
    header: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)

    @property
    def has_figures(self) -> bool:
        """Whether any cell but the first of a row holds a digit."""
        return any(_NUMBER.search(cell) for row in self.rows for cell in row[1:])

    def by_header(self) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield the first cell of each row, and its other cells by the table's header."""
        for row in self.rows:
            yield row[0], dict(zip(self.header[1:], row[1:], strict=True))


def tables_of(root: Path, page: str) -> list[Table]:
    """Return the tables of a page, in their order."""
    found: list[Table] = []
    section, lines = "", re.sub(r"```.*?```", "", (root / page).read_text("utf-8"), flags=re.DOTALL).splitlines()
    for before, line in zip(["", *lines], lines, strict=False):
        if line.startswith("#"):
            section = line.lstrip("# ")
        elif re.match(r"\|( *:?-+:? *\|)+$", line):
            found.append(Table(page, section, _cells(before)))
        elif line.startswith("|") and found and before.startswith("|"):
            found[-1].rows.append(_cells(line))
    return found


def _cells(line: str) -> tuple[str, ...]:
    """Return a row's cells without bold type."""
    return tuple(cell.strip().replace("**", "") for cell in line.strip().strip("|").split("|"))


def agrees(shown: str, value: float) -> bool:
    """Whether a number as it is shown is a value, rounded."""
    digits = len(shown.partition(".")[2])
    return abs(float(shown.replace(",", "")) - value) <= 0.5 * 10**-digits + 1e-9
