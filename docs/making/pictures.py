"""Draw the pictures of the pipeline and of the idea: `python docs/making/pictures.py docs/images`."""

import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from scipy import ndimage

from equireg.phantom import CONTRASTS, PhantomConfig, make_case

INK, SOFT, FILL = "#1b4f4a", "#5d7f7b", "#e6f2f0"
_SHAPE = (96, 96, 64)
_ANGLE_DEG = 25.0


def box(axes: Any, at: tuple[float, float], text: str, *, fill: str = FILL, width: float = 1.5) -> None:
    """Draw a box with a text in its middle."""
    style = {"boxstyle": "round,pad=0.08", "facecolor": fill, "edgecolor": INK, "linewidth": 1.0}
    corner = (at[0] - width / 2, at[1] - 0.32)
    axes.add_patch(FancyBboxPatch(corner, width, 0.64, **style))
    axes.text(*at, text, ha="center", va="center", fontsize=9, color=INK)


def arrow(axes: Any, start: tuple[float, float], end: tuple[float, float], text: str = "") -> None:
    """Draw an arrow with a text above its middle."""
    axes.annotate("", xy=end, xytext=start, arrowprops={"arrowstyle": "-|>", "color": SOFT, "lw": 1.3})
    middle = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + 0.16)
    axes.text(*middle, text, ha="center", va="bottom", fontsize=9, color=SOFT)


def pipeline() -> Figure:
    """Draw the verbs and the folders between them, with the loop of annotation below."""
    figure = Figure(figsize=(9.6, 2.7))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, 14.4), ylim=(-2.1, 1.2))
    axes.set_axis_off()
    folders = (
        "raw scans,\nsome masks",
        "prepared/",
        "runs/NAME/",
        "predictions/",
        "evaluation/",
        "report/\nindex.html",
    )
    places = [(1.0 + 2.48 * index, 0.3) for index in range(len(folders))]
    for place, name in zip(places, folders, strict=True):
        box(axes, place, name, fill="white" if place == places[0] else FILL)
    verbs = ("prepare", "train", "predict", "evaluate", "report")
    for (x, y), (next_x, _), verb in zip(places, places[1:], verbs, strict=False):
        arrow(axes, (x + 0.85, y), (next_x - 0.85, y), verb)
    box(axes, (4.72, -1.4), "next/: which scans\nto annotate, drafts", width=2.3)
    arrow(axes, (5.96, -0.12), (5.2, -0.98))
    axes.text(5.9, -0.62, "suggest", fontsize=9, color=SOFT)
    arrow(axes, (3.45, -1.2), (3.3, -0.12))
    axes.text(2.55, -0.72, "adopt", fontsize=9, color=SOFT)
    box(axes, (9.9, -1.4), "quality.csv, view.html", width=2.5)
    arrow(axes, (8.6, -0.12), (9.4, -0.98))
    axes.text(9.2, -0.62, "predict, view", fontsize=9, color=SOFT)
    return figure


def turned(image: np.ndarray, order: int) -> np.ndarray:
    """Return an image turned about its middle."""
    return ndimage.rotate(image, _ANGLE_DEG, reshape=False, order=order, mode="constant", cval=0)


def idea() -> Figure:
    """Draw both ways around the square: segment and turn, turn and segment."""
    phantom = make_case(PhantomConfig(cases=1, shape=_SHAPE, spacing_mm=(1.9, 1.9, 2.4)), 0)
    label = phantom.label
    layer = int((label > 0).sum((0, 1)).argmax())
    scan, mask = phantom.images[CONTRASTS.index("flair"), :, :, layer], label[:, :, layer] > 0
    shown = {
        (0, 1): ("scan x", scan, None),
        (1, 1): ("prediction f(x)", scan, mask),
        (0, 0): ("transformed scan T x", turned(scan, 1), None),
        (1, 0): ("T f(x) and f(T x) must agree", turned(scan, 1), turned(mask.astype(float), 1) > 0.5),
    }
    figure = Figure(figsize=(5.6, 5.2))
    for (column, row), (title, image, region) in shown.items():
        axes = figure.add_axes((0.03 + 0.56 * column, 0.02 + 0.5 * row, 0.38, 0.38))
        axes.imshow(image.T, cmap="gray", origin="lower")
        if region is not None:
            axes.contourf(region.T, levels=[0.5, 1.5], colors=["#e4572e"], alpha=0.55)
        axes.set_title(title, fontsize=9, color=INK)
        axes.set_axis_off()
    over = figure.add_axes((0, 0, 1, 1), facecolor="none")
    over.set(xlim=(0, 1), ylim=(0, 1))
    over.set_axis_off()
    for start, end, text, at in (
        ((0.43, 0.71), (0.57, 0.71), "network f", (0.5, 0.735)),
        ((0.43, 0.21), (0.57, 0.21), "network f", (0.5, 0.235)),
        ((0.22, 0.505), (0.22, 0.455), "transform T", (0.31, 0.48)),
        ((0.78, 0.505), (0.78, 0.455), "transform T", (0.69, 0.48)),
    ):
        over.annotate("", xy=end, xytext=start, arrowprops={"arrowstyle": "-|>", "color": SOFT, "lw": 1.5})
        over.text(*at, text, ha="center", va="center", fontsize=9, color=SOFT)
    return figure


def main() -> None:
    """Write both pictures into a folder, the same bytes each time."""
    mpl.rcParams["svg.hashsalt"] = "equireg"
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    for name, figure in (("pipeline", pipeline()), ("idea", idea())):
        figure.savefig(Path(sys.argv[1]) / f"{name}.svg", metadata=nothing, facecolor="white")


if __name__ == "__main__":
    main()
