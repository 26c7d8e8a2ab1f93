"""Draw Dice against labelled cases, a line a method with its spread over seeds, as a PNG file.

    python benchmarks/label_efficiency/figure.py SOURCE DATASET OUT.png

SOURCE is `results.csv`, or an output of `equireg report`.
"""

import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot
from matplotlib.ticker import NullLocator
from tables import by_name, runs_of

from equireg.drawing.svg import marker, series_colour

_BASELINE = "#333333"
_APART = 1.03
"""Factor between the places of two methods with the same number of labels, lest whiskers hide each other."""


def main() -> None:
    """Draw the figure."""
    source, dataset, out = sys.argv[1:]
    runs = runs_of(Path(source))
    runs = runs[runs["dataset"] == dataset]
    counts = sorted(runs["labelled_cases"].unique())
    methods = by_name(runs["method"].unique())
    figure, axes = pyplot.subplots(figsize=(6.4, 4.2), layout="constrained")
    for place, method in enumerate(methods):
        dice = runs[runs["method"] == method].groupby("labelled_cases")["dice"].agg(["mean", "std"])
        axes.errorbar(
            dice.index * _APART ** (place - len(methods) / 2),
            dice["mean"],
            dice["std"].fillna(0),
            label=method,
            color=_BASELINE if method == "supervised" else series_colour(place),
            marker=marker(place),
            linewidth=2.0 if method == "equireg" else 1.1,
            markersize=5,
            elinewidth=0.8,
            capsize=2,
        )
    axes.set_xscale("log")
    axes.set_xticks(counts, [str(count) for count in counts])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(f"labelled cases, of {runs['masked_cases'].max()}")
    axes.set_ylabel("Dice on test cases")
    axes.set_title(dataset)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, ncols=2)
    figure.savefig(out, dpi=120)


if __name__ == "__main__":
    main()
