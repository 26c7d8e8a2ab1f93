"""Drawings of single runs and evaluations: learning curves, Dice by case, volumes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from equireg.reporting.comparison import Arms, Cohort
from equireg.reporting.sources import Evaluation, Run
from equireg.reporting.statistics import MEAN, case_values
from equireg.reporting.svg import INK, MUTED, PAPER, draw, marker, series_colour

_POINTS = 240
"""Points that a curve is thinned to; more cannot be seen and weigh on the page."""

_BIASES = 4
"""Arms whose mean error of volume is written under a drawing; a list of more is read by nobody."""


@dataclass(frozen=True)
class Drawing:
    """A drawing with the words above and below it."""

    title: str
    svg: Markup
    note: str = ""


def by_region(
    regions: Sequence[str], plot: Callable[[Axes, str], None], size: tuple[float, float], label: str
) -> list[Drawing]:
    """Draw the same for each region.

    Args:
        regions: their names, the drawings' titles.
        plot: fills the axes for a region.
        size: width and height, inches.
        label: what the drawings show, for those who cannot see them; the region's name follows.
    """
    width, height = size
    return [
        Drawing(
            region,
            draw(
                lambda axes, region=region: plot(axes, region), width=width, height=height, label=f"{label}, {region}"
            ),
        )
        for region in regions
    ]


def learning_curves(runs: Sequence[Run], arms: Arms) -> list[Drawing]:
    """Draw each scalar over the steps, runs overlaid: validation first, then losses, then the rest."""
    logged = dict.fromkeys(name for run in runs for name in run.scalars)
    return [_curve(name, runs, arms) for name in sorted(logged, key=_importance)]


def dice_by_case(cohort: Cohort, arms: Arms) -> list[Drawing]:
    """Draw the Dice of each case, a drawing a region, a row an evaluation."""
    if not cohort.has("dice"):
        return []
    regions = [*cohort.regions, MEAN] if len(cohort.regions) > 1 else list(cohort.regions)
    rows = len(cohort.evaluations)

    def plot(axes: Axes, region: str) -> None:
        for place, evaluation in enumerate(cohort.evaluations):
            values = case_values(evaluation, "dice", cohort.regions)[region]
            _strip(axes, rows - 1 - place, values, arms.of(evaluation).index)
            axes.text(0.0, rows - 1 - place + 0.36, evaluation.title, fontsize=7.5, color=MUTED, va="center")
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.5, rows - 0.4), yticks=[], xlabel="Dice")
        axes.spines["left"].set_visible(False)

    return by_region(regions, plot, (4.2, 0.55 + 0.62 * rows), "Dice of each case")


def volume_agreement(cohort: Cohort, arms: Arms) -> list[Drawing]:
    """Draw predicted over reference volume of each case, a drawing a region that has volumes."""
    return [drawing for region in cohort.regions if (drawing := _volumes(cohort, arms, region))]


def _importance(name: str) -> tuple:
    order = ("val/dice", "train/total", "train/supervised", "train/unsupervised")
    family = next((place for place, head in enumerate(("val/dice/", "val/", "train/")) if name.startswith(head)), 9)
    return (order.index(name) if name in order else len(order), family)


def _curve(name: str, runs: Sequence[Run], arms: Arms) -> Drawing:
    values = np.concatenate([run.scalars[name][:, 1] for run in runs if name in run.scalars])
    logarithmic = name.startswith("train/") and values.min() > 0 and values.max() > 20 * values.min()

    def plot(axes: Axes) -> None:
        for run in runs:
            if name in run.scalars:
                steps, values = run.scalars[name].T
                _line(axes, steps, values, arms.of(run).index)
        axes.set_xlabel("step")
        axes.margins(x=0.01)
        if logarithmic:
            axes.set_yscale("log")
            _log_ticks(axes.yaxis)

    title = _scalar_title(name)
    note = "logarithmic scale" if logarithmic else ""
    return Drawing(title, draw(plot, width=4.2, height=2.5, label=f"{title} over steps"), note)


def _scalar_title(name: str) -> str:
    known = {
        "val/dice": "Validation Dice",
        "train/total": "Training loss: total",
        "train/supervised": "Training loss: supervised",
        "train/unsupervised": "Training loss: unsupervised",
        "lr": "Learning rate",
    }
    if name in known:
        return known[name]
    for head, title in (("val/dice/", "Validation Dice"), ("val/", "Validation"), ("train/", "Training")):
        if name.startswith(head):
            return f"{title}: {name.removeprefix(head)}"
    return name


def _line(axes: Axes, steps: np.ndarray, values: np.ndarray, index: int) -> None:
    colour = series_colour(index)
    steps, values = _thinned(steps, values)
    if len(steps) < 40:
        axes.plot(steps, values, color=colour, linewidth=1.4, marker=marker(index), markersize=3.2)
        return
    axes.plot(steps, values, color=colour, linewidth=0.6, alpha=0.3)
    axes.plot(steps, _smoothed(values, len(values) // 20), color=colour, linewidth=1.4)


def _log_ticks(axis: Axis) -> None:
    """Write ticks as plain numbers, 1, 2 and 5 where there is room; powers would need matplotlib's fonts."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1.0,) if high > 300 * low else (1.0, 2.0, 5.0)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def _thinned(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Average neighbouring points until no more than `_POINTS` remain."""
    if len(steps) <= _POINTS:
        return steps, values
    edges = np.linspace(0, len(steps), _POINTS + 1).astype(int)[:-1]
    sizes = np.diff([*edges, len(steps)])
    return np.add.reduceat(steps, edges) / sizes, np.add.reduceat(values, edges) / sizes


