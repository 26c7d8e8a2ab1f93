"""Draw validation Dice against steps of long runs, a panel a data set and a line a method, as a PNG file.

    python benchmarks/strength/steps_figure.py benchmarks/strength/results/exchange.csv docs/images/benchmark-steps.png

Of each data set the draw is shown of which most methods were run for 4,000 steps.
"""

import sys
from pathlib import Path

import matplotlib as mpl
import pandas as pd

mpl.use("Agg")
from matplotlib import pyplot

from equireg.drawing.svg import marker, series_colour

_METHODS = ("equireg", "bcp", "cps", "fixmatch")
_STEPS = 4000


def main(source: Path, out: Path) -> None:
    """Draw the figure."""
    rows = pd.read_csv(source)
    rows = rows.loc[(rows["steps"] == _STEPS) & (rows["size"] == "half resolution")]
    sets = list(dict.fromkeys(rows["set"]))
    figure, panels = pyplot.subplots(1, len(sets), figsize=(8, 3.4), layout="constrained", squeeze=False)
    for axes, name in zip(panels[0], sets, strict=True):
        of_set = rows.loc[rows["set"] == name]
        draw = of_set.groupby("draw")["method"].nunique().idxmax()
        for place, method in enumerate(_METHODS):
            curve = of_set.loc[(of_set["draw"] == draw) & (of_set["method"] == method)].sort_values("after")
            if len(curve):
                axes.plot(
                    curve["after"],
                    curve["dice"],
                    label=method,
                    color=series_colour(place),
                    marker=marker(place),
                    linewidth=2.0 if method == "equireg" else 1.1,
                    markersize=4,
                )
        axes.set_title(f"{name}, {of_set['labelled_scans'].iloc[0]} labelled scans, draw {draw}", fontsize=10)
        axes.set_xlabel("steps")
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8)
    panels[0][0].set_ylabel("Dice on validation cases")
    figure.savefig(out, dpi=120)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
