"""Cases by doubt: which predictions a person should look at, why, and what the order is worth where Dice is known."""

import logging
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from equireg.comparing.cohorts import Results
from equireg.comparing.trust import DOUBTED, MOST, Predictions
from equireg.config import ViewConfig
from equireg.drawing.svg import draw
from equireg.errors import EquiregError
from equireg.folders import lineage
from equireg.folders.quality import Row, in_words
from equireg.imaging.limits import Limits
from equireg.reporting.drawing.figures import Drawing, cloud
from equireg.reporting.drawing.panels import Panel, doubt_panels
from equireg.reporting.section import Section, counted, number, signed
from equireg.viewing.case_volumes import CaseReader

_logger = logging.getLogger("equireg")
_OPEN = 2
"""Sets of predictions that are unfolded; more are folded."""


def section(results: Results) -> Section:
    """Return the cases of each set of predictions by doubt, with `quality.csv`."""
    found = [one for one in results.sources.predictions if one.ranked]
    rows = [
        {"predictions": one.title, **vars(row), "estimate": in_words(row.estimate), "dice": one.dice.get(row.case)}
        for one in found
        for row in one.rows
    ]
    content = {"entries": [_entry(one) for one in found[:MOST]], "unfolded": len(found) <= _OPEN, "sets": len(found)}
    return Section("quality", content if found else {}, {"quality.csv": rows})


def _entry(found: Predictions) -> dict[str, Any]:
    known = [row for row in found.ranked if row.case in found.dice]
    rho, looks = found.correlation, sum(row.look for row in found.rows)
    said = f"{looks} of {counted(len(found.rows), 'case')} to look at"
    if np.isfinite(rho):
        said += f"; rank correlation of quality with Dice {signed(rho, 2)} over {len(known)} cases"
    return {
        "title": found.title,
        "said": said,
        "drawings": [_scatter(found, known)] if len(known) > 1 else [],
        "cases": [(row, *_facts(found, row), panels) for row, panels in _pictured(found)],
        "rows": [(row, *_facts(found, row)) for row in found.rows],
    }


def _facts(found: Predictions, row: Row) -> tuple[str, str, str, str]:
    """Return a case's quality and Dice as they are written, where the viewer shows it, and what is said of it."""
    quality, said = np.nan if row.quality is None else row.quality, (in_words(row.estimate), row.why)
    return (
        number(quality, "dice"),
        number(found.dice.get(row.case, np.nan), "dice"),
        found.link(row.case),
        " · ".join(filter(None, said)),
    )


def _scatter(found: Predictions, known: list[Row]) -> Drawing:
    def plot(axes: Axes) -> None:
        for index, look in enumerate((False, True)):
            places = [(row.quality, found.dice[row.case]) for row in known if row.look is look]
            if places:
                axes.scatter(*zip(*places, strict=True), **cloud(index, 22), label="to look at" if look else "others")
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="quality, without masks", ylabel="Dice")
        axes.legend(frameon=False, fontsize=7.5)

    svg = draw(plot, width=4.2, height=3.0, label=f"Dice over quality of {found.title}")
    return Drawing(
        "Dice over quality", svg, "A point is a case. The more the points rise, the more the order is worth."
    )


def _pictured(found: Predictions) -> list[tuple[Row, list[Panel]]]:
    """Draw the least trusted cases that can be read; without pictures where they cannot."""
    reader = CaseReader(found.folder, limits=Limits.of(ViewConfig(), *lineage(found.folder)))
    drawn = []
    for row in found.ranked[:DOUBTED]:
        panels: list[Panel] = []
        try:
            panels = doubt_panels(reader.read(row.case))
        except EquiregError as error:
            _logger.warning("%s is listed without its picture: %s", row.case, error)
        drawn.append((row, panels))
    return drawn
