"""Equivariance Dice of all cohorts, with and without masks."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from equireg.comparing.cohorts import Cohort, Results
from equireg.comparing.series import Amount, Series
from equireg.comparing.statistics import MEAN
from equireg.drawing.svg import INK, PAPER, series_colour
from equireg.reporting.drawing.figures import Drawing, by_region, labels_axis
from equireg.reporting.section import Section, counted
from equireg.reporting.sections.labels import series_keys

_METRIC = "equivariance_dice"
_HATCHES = {"plain": "", "hatched": "//////", "dotted": "......", "crossed": "xxxxxx"}
"""Hatching of each set of cases; after the last the first is used again."""


def section(results: Results) -> Section:
    """Return the bars of every set of cases that was judged by equivariance."""
    sets = [cohort for cohort in results.cohorts if cohort.has(_METRIC)]
    drawings = equivariance_bars(sets)
    keys = dict.fromkeys(key for cohort in sets for key in series_keys(cohort))
    content = {"drawings": drawings, "keys": list(keys), "sets": named_sets(sets)}
    return Section("equivariance", content if drawings else {})


def equivariance_bars(cohorts: Sequence[Cohort]) -> list[Drawing]:
    """Draw equivariance Dice, a drawing a region and their mean: a group an amount of labels, a bar a method and set.

    Hatching shows the set, colour the method; a whisker is one standard deviation of the runs.
    """
    sets = [cohort for cohort in cohorts if cohort.has(_METRIC)]
    amounts = sorted({amount for cohort in sets for line in cohort.series for amount in line.amounts})
    if not amounts:
        return []
    columns = sorted(dict.fromkeys(column for cohort in sets for column in cohort.columns), key=lambda c: c == MEAN)
    bars = [(line, place, cohort) for place, cohort in enumerate(sets) for line in cohort.series]
    bars.sort(key=lambda bar: (bar[0].index, bar[1]))
    width, hatches = 0.8 / len(bars), list(_HATCHES.values())

    def plot(axes: Axes, region: str) -> None:
        for number, (line, place, cohort) in enumerate(bars):
            hatch = hatches[place % len(hatches)]
            look = {"color": series_colour(line.index), "hatch": hatch, "alpha": 0.7 if hatch else 1.0}
            if region in cohort.columns:
                _bars(axes, _by_group(line, region, amounts), (width * (number + 0.5) - 0.4, width), look)
        axes.set_xticks(range(len(amounts)), [amount.text for amount in amounts])
        axes.grid(axis="x", visible=False)
        axes.set(ylim=(0, 1.02), xlabel=labels_axis(amounts), ylabel="equivariance Dice")

    return by_region(columns, plot, (4.2, 2.6), "Equivariance Dice")


def named_sets(cohorts: Sequence[Cohort]) -> str:
    """Say which hatching stands for which set of cases."""
    words, parts = list(_HATCHES), []
    for place, cohort in enumerate(cohorts):
        masks = "with masks" if len(cohort.judged) == len(cohort.cases) else f"{len(cohort.judged)} of them with a mask"
        masks = masks if cohort.judged else "without masks"
        parts.append(f"{words[place % len(words)]}: {cohort.title}, {counted(len(cohort.cases), 'case')} {masks}")
    return "; ".join(parts)


def _by_group(line: Series, region: str, amounts: Sequence[Amount]) -> dict[int, list[float]]:
    """Return the place of each amount of labels to the equivariance Dice of its runs."""
    found = {
        place: [run.mean(_METRIC, region) for run in line.amounts.get(amount, ())]
        for place, amount in enumerate(amounts)
    }
    known = {place: [value for value in values if np.isfinite(value)] for place, values in found.items()}
    return {place: values for place, values in known.items() if values}


def _bars(axes: Axes, groups: Mapping[int, list[float]], span: tuple[float, float], look: Mapping[str, Any]) -> None:
    """Draw the bars of one method and set; ``span`` is their offset in the group and their width."""
    offset, width = span
    for place, values in groups.items():
        axes.bar(
            place + offset,
            float(np.mean(values)),
            0.92 * width,
            edgecolor=PAPER,
            linewidth=0.3,
            yerr=float(np.std(values, ddof=1)) if len(values) > 1 else None,
            error_kw={"elinewidth": 0.9, "capsize": 1.8, "ecolor": INK},
            **look,
        )
