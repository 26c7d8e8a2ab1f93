"""Draw Dice on test cases against labelled patients, a panel a data set and a line a method, as a PNG file.

    R=benchmarks/strength/results
    python benchmarks/strength/labels_figure.py $R/test-length.csv $R/test-all.csv docs/images/benchmark-labels.png

A line joins the means over the draws; a small mark is one draw. Methods that were not run with all labels end before.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from test_cases import METHODS, Scores, read

mpl.use("Agg")
from matplotlib import pyplot

from equireg.drawing.svg import marker, series_colour

_PATIENTS = {"acdc 2": "1", "acdc 6": "3"}
"""Labelled patients where a patient has several scans."""


def main(sources: Sequence[Path], out: Path) -> None:
    """Draw the figure."""
    points: dict[str, Scores] = {name: scores for source in sources for name, scores in read(source).items()}
    sets = list(dict.fromkeys(name.split()[0] for name in points))
    figure, panels = pyplot.subplots(1, len(sets), figsize=(9, 3.4), layout="constrained", squeeze=False)
    for axes, name in zip(panels[0], sets, strict=True):
        of_set = {
            point: points[point] for point in sorted((one for one in points if one.split()[0] == name), key=_amount)
        }
        for place, method in enumerate(METHODS):
            _draw(axes, of_set, method, place)
        axes.set_xticks(range(len(of_set)), [_PATIENTS.get(point, point.split()[1]) for point in of_set])
        axes.set_title(name, fontsize=10)
        axes.set_xlabel("labelled patients")
        axes.grid(alpha=0.25)
    panels[0][0].set_ylabel("Dice on test cases")
    panels[0][0].legend(fontsize=8)
    figure.savefig(out, dpi=120)


def _amount(point: str) -> float:
    """Return how many labelled cases a point has."""
    count = point.split()[1]
    return float("inf") if count == "all" else int(count)


def _draw(axes: Axes, points: Mapping[str, Scores], method: str, place: int) -> None:
    colour, own = series_colour(place), [(x, of[method]) for x, of in enumerate(points.values()) if method in of]
    for x, dice in own:
        axes.plot([x] * len(dice), dice.mean(axis=1), ".", color=colour, alpha=0.4, markersize=4)
    axes.plot(
        [x for x, _ in own],
        [float(dice.mean()) for _, dice in own],
        label=method,
        color=colour,
        marker=marker(place),
        linewidth=2.0 if method == "equireg" else 1.1,
        markersize=5,
    )


if __name__ == "__main__":
    *given, last = map(Path, sys.argv[1:])
    main(given, last)
