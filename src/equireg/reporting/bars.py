"""Drawings with groups of bars: bridging coefficients, and equivariance Dice."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from equireg.reporting.bridging import Bridging, written
from equireg.reporting.comparison import Arms, Cohort
from equireg.reporting.figures import Drawing, by_region
from equireg.reporting.overlays import REGION_COLOURS
from equireg.reporting.series import Amount, Series, means, series_of
from equireg.reporting.statistics import MEAN
from equireg.reporting.svg import INK, MUTED, PAPER, draw, series_colour
from equireg.reporting.tables import columns_of

_COEFFICIENTS_SHOWN = (-1.5, 2.5)
"""Beyond these a coefficient tells of a tiny gap, and would flatten all others."""
MOST_APART = 3
"""Methods that have a drawing of bridging coefficients each; more are drawn side by side."""
_HATCHES = ("", "//////", "......", "xxxxxx")
"""What tells sets of cases apart; they come round after the last."""


def bridging_bars(found: Sequence[Bridging]) -> list[Drawing]:
    """Draw the coefficients, a drawing a series, a group of bars an amount of labels, a bar a region.

    Of more than `MOST_APART` series it is a drawing a region, a group an amount of labels, a bar a series. Each bar
    carries its value, a dash where there is none; its points are the pairs of runs of one seed.
    """
    names = _unique(found)
    if len(names) <= MOST_APART:
        return [_one_series(name, [one for one in found if one.series == name]) for name in names]
    colours = {one.series: series_colour(one.index) for one in sorted(found, key=lambda one: one.index)}
    regions = dict.fromkeys(one.region for one in found)
    return [_one_region(region, [one for one in found if one.region == region], colours) for region in regions]


def region_fills(columns: Sequence[str]) -> dict[str, str]:
    """Give each region the colour that it has in the pictures, and their mean the page's ink."""
    return {
        name: MUTED if name == MEAN else REGION_COLOURS[place % len(REGION_COLOURS)]
        for place, name in enumerate(columns)
    }


def equivariance_bars(cohorts: Sequence[Cohort], arms: Arms) -> list[Drawing]:
    """Draw equivariance Dice, a drawing a region and their mean: a group an amount of labels, a bar a method and set.

    The sets are told apart by hatching, methods by colour; a whisker is one standard deviation of the runs.
    """
    sets = [(cohort, series_of(cohort, arms)) for cohort in cohorts if cohort.has("equivariance_dice")]
    amounts = sorted({amount for _, lines in sets for line in lines for amount in line.amounts})
    if not amounts:
        return []
    columns = dict.fromkeys(column for cohort, _ in sets for column in columns_of(cohort))
    ordered = sorted(columns, key=lambda column: column == MEAN)

    def plot(axes: Axes, region: str) -> None:
        bars = [(line, place, cohort) for place, (cohort, lines) in enumerate(sets) for line in lines]
        bars.sort(key=lambda bar: (bar[0].index, bar[1]))
        width = 0.8 / len(bars)
        for number, (line, place, cohort) in enumerate(bars):
            if region in columns_of(cohort):
                groups, span = _by_group(line, cohort, region, amounts), (width * (number + 0.5) - 0.4, width)
                _set_bars(axes, groups, span, series_colour(line.index), _HATCHES[place % len(_HATCHES)])
        axes.set_xticks(range(len(amounts)), [amount.text for amount in amounts])
        axes.grid(axis="x", visible=False)
        axes.set(ylim=(0, 1.02), xlabel=_unit(amounts), ylabel="equivariance Dice")

    return by_region(ordered, plot, (4.2, 2.6), "Equivariance Dice")


def equivariance_sets(cohorts: Sequence[Cohort]) -> str:
    """Say which hatching stands for which set of cases."""
    words = ("plain", "hatched", "dotted", "crossed")
    told = []
    for place, cohort in enumerate(cohort for cohort in cohorts if cohort.has("equivariance_dice")):
        masks = "with masks" if len(cohort.judged) == len(cohort.cases) else f"{len(cohort.judged)} of them with a mask"
        masks = "without masks" if not cohort.judged else masks
        count = f"{len(cohort.cases)} case{'s' if len(cohort.cases) != 1 else ''}"
        told.append(f"{words[place % len(words)]}: {cohort.title}, {count} {masks}")
    return "; ".join(told)


