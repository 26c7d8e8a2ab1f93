"""Print the benchmark's runs as Markdown: Dice and HD95 at each number of labels, bridging, differences, and the mean.

    python benchmarks/label_efficiency/tables.py SOURCE...

A source is `results.csv`, which stands here and holds every run's means, or an output of `equireg report`, which
knows the cases too and so the differences between methods. The last table is the mean over the points at which
EquiReg is to be judged: hippocampus with 1 and 5 labelled cases, lgg with 4 and 8.
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

MEAN = "mean of regions"
POINTS = {"hippocampus": (1, 5), "lgg": (4, 8)}
"""Data set to the numbers of labelled cases that the last table averages over."""
ORDER = ("supervised", "equireg")
"""Methods that stand first; the others follow by name."""


def runs_of(source: Path) -> Any:
    """Return a table with a row a run: method, labelled cases, seed, and the means over cases of Dice and HD95.

    Of `results.csv` these are the runs of the sweep files as they stand: other lengths and other forms of a method,
    which have a ``variant``, are left out.
    """
    if source.suffix == ".csv":
        table: Any = pd.read_csv(source)
        return table[table["variant"].isna()].drop(columns="variant")
    return _reported(source)


def _reported(report: Path) -> Any:
    """Return the same of a report."""
    table: Any = pd.read_csv(report / "tables" / "results.csv")
    table = table[(table["region"] == MEAN) & table["metric"].isin(["dice", "hd95_mm"])]
    keys = ["dataset", "method", "labelled_cases", "masked_cases", "seed"]
    return table.pivot_table(index=keys, columns="metric", values="mean").reset_index()


def by_name(methods: Iterable[str]) -> list[str]:
    """Return methods in the order of the tables."""
    places = {name: place for place, name in enumerate(ORDER)}
    return sorted(methods, key=lambda name: (places.get(name, len(ORDER)), name))


def cell(values: Any) -> str:
    """Return mean and standard deviation over seeds, and how many seeds where they are not three."""
    text = f"{values.mean():.3f} ± {values.std():.3f}" if len(values) > 1 else f"{values.mean():.3f}"
    return text if len(values) == 3 else f"{text} (seeds: {len(values)})"


def print_runs(runs: Any, metric: str) -> None:
    """Print a row a method, a column a number of labelled cases."""
    cells = runs.groupby(["method", "labelled_cases"])[metric].apply(cell).unstack()
    print("| method | " + " | ".join(f"{count} labelled" for count in cells.columns) + " |")
    print("| --- |" + " --- |" * len(cells.columns))
    for method in by_name(cells.index):
        print(f"| {method} | " + " | ".join("" if pd.isna(value) else value for value in cells.loc[method]) + " |")
    print()


def print_differences(report: Path) -> None:
    """Print the paired differences of Dice, the mean over the regions."""
    table: Any = pd.read_csv(report / "tables" / "differences.csv")
    print("| compared | Dice | 95 % interval | p (Holm) | seeds |")
    print("| --- | --- | --- | --- | --- |")
    for row in table[table["region"] == MEAN].itertuples():
        print(
            f"| {row.arm} - {row.baseline} | {row.difference:+.3f} | {row.low:+.3f} to {row.high:+.3f} | "
            f"{row.p_holm:.2g} | {row.pairs} |"
        )
    print()


def print_bridging(runs: Any) -> None:
    """Print the part of the gap between supervised with few labels and with all that each method closes.

    A method is compared with supervised on its own seeds. nnU-Net, which sees no unlabelled scan, is left out.
    """
    dice = runs.set_index(["method", "labelled_cases", "seed"])["dice"]
    most = runs["masked_cases"].max()
    if ("supervised", most) not in dice.index:
        return
    ceiling = dice["supervised", most].mean()
    closed: Any = pd.DataFrame()
    for (method, count), group in dice.groupby(level=[0, 1]):
        if method in ("supervised", "nnunet") or count == most:
            continue
        own, few = group.droplevel([0, 1]).align(dice["supervised", count], join="inner")
        closed.loc[method, count] = (own.mean() - few.mean()) / (ceiling - few.mean())
    counts = sorted(closed.columns)
    print(f"Bridging coefficients; supervised with all {most} labels has {ceiling:.3f}.\n")
    print("| method | " + " | ".join(f"{count} labelled" for count in counts) + " |")
    print("| --- |" + " --- |" * len(counts))
    for method in by_name(closed.index):
        cells = ("" if pd.isna(value) else f"{value:+.0%}" for value in closed.loc[method, counts])
        print(f"| {method} | " + " | ".join(cells) + " |")
    print()


def print_points(runs: Any) -> None:
    """Print the mean Dice over the points of all data sets, for the methods that have each of them."""
    wanted = [(name, count) for name, counts in POINTS.items() for count in counts]
    means = runs.groupby(["dataset", "labelled_cases", "method"])["dice"].mean().unstack()
    found = [point for point in wanted if point in means.index]
    over = means.loc[found].mean(skipna=False).dropna().sort_values(ascending=False)
    print("Mean over " + ", ".join(f"{name} {count}" for name, count in found) + "\n")
    print("| method | Dice |\n| --- | --- |")
    for method, value in over.items():
        print(f"| {method} | {value:.3f} |")


def main() -> None:
    """Print all tables."""
    everything = []
    for source in map(Path, sys.argv[1:]):
        everything.append(runs_of(source))
        for name, runs in everything[-1].groupby("dataset"):
            print(f"### {name}\n")
            print("Dice, mean ± standard deviation over seeds\n")
            print_runs(runs, "dice")
            print("HD95, mm\n")
            print_runs(runs, "hd95_mm")
            print_bridging(runs)
        if source.suffix != ".csv":
            print_differences(source)
    print_points(pd.concat(everything, ignore_index=True))


if __name__ == "__main__":
    main()
