"""Drawings of Dice against labels: a line a method with its spread, and every run as a point by seed."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from equireg.reporting.comparison import Arms, Cohort
from equireg.reporting.figures import Drawing, by_region
from equireg.reporting.series import Series, means, percent, series_of
from equireg.reporting.sources import Evaluation
from equireg.reporting.svg import MUTED, PAPER, marker, series_colour
from equireg.reporting.tables import columns_of

_SHIFT = 1.035
"""Factor between the places of two methods with as many labels, on the logarithmic axis."""


@dataclass(frozen=True)
class Key:
    """An entry of a legend that is not an arm: a method, or a seed."""

    label: str
    index: int


def series_keys(cohort: Cohort, arms: Arms) -> list[Key]:
    """Return the legend of the drawings with a colour a method."""
    return [Key(one.label, one.index) for one in series_of(cohort, arms)]


def seed_keys(cohort: Cohort) -> list[Key]:
    """Return the legend of `runs_by_seed`: each seed with its place, by number."""
    ordered = sorted(cohort.evaluations, key=lambda one: (one.facts.seed is None, one.facts.seed or 0))
    labels = dict.fromkeys(_seed_label(evaluation) for evaluation in ordered)
    return [Key(label, place) for place, label in enumerate(labels)]


def dice_by_labels(cohort: Cohort, arms: Arms) -> list[Drawing]:
    """Draw mean Dice over the labels, a line a method, a drawing a region and their mean.

    The axis is the fraction of the labels where every run tells it, else their count. Lines join the means of
    the runs; whiskers are one standard deviation of the runs to each side. Methods stand a little beside each other.

    Returns:
        Nothing without a method that was trained on two amounts of labels.
    """
    lines = series_of(cohort, arms) if cohort.has("dice") else []
    if all(len(line.amounts) < 2 for line in lines):
        return []
    known = all(amount.fraction is not None for line in lines for amount in line.amounts)

    def plot(axes: Axes, region: str) -> None:
        for place, line in enumerate(lines):
            _line(axes, line, cohort, region, known, shift=_SHIFT ** (place - (len(lines) - 1) / 2))
        ticks = {amount.fraction if known else amount.cases for line in lines for amount in line.amounts}
        places = sorted(tick for tick in ticks if tick)
        axes.set_xscale("log")
        axes.set_xticks(places, [percent(place) if known else f"{place:g}" for place in places])
        axes.minorticks_off()
        axes.set(xlabel="labels used" if known else "labelled cases", ylabel="Dice")
        axes.margins(x=0.06)

    label = f"Dice over {'the fraction of labels' if known else 'labelled cases'}"
    return by_region(columns_of(cohort), plot, (5.2 if len(lines) > 4 else 4.2, 3.4 if len(lines) > 4 else 2.8), label)


def _line(axes: Axes, line: Series, cohort: Cohort, region: str, known: bool, *, shift: float) -> None:
    """Draw one method; its points stand at ``shift`` times their labels, lest whiskers hide each other."""
    colour = series_colour(line.index)
    places = [shift * (amount.fraction if known and amount.fraction else amount.cases) for amount in line.amounts]
    runs = [np.array(means(members, cohort, "dice", region)) for members in line.amounts.values()]
    middle = np.array([values.mean() for values in runs])
    spread = np.array([values.std(ddof=1) if len(values) > 1 else 0.0 for values in runs])
    axes.errorbar(places, middle, spread, color=colour, linewidth=1.4, elinewidth=0.9, capsize=2.0)
    axes.plot(
        places, middle, marker(line.index), color=colour, markersize=4.5, markeredgecolor=PAPER, markeredgewidth=0.4
    )


def runs_by_seed(cohort: Cohort, arms: Arms) -> list[Drawing]:
    """Draw the mean Dice of every run as a point, a colour a seed, a drawing a region and their mean.

    Returns:
        Nothing where no arm has several runs: then the tables say the same.
    """
    lines = series_of(cohort, arms) if cohort.has("dice") else []
    if all(len(members) < 2 for line in lines for members in line.amounts.values()):
        return []
    columns = [(line, amount) for line in lines for amount in line.amounts]
    # Half a column between methods.
    places = [place + 0.5 * lines.index(line) for place, (line, _) in enumerate(columns)]

    def plot(axes: Axes, region: str) -> None:
        for place, (line, amount) in zip(places, columns, strict=True):
            _column(axes, place, means(line.amounts[amount], cohort, "dice", region))
            _points(axes, place, line.amounts[amount], cohort, region)
        for line in lines:
            mine = [place for place, (other, _) in zip(places, columns, strict=True) if other is line]
            axes.text(
                float(np.mean(mine)), 1.02, line.label, transform=axes.get_xaxis_transform(), ha="center", va="bottom"
            )
        axes.set_xticks(places, [amount.text for _, amount in columns])
        axes.grid(axis="x", visible=False)
        known = all(amount.fraction is not None for _, amount in columns)
        axes.set(xlim=(-0.6, places[-1] + 0.6), xlabel="labels used" if known else "labelled cases", ylabel="Dice")

    return by_region(columns_of(cohort), plot, (max(4.2, 0.5 * len(columns)), 2.8), "Dice of every run by seed")


def _column(axes: Axes, place: float, values: Sequence[float]) -> None:
    """Draw the mean of a column's runs as a bar across it."""
    axes.plot([place - 0.34, place + 0.34], [np.mean(values)] * 2, color=MUTED, linewidth=1.2)


def _points(axes: Axes, place: float, runs: Sequence[Evaluation], cohort: Cohort, region: str) -> None:
    """Draw the runs of a column side by side, in the order of their seeds."""
    places = {key.label: key.index for key in seed_keys(cohort)}
    values = means(runs, cohort, "dice", region)
    offsets = np.linspace(-0.26, 0.26, len(runs)) if len(runs) > 1 else np.zeros(1)
    for run, value, offset in zip(runs, values, offsets, strict=True):
        index = places[_seed_label(run)]
        axes.plot(
            place + offset,
            value,
            marker(index),
            color=series_colour(index),
            markersize=5,
            markeredgecolor=PAPER,
            markeredgewidth=0.4,
        )


def _seed_label(evaluation: Evaluation) -> str:
    seed = evaluation.facts.seed
    return "seed unknown" if seed is None else f"seed {seed}"
