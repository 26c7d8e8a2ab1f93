"""How much of what all labels would bring a method recovers from few: coefficients as bars and as a table."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from equireg.comparing.bridging import Bridging, sentence, written
from equireg.comparing.cohorts import Cohort
from equireg.comparing.series import Amount
from equireg.drawing.svg import INK, MUTED, PAPER, draw, series_colour
from equireg.reporting.drawing.figures import Drawing, labels_axis
from equireg.reporting.section import NONE, Section
from equireg.reporting.sections.labels import series_keys
from equireg.reporting.sections.results import Cell

_SHOWN = (-1.5, 2.5)
"""Coefficients beyond these come from a tiny gap, and would flatten all others."""


class BridgingRow(NamedTuple):
    """The coefficients of one series at one amount of labels, a cell a region."""

    series: str
    amount: str
    pairs: int
    """pairs of runs of one seed"""
    cells: list[Cell]


def section(cohort: Cohort) -> Section:
    """Return the coefficients, with `bridging.csv`, where a supervised run is known to have used all labels."""
    found = cohort.bridging
    if not found:
        return Section("bridging")
    names = {one.series for one in found}
    content = {
        "drawings": bridging_bars(found),
        "columns": list(dict.fromkeys(one.region for one in found)),
        "rows": bridging_rows(found),
        "keys": [key for key in series_keys(cohort) if key.label in names],
    }
    rows = [{"dataset": cohort.title, **_row(one)} for one in found]
    return Section("bridging", content, {"bridging.csv": rows}, sentence(found) or "")


def bridging_rows(found: Sequence[Bridging]) -> list[BridgingRow]:
    """Return the coefficients, under each those of its lowest and highest pair."""
    by_row: dict[tuple[str, Amount], list[Bridging]] = {}
    for one in found:
        by_row.setdefault((one.series, one.amount), []).append(one)
    return [
        BridgingRow(
            series, amount.text, max(len(one.pairs) + one.pairs_without for one in ones), [_cell(one) for one in ones]
        )
        for (series, amount), ones in by_row.items()
    ]


def bridging_bars(found: Sequence[Bridging]) -> list[Drawing]:
    """Draw the coefficients, a drawing a region, a group of bars an amount of labels, a bar a series.

    Each bar carries its value, a dash where there is none; its points are the pairs of runs of one seed.
    """
    regions = dict.fromkeys(one.region for one in found)
    return [_bars(region, [one for one in found if one.region == region]) for region in regions]


def _bars(region: str, part: Sequence[Bridging]) -> Drawing:
    amounts = sorted({one.amount for one in part})
    indices = sorted({one.index for one in part})
    width = 0.84 / len(indices)
    low, high = _SHOWN

    def plot(axes: Axes) -> None:
        for one in part:
            x = amounts.index(one.amount) - 0.42 + width * (indices.index(one.index) + 0.5)
            _bar(axes, x, 0.9 * width, one)
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.axhline(1, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.set_xticks(range(len(amounts)), [amount.text for amount in amounts])
        axes.grid(axis="x", visible=False)
        axes.margins(y=0.12)
        axes.set(xlabel=labels_axis(amounts), ylabel="bridging coefficient")
        axes.set_ylim(top=max(1.08, axes.get_ylim()[1]))

    drawn = [value for one in part for value in (one.coefficient, *one.pairs) if np.isfinite(value)]
    beyond = any(not low <= value <= high for value in drawn)
    note = f"Bars and points beyond {low:g} and {high:g} are cut off.".replace("-", "\N{MINUS SIGN}") if beyond else ""
    inches = max(5.6, 0.34 * len(indices) * len(amounts))
    svg = draw(plot, width=inches, height=3.0, label=f"Bridging coefficients, {region}")
    return Drawing(region, svg, note)


def _bar(axes: Axes, x: float, width: float, one: Bridging) -> None:
    low, high = _SHOWN
    known = np.isfinite(one.coefficient)
    height = float(np.clip(one.coefficient, low, high)) if known else 0.0
    axes.bar(x, height, width, color=series_colour(one.index), alpha=0.75, linewidth=0)
    shown = [pair for pair in one.pairs if low <= pair <= high] if known else []
    axes.plot([x] * len(shown), shown, "o", color=INK, markersize=2.6, markeredgecolor=PAPER, alpha=0.8)
    above = max([height, 0.0, *shown])
    axes.annotate(written(one.coefficient), (x, above), (0, 3), textcoords="offset points", ha="center", fontsize=7)


def _cell(one: Bridging) -> Cell:
    if not np.isfinite(one.coefficient):
        return Cell(NONE, "no gap")
    spread = f"{written(min(one.pairs))} to {written(max(one.pairs))}" if len(one.pairs) > 1 else ""
    return Cell(written(one.coefficient), spread)


def _row(one: Bridging) -> dict[str, object]:
    return {
        "method": one.series,
        "labelled_cases": one.amount.cases,
        "label_fraction": one.amount.fraction,
        "region": one.region,
        "gain": one.gain,
        "gap": one.gap,
        "coefficient": one.coefficient,
        "pairs": len(one.pairs),
        "lowest_pair": min(one.pairs, default=None),
        "highest_pair": max(one.pairs, default=None),
        "pairs_without_gap": one.pairs_without,
    }
