"""Predictions: how far each is to be trusted, what that is worth, and where the viewer shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np

from equireg.folders.predictions import by_doubt
from equireg.folders.quality import Row
from equireg.statistics import rank_correlation

DOUBTED = 4
"""Cases that are pictured for their doubt."""
MOST = 8
"""Sets of predictions that the page shows by doubt, and that the viewer has a page of."""


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