def _smoothed(values: np.ndarray, reach: int) -> np.ndarray:
    """Average each value with its neighbours within ``reach``.

    The window shrinks at the start, where a loss falls steeply, but not at the end, where it is noise.
    """
    total = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    reach_here = np.minimum(reach, places)
    first, last = places - reach_here, np.minimum(places + reach_here + 1, len(values))
    return (total[last] - total[first]) / (last - first)


def _strip(axes: Axes, row: float, values: np.ndarray, index: int) -> None:
    """Draw the points of one row, its quartiles as a box, its median as a bar and its mean as a cross."""
    values = values[~np.isnan(values)]
    if not len(values):
        return
    colour = series_colour(index)
    low, middle, high = np.percentile(values, [25, 50, 75])
    axes.barh(row, high - low, left=low, height=0.36, color=colour, alpha=0.18, linewidth=0)
    axes.plot([middle, middle], [row - 0.18, row + 0.18], color=colour, linewidth=1.8, solid_capstyle="butt")
    # The golden ratio spreads neighbours in rank apart without any chance.
    spread = (np.arange(len(values)) * 0.618 % 1 - 0.5) * 0.26
    axes.scatter(
        np.sort(values),
        row + spread,
        s=13,
        color=colour,
        alpha=0.8,
        marker=marker(index),
        edgecolor=PAPER,
        linewidth=0.4,
    )
    axes.plot(values.mean(), row, "x", color=INK, markersize=5, markeredgewidth=1.2)


def _pair(evaluation: Evaluation, region: str) -> np.ndarray:
    """Return reference and predicted volume of each case that has both, ml, [n, 2]."""
    both = [case_values(evaluation, metric, [region])[region] for metric in ("reference_volume_ml", "volume_ml")]
    pairs = np.stack(both, axis=1)
    return pairs[np.isfinite(pairs).all(axis=1)]


def _signed(volume_ml: float) -> str:
    return f"{volume_ml:+.1f}\N{NO-BREAK SPACE}ml".replace("-", "\N{MINUS SIGN}")


def _volumes(cohort: Cohort, arms: Arms, region: str) -> Drawing | None:
    pairs = [(evaluation, _pair(evaluation, region)) for evaluation in cohort.evaluations]
    pairs = [(evaluation, pair) for evaluation, pair in pairs if len(pair)]
    if not pairs:
        return None
    everything = np.concatenate([pair for _, pair in pairs])
    low, high = float(everything.min()), float(everything.max()) or 1.0
    logarithmic = low > 0 and high > 20 * low

    def plot(axes: Axes) -> None:
        limits = (low / 1.4, high * 1.4) if logarithmic else (-0.04 * high, 1.08 * high)
        if logarithmic:
            axes.set(xscale="log", yscale="log")
        axes.set(xlim=limits, ylim=limits, xlabel="reference, ml", ylabel="predicted, ml")
        for axis in (axes.xaxis, axes.yaxis):
            if logarithmic:
                _log_ticks(axis)
            else:
                axis.set_major_locator(MaxNLocator(6))  # the same ticks on both axes
        axes.plot(limits, limits, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
        for evaluation, pair in pairs:
            index = arms.of(evaluation).index
            axes.scatter(
                pair[:, 0],
                pair[:, 1],
                s=18,
                color=series_colour(index),
                marker=marker(index),
                alpha=0.8,
                edgecolor=PAPER,
                linewidth=0.4,
            )
        axes.set_aspect("equal")

    errors: dict[str, list[np.ndarray]] = {}
    for evaluation, pair in pairs:
        errors.setdefault(arms.of(evaluation).label, []).append(pair[:, 1] - pair[:, 0])
    biases = [f"{label}\N{NO-BREAK SPACE}{_signed(np.concatenate(parts).mean())}" for label, parts in errors.items()]
    few = len(biases) <= _BIASES
    note = "Mean of predicted minus reference: " + "; ".join(biases) if few else ""
    return Drawing(region, draw(plot, width=3.4, height=3.2, label=f"Predicted over reference volume, {region}"), note)
