"""Dice against labels: a line a method with its spread, and every run as a point in the colour of its seed."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes

from equireg.comparing.cohorts import Cohort
from equireg.comparing.compared import Evaluation
from equireg.comparing.series import Amount, Series, percent
from equireg.drawing.svg import MUTED, marker, series_colour
from equireg.reporting.drawing.figures import POINT, Drawing, Key, by_region, labels_axis
from equireg.reporting.section import Section

_SHIFT = 1.035
"""Factor between the places of two methods with the same number of labels, on the logarithmic axis."""
_Column = tuple[Series, Amount]


def section(cohort: Cohort) -> Section:
    """Return both drawings of every region, each where it says more than the tables."""
    lines, runs = dice_by_labels(cohort), runs_by_seed(cohort)
    content = {"keys": series_keys(cohort), "lines": lines, "seeds": seed_keys(cohort), "runs": runs}
    content["noun"] = cohort.noun
    return Section("labels", content if lines or runs else {})


def series_keys(cohort: Cohort) -> list[Key]:
    """Return the legend of drawings with a colour a method."""
    return [Key(one.label, one.index) for one in cohort.series]


def seed_keys(cohort: Cohort) -> list[Key]:
    """Return the legend of drawings with a colour a seed: each with its place, by number."""
    seeds = {evaluation.facts.seed for evaluation in cohort.evaluations}
    return [
        Key(_seed(seed), place) for place, seed in enumerate(sorted(seeds, key=lambda one: (one is None, one or 0)))
    ]


def dice_by_labels(cohort: Cohort) -> list[Drawing]:
    """Draw mean Dice over the labels, a line a method, a drawing a region and their mean.

    The axis is the fraction of the labels where every run knows it, else their count. Lines join the means of
    the runs; whiskers are one standard deviation of the runs to each side. Methods stand a little beside each other.

    Returns:
        Nothing without a method that was trained on two amounts of labels.
    """
    lines, columns = _columns(cohort, lambda line: len(line.amounts) > 1)
    amounts = [amount for _, amount in columns]
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
    return by_region(cohort.columns if lines else (), plot, (5.2, 3.4) if len(lines) > 4 else (4.2, 2.8), label)


def runs_by_seed(cohort: Cohort) -> list[Drawing]:
    """Draw the mean Dice of every run as a point, a colour a seed, a drawing a region and their mean.

    Returns:
        Nothing where no arm has several runs: then the tables say the same.
    """
    lines, columns = _columns(cohort, lambda line: any(len(runs) > 1 for runs in line.amounts.values()))
    # Half a column between methods.
    places = [place + 0.5 * lines.index(line) for place, (line, _) in enumerate(columns)]

    def plot(axes: Axes, region: str) -> None:
        above = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "bottom"}
        for line in lines:
            mine = {amount: place for place, (other, amount) in zip(places, columns, strict=True) if other is line}
            for amount, place in mine.items():
                _runs(axes, place, line.amounts[amount], region, seed_keys(cohort))
            axes.text(float(np.mean(list(mine.values()))), 1.02, line.label, **above)
        axes.set_xticks(places, [amount.text for _, amount in columns])
        axes.grid(axis="x", visible=False)
        words = labels_axis([amount for _, amount in columns])
        axes.set(xlim=(-0.6, places[-1] + 0.6), xlabel=words, ylabel="Dice")

    size = max(4.2, 0.5 * len(columns)), 2.8
    return by_region(cohort.columns if lines else (), plot, size, "Dice of every run by seed")


def _columns(cohort: Cohort, worth: Callable[[Series], bool]) -> tuple[list[Series], list[_Column]]:
    """Return the methods and their amounts of labels; nothing unless a method is worth drawing."""
    lines = cohort.series if cohort.has("dice") and any(map(worth, cohort.series)) else []
    return lines, [(line, amount) for line in lines for amount in line.amounts]


def _line(axes: Axes, line: Series, region: str, known: bool, *, shift: float) -> None:
    """Draw one method; its points stand at ``shift`` times their labels, so that whiskers do not hide each other."""
    colour = series_colour(line.index)
    places = [shift * (amount.fraction if known and amount.fraction else amount.cases) for amount in line.amounts]
    runs = [np.array([run.mean("dice", region) for run in members]) for members in line.amounts.values()]
    middle = np.array([values.mean() for values in runs])
    spread = np.array([values.std(ddof=1) if len(values) > 1 else 0.0 for values in runs])
    axes.errorbar(places, middle, spread, color=colour, linewidth=1.4, elinewidth=0.9, capsize=2.0)
    axes.plot(places, middle, marker(line.index), color=colour, markersize=4.5, **POINT)


def _runs(axes: Axes, place: float, runs: Sequence[Evaluation], region: str, seeds: Sequence[Key]) -> None:
    """Draw runs side by side in the order of their seeds, and their mean as a bar across them."""
    values = [run.mean("dice", region) for run in runs]
    axes.plot([place - 0.34, place + 0.34], [np.mean(values)] * 2, color=MUTED, linewidth=1.2)
    offsets = np.linspace(-0.26, 0.26, len(runs)) if len(runs) > 1 else np.zeros(1)
    index = {key.label: key.index for key in seeds}
    for run, value, offset in zip(runs, values, offsets, strict=True):
        own = index[_seed(run.facts.seed)]
        axes.plot(place + offset, value, marker(own), color=series_colour(own), markersize=5, **POINT)


def _seed(seed: int | None) -> str:
    return "seed unknown" if seed is None else f"seed {seed}"
