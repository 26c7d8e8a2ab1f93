"""Learning curves: each scalar over the steps, runs overlaid."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from equireg.comparing.arms import Arms
from equireg.comparing.cohorts import Results
from equireg.comparing.compared import Run
from equireg.drawing.svg import draw, marker, series_colour
from equireg.reporting.drawing.figures import Drawing, log_ticks
from equireg.reporting.section import Section

_POINTS = 240
"""Points that a curve is thinned to; more cannot be seen and weigh on the page."""
_TITLES = {
    "val/dice": "Validation Dice",
    "train/total": "Training loss: total",
    "train/supervised": "Training loss: supervised",
    "train/unsupervised": "Training loss: unsupervised",
    "lr": "Learning rate",
}
"""Scalars that have a name of their own; validation comes first, then losses."""


def section(results: Results) -> Section:
    """Return the curves of all runs, without any where nothing was logged."""
    runs = results.sources.runs
    drawings = learning_curves(runs, results.arms)
    arms = list(dict.fromkeys(results.arms.of(run) for run in runs))
    return Section("curves", {"arms": arms, "drawings": drawings} if drawings else {})


def learning_curves(runs: Sequence[Run], arms: Arms) -> list[Drawing]:
    """Draw each scalar over the steps, runs overlaid: validation first, then losses, then the rest."""
    logged = dict.fromkeys(name for run in runs for name in run.scalars)
    return [_curve(name, runs, arms) for name in sorted(logged, key=_importance)]


def _importance(name: str) -> tuple[int, int]:
    order = [known for known in _TITLES if "/" in known]
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
            log_ticks(axes.yaxis)

    title = _title(name)
    note = "logarithmic scale" if logarithmic else ""
    return Drawing(title, draw(plot, width=4.2, height=2.5, label=f"{title} over steps"), note)


def _title(name: str) -> str:
    if name in _TITLES:
        return _TITLES[name]
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
