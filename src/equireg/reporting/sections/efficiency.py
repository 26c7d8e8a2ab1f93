"""Dice against labels: a line a method with its spread."""

import numpy as np
from matplotlib.axes import Axes

from equireg.drawing.svg import marker, series_colour
from equireg.reporting.drawing.figures import POINT, Drawing, Key, by_region, labels_axis
from equireg.reporting.results.cohorts import Cohort
from equireg.reporting.results.series import Series, percent
from equireg.reporting.section import Section

_SHIFT = 1.035
"""Factor between the places of two methods with the same number of labels, on the logarithmic axis."""


def section(cohort: Cohort) -> Section:
    """Return the drawings of Dice over labels, where a method was trained on two amounts of them."""
    drawings = dice_by_labels(cohort)
    return Section("efficiency", {"keys": series_keys(cohort), "drawings": drawings} if drawings else {})


def series_keys(cohort: Cohort) -> list[Key]:
    """Return the legend of the drawings with a colour a method."""
    return [Key(one.label, one.index) for one in cohort.series]


def dice_by_labels(cohort: Cohort) -> list[Drawing]:
    """Draw mean Dice over the labels, a line a method, a drawing a region and their mean.

    The axis is the fraction of the labels where every run knows it, else their count. Lines join the means of
    the runs; whiskers are one standard deviation of the runs to each side. Methods stand a little beside each other.

    Returns:
        Nothing without a method that was trained on two amounts of labels.
    """
    lines = cohort.series if cohort.has("dice") else []
    if all(len(line.amounts) < 2 for line in lines):
        return []
    amounts = [amount for line in lines for amount in line.amounts]
    known = all(amount.fraction is not None for amount in amounts)

    def plot(axes: Axes, region: str) -> None:
        for place, line in enumerate(lines):
            _line(axes, line, region, known, shift=_SHIFT ** (place - (len(lines) - 1) / 2))
        places = sorted(tick for tick in {one.fraction if known else one.cases for one in amounts} if tick)
        axes.set_xscale("log")
        axes.set_xticks(places, [percent(place) if known else f"{place:g}" for place in places])
        axes.minorticks_off()
        axes.set(xlabel=labels_axis(amounts), ylabel="Dice")
        axes.margins(x=0.06)

    label = f"Dice over {'the fraction of labels' if known else 'labelled cases'}"
    return by_region(cohort.columns, plot, (5.2, 3.4) if len(lines) > 4 else (4.2, 2.8), label)


def _line(axes: Axes, line: Series, region: str, known: bool, *, shift: float) -> None:
    """Draw one method; its points stand at ``shift`` times their labels, so that whiskers do not hide each other."""
    colour = series_colour(line.index)
    places = [shift * (amount.fraction if known and amount.fraction else amount.cases) for amount in line.amounts]
    runs = [np.array([run.mean("dice", region) for run in members]) for members in line.amounts.values()]
    middle = np.array([values.mean() for values in runs])
    spread = np.array([values.std(ddof=1) if len(values) > 1 else 0.0 for values in runs])
    axes.errorbar(places, middle, spread, color=colour, linewidth=1.4, elinewidth=0.9, capsize=2.0)
    axes.plot(places, middle, marker(line.index), color=colour, markersize=4.5, **POINT)
