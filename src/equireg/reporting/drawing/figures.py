"""What several drawings have in common: a drawing a region, keys of legends, points and axes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import LogLocator, NullFormatter

from equireg.comparing.series import Amount
from equireg.drawing.svg import PAPER, draw, marker, series_colour

POINT = {"markeredgecolor": PAPER, "markeredgewidth": 0.4}
"""The rim by which points that lie over each other are distinguished."""


def cloud(index: int, size: float) -> dict[str, Any]:
    """Return how `scatter` draws the points of the arm with this index; ``size`` in square points."""
    look = {"color": series_colour(index), "marker": marker(index), "edgecolor": PAPER}
    return {**look, "s": size, "alpha": 0.8, "linewidth": 0.4}


class Drawing(NamedTuple):
    """A drawing with the words above and below it."""

    title: str
    svg: Markup
    note: str = ""


@dataclass(frozen=True)
class Key:
    """An entry of a legend that is not an arm: a method, or a seed."""

    label: str
    index: int


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

    def one(region: str) -> Drawing:
        svg = draw(lambda axes: plot(axes, region), width=size[0], height=size[1], label=f"{label}, {region}")
        return Drawing(region, svg)

    return [one(region) for region in regions]


def labels_axis(amounts: Sequence[Amount]) -> str:
    """Return the words under an axis of amounts of labels."""
    return "labels used" if all(amount.fraction is not None for amount in amounts) else "labelled cases"


def log_ticks(axis: Axis) -> None:
    """Write ticks as plain numbers, 1, 2 and 5 where there is room; powers would need matplotlib's fonts."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1.0,) if high > 300 * low else (1.0, 2.0, 5.0)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())