def _by_group(line: Series, cohort: Cohort, region: str, amounts: Sequence[Amount]) -> dict[int, list[float]]:
    """Return the place of each amount of labels to the equivariance Dice of its runs."""
    found = {}
    for place, amount in enumerate(amounts):
        runs = [run for run in line.amounts.get(amount, ()) if "equivariance_dice" in run.metrics]
        found[place] = [value for value in means(runs, cohort, "equivariance_dice", region) if np.isfinite(value)]
    return {place: values for place, values in found.items() if values}


def _set_bars(axes: Axes, groups: dict[int, list[float]], span: tuple[float, float], colour: str, hatch: str) -> None:
    """Draw the bars of one method and set; ``span`` is their offset in the group and their width."""
    offset, width = span
    for place, values in groups.items():
        axes.bar(
            place + offset,
            float(np.mean(values)),
            0.92 * width,
            color=colour,
            edgecolor=PAPER,
            linewidth=0.3,
            hatch=hatch,
            alpha=0.7 if hatch else 1.0,
            yerr=float(np.std(values, ddof=1)) if len(values) > 1 else None,
            error_kw={"elinewidth": 0.9, "capsize": 1.8, "ecolor": INK},
        )


def _unique(found: Sequence[Bridging]) -> list[str]:
    return list(dict.fromkeys(one.series for one in found))


def _unit(amounts: Sequence[Amount]) -> str:
    return "labels used" if all(amount.fraction is not None for amount in amounts) else "labelled cases"


def _one_series(name: str, found: Sequence[Bridging]) -> Drawing:
    fills = region_fills(list(dict.fromkeys(one.region for one in found)))
    bars = [(one, list(fills).index(one.region), fills[one.region]) for one in found]
    return _bridging(name, bars, len(fills), f"Bridging coefficients of {name}")


def _one_region(region: str, found: Sequence[Bridging], colours: Mapping[str, str]) -> Drawing:
    bars = [(one, list(colours).index(one.series), colours[one.series]) for one in found]
    return _bridging(region, bars, len(colours), f"Bridging coefficients, {region}")


def _bridging(title: str, bars: Sequence[tuple[Bridging, int, str]], most: int, label: str) -> Drawing:
    """Draw groups of bars, a group an amount of labels.

    Args:
        title: words above the drawing.
        bars: coefficient, place in its group and colour of each.
        most: places of a group.
        label: what the drawing shows, for those who cannot see it.
    """
    amounts = sorted({one.amount for one, _, _ in bars})
    width = 0.84 / most
    low, high = _COEFFICIENTS_SHOWN

    def plot(axes: Axes) -> None:
        for one, place, colour in bars:
            _bar(axes, amounts.index(one.amount) - 0.42 + width * (place + 0.5), 0.9 * width, one, colour)
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.axhline(1, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.set_xticks(range(len(amounts)), [amount.text for amount in amounts])
        axes.grid(axis="x", visible=False)
        axes.margins(y=0.12)
        axes.set(xlabel=_unit(amounts), ylabel="bridging coefficient")
        axes.set_ylim(top=max(1.08, axes.get_ylim()[1]))

    drawn = [value for one, _, _ in bars for value in (one.coefficient, *one.pairs) if np.isfinite(value)]
    beyond = any(not low <= value <= high for value in drawn)
    note = f"Bars and points beyond {low:g} and {high:g} are cut off.".replace("-", "\N{MINUS SIGN}") if beyond else ""
    inches = max(5.6, 0.34 * most * len(amounts))
    return Drawing(title, draw(plot, width=inches, height=3.0, label=label), note)


def _bar(axes: Axes, x: float, width: float, one: Bridging, colour: str) -> None:
    low, high = _COEFFICIENTS_SHOWN
    known = np.isfinite(one.coefficient)
    height = float(np.clip(one.coefficient, low, high)) if known else 0.0
    axes.bar(x, height, width, color=colour, alpha=0.75, linewidth=0)
    shown = [pair for pair in one.pairs if low <= pair <= high] if known else []
    axes.plot([x] * len(shown), shown, "o", color=INK, markersize=2.6, markeredgecolor=PAPER, alpha=0.8)
    above = max([height, 0.0, *shown])
    axes.annotate(written(one.coefficient), (x, above), (0, 3), textcoords="offset points", ha="center", fontsize=7)
