"""Predictions as the report sees them: how far each is to be trusted, and where the viewer shows it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

import numpy as np

from equireg import disk
from equireg.config import ViewConfig
from equireg.errors import EquiregError
from equireg.folders.quality import Row
from equireg.statistics import rank_correlation
from equireg.viewing.view import by_doubt, render

_logger = logging.getLogger("equireg")
DOUBTED = 4
"""Cases that are pictured for their doubt."""
MOST = 8
"""Sets of predictions that the page shows by doubt, and that the viewer has a page of."""
_PAGE_MB = 25.0


@dataclass(frozen=True, eq=False)
class Predictions:
    """A folder made by `equireg predict`, with the Dice of its cases where it was evaluated."""

    title: str
    """name to show: that of the evaluation, where there is one"""
    folder: Path
    """where it lies; never shown"""
    rows: tuple[Row, ...]
    """its cases, the least trusted first"""
    dice: Mapping[str, float]
    """case to the mean of its regions, of those that have a mask"""
    pictured: tuple[str, ...] = ()
    """cases that the page shows for their Dice"""
    page: str | None = None
    """page of the viewer beside the report, relative to it"""

    @classmethod
    def read(cls, folder: Path, title: str, dice: Mapping[str, float], pictured: Sequence[str]) -> "Predictions":
        """Read what a folder says of its own predictions.

        Raises:
            EquiregError: if it is unfinished, of another verb, or damaged.
        """
        known = {case: value for case, value in dice.items() if np.isfinite(value)}
        return cls(title, folder, tuple(by_doubt(folder)), known, tuple(pictured))

    @property
    def ranked(self) -> list[Row]:
        """The cases whose quality is known, the least trusted first."""
        return [row for row in self.rows if row.quality is not None]

    @property
    def correlation(self) -> float:
        """Spearman's rank correlation of quality with Dice; NaN with fewer than five cases that have both."""
        both = [(row.quality, self.dice[row.case]) for row in self.ranked if row.case in self.dice]
        return rank_correlation(*np.array(both, dtype=float).T) if len(both) >= 5 else np.nan

    @property
    def in_viewer(self) -> list[str]:
        """Cases that its page of the viewer has: pictured ones and doubtful ones, the least trusted first."""
        doubted = [row.case for row in (self.ranked or self.rows)[:DOUBTED]]
        return [row.case for row in self.rows if row.case in {*doubted, *self.pictured}]

    def link(self, case: str) -> str:
        """Return where the viewer shows a case; nothing where it does not."""
        return f"{self.page}#case={quote(case, safe='')}" if self.page and case in self.in_viewer else ""


def with_pages(found: Sequence[Predictions], folder: Path) -> dict[Path, Predictions]:
    """Write a page of the viewer for each of the first predictions, into `views/` of a folder.

    A page that cannot be made is left out with a warning: the report is worth more.

    Returns:
        Each predictions' folder to what the report knows of it, with its page.
    """
    pages = {}
    for number, one in enumerate(found[:MOST], start=1):
        try:
            html = render(one.folder, one.in_viewer, ViewConfig(page_mb=_PAGE_MB), one.title)
        except EquiregError as error:
            _logger.warning("the report has no view of %s: %s", one.title, error)
            continue
        name = f"views/{number}.html"
        with disk.disk_errors(folder / name):
            (folder / name).parent.mkdir(exist_ok=True)
        disk.write_atomic(folder / name, html)
        pages[one.folder] = replace(one, page=name)
    return pages
