"""Every run as a point, a colour a seed."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from equireg.drawing.svg import MUTED, marker, series_colour
from equireg.reporting.drawing.figures import POINT, Drawing, Key, by_region, labels_axis
from equireg.reporting.results.cohorts import Cohort
from equireg.reporting.results.sources import Evaluation
from equireg.reporting.section import Section


def section(cohort: Cohort) -> Section:
    """Return the drawings of every run, where an arm has several."""
    drawings = runs_by_seed(cohort)
    return Section("every_run", {"keys": seed_keys(cohort), "drawings": drawings} if drawings else {})


def seed_keys(cohort: Cohort) -> list[Key]:
    """Return the legend: each seed with its place, by number."""
    ordered = sorted(cohort.evaluations, key=lambda one: (one.facts.seed is None, one.facts.seed or 0))
    labels = dict.fromkeys(_seed_label(evaluation) for evaluation in ordered)
    return [Key(label, place) for place, label in enumerate(labels)]


def runs_by_seed(cohort: Cohort) -> list[Drawing]:
    """Draw the mean Dice of every run as a point, a colour a seed, a drawing a region and their mean.

    Returns:
        Nothing where no arm has several runs: then the tables say the same.
    """
    lines = cohort.series if cohort.has("dice") else []
    if all(len(members) < 2 for line in lines for members in line.amounts.values()):
        return []
    columns = [(line, amount) for line in lines for amount in line.amounts]
    # Half a column between methods.
    places = [place + 0.5 * lines.index(line) for place, (line, _) in enumerate(columns)]
    seeds = {key.label: key.index for key in seed_keys(cohort)}

    def plot(axes: Axes, region: str) -> None:
        for place, (line, amount) in zip(places, columns, strict=True):
            _column(axes, place, line.amounts[amount], region, seeds)
        above = {"transform": axes.get_xaxis_transform(), "ha": "center", "va": "bottom"}
        for line in lines:
            mine = [place for place, (other, _) in zip(places, columns, strict=True) if other is line]
            axes.text(float(np.mean(mine)), 1.02, line.label, **above)
        axes.set_xticks(places, [amount.text for _, amount in columns])
        axes.grid(axis="x", visible=False)
        words = labels_axis([amount for _, amount in columns])
        axes.set(xlim=(-0.6, places[-1] + 0.6), xlabel=words, ylabel="Dice")

    return by_region(cohort.columns, plot, (max(4.2, 0.5 * len(columns)), 2.8), "Dice of every run by seed")


def _column(axes: Axes, place: float, runs: Sequence[Evaluation], region: str, seeds: Mapping[str, int]) -> None:
    """Draw runs side by side in the order of their seeds, and their mean as a bar across them."""
    values = [run.mean("dice", region) for run in runs]
    axes.plot([place - 0.34, place + 0.34], [np.mean(values)] * 2, color=MUTED, linewidth=1.2)
    offsets = np.linspace(-0.26, 0.26, len(runs)) if len(runs) > 1 else np.zeros(1)
    for run, value, offset in zip(runs, values, offsets, strict=True):
        index = seeds[_seed_label(run)]
        axes.plot(place + offset, value, marker(index), color=series_colour(index), markersize=5, **POINT)


def _seed_label(evaluation: Evaluation) -> str:
    seed = evaluation.facts.seed
    return "seed unknown" if seed is None else f"seed {seed}"
