"""Tables of the sweeps over test cases: mean Dice a method, and EquiReg less each rival, with paired intervals.

    python benchmarks/strength/test_cases.py work/report-length-* --out benchmarks/strength/results/test-length.csv
    python benchmarks/strength/test_cases.py work/report-all-* --out benchmarks/strength/results/test-all.csv
    python benchmarks/strength/test_cases.py work/report-small-* --out benchmarks/strength/results/test-small.csv
    python benchmarks/strength/test_cases.py --results benchmarks/strength/results/test-small.csv

The first commands collect the mean Dice over regions of every case; the last only prints. Rows of draws that the sweeps
do not have (of another machine) stay in the file. Draws that lack a method that the file has are left out. An interval
draws draws and cases anew, the same for both methods (95 %, percentile bootstrap, 10,000 times); that of the mean over
data sets draws each set's on its own.
"""

import argparse
import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

import numpy as np

COLUMNS = ("set", "draw", "method", "case", "dice")
METHODS = ("equireg", "supervised", "fixmatch", "cps", "bcp")
_TIMES = 10_000

Scores = Mapping[str, np.ndarray]
"""Method to the Dice of each draw and case, [draws, cases]."""


def collected(sweep: Path) -> list[tuple[str, str, str, str, str]]:
    """Return the rows of a sweep's evaluations, whose folders are named seed42-default or seed42-sup1-default."""
    whole = ["all"] if "-all-" in sweep.name else []
    rows = []
    for folder in sorted((sweep / "evaluations").iterdir()):
        draw, *labelled, variant = folder.name.removeprefix("seed").split("-")
        name = " ".join([sweep.name.split("-")[-1], *(part.removeprefix("sup") for part in labelled), *whole])
        method = "equireg" if variant == "default" else variant
        by_case: dict[str, list[float]] = {}
        with (folder / "metrics.csv").open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                if row["metric"] == "dice" and row["value"]:
                    by_case.setdefault(row["case"], []).append(float(row["value"]))
        rows += [(name, draw, method, case, f"{fmean(values):.4f}") for case, values in by_case.items()]
    return rows


def kept(path: Path, rows: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Return the rows of a file, as far as it is there, of sets and draws that the rows do not have."""
    if not path.exists():
        return []
    renewed = {(row[0], row[1]) for row in rows}
    with path.open(newline="", encoding="utf-8") as stream:
        return [
            tuple(row[name] for name in COLUMNS)
            for row in csv.DictReader(stream)
            if (row["set"], row["draw"]) not in renewed
        ]


def read(path: Path) -> dict[str, Scores]:
    """Return the scores of each set, of the draws that all methods have."""
    found: dict[str, dict[tuple[str, str], dict[str, float]]] = {}
    with path.open(newline="", encoding="utf-8") as stream:
        for row in csv.DictReader(stream):
            run = found.setdefault(row["set"], {}).setdefault((row["draw"], row["method"]), {})
            run[row["case"]] = float(row["dice"])
    result = {}
    given = {method for runs in found.values() for _, method in runs}
    methods = [method for method in METHODS if method in given]
    for name, runs in found.items():
        draws = sorted({draw for draw, _ in runs if all((draw, method) in runs for method in methods)})
        if not draws:
            continue
        cases = sorted(set.intersection(*(set(run) for run in runs.values())))
        result[name] = {
            method: np.array([[runs[draw, method][case] for case in cases] for draw in draws]) for method in methods
        }
    return result


def methods_of(sets: Mapping[str, Scores]) -> list[str]:
    """Return the methods that the sets have, EquiReg first."""
    return list(next(iter(sets.values())))


def resampled(difference: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return the mean of a table of differences, [draws, cases], of draws and cases that are drawn anew, [times]."""
    draws, cases = difference.shape
    rows = generator.integers(draws, size=(_TIMES, draws))
    columns = generator.integers(cases, size=(_TIMES, cases))
    return np.array([difference[np.ix_(*pair)].mean() for pair in zip(rows, columns, strict=True)])


def differences(sets: Mapping[str, Scores]) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Return, by rival and set ("mean" for all), EquiReg's lead and its interval."""
    found: dict[str, dict[str, tuple[float, float, float]]] = {}
    for rival in methods_of(sets)[1:]:
        generator, every, leads = np.random.default_rng(0), [], []
        for name, scores in sets.items():
            difference = scores["equireg"] - scores[rival]
            every.append(resampled(difference, generator))
            leads.append(float(difference.mean()))
            found.setdefault(rival, {})[name] = (leads[-1], *_interval(every[-1]))
        found[rival]["mean"] = (fmean(leads), *_interval(np.mean(every, axis=0)))
    return found


def _interval(values: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def printed(sets: Mapping[str, Scores]) -> str:
    """Return both tables as Markdown."""
    methods = methods_of(sets)
    lines = [_line(["", "draws", *methods]), _line(["---"] * (2 + len(methods)))]
    for name, scores in sets.items():
        lines.append(_line([name, str(len(scores["equireg"])), *(f"{scores[m].mean():.3f}" for m in methods)]))
    means = (fmean(float(scores[method].mean()) for scores in sets.values()) for method in methods)
    lines += [_line(["mean", "", *(f"{value:.3f}" for value in means)]), ""]
    found = differences(sets)
    lines += [_line(["EquiReg less", *methods[1:]]), _line(["---"] * len(methods))]
    for name in [*sets, "mean"]:
        cells = (found[rival][name] for rival in methods[1:])
        lines.append(_line([name, *(f"{lead:+.3f} ({low:+.3f} to {high:+.3f})" for lead, low, high in cells)]))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sweeps", nargs="*", type=Path)
    parser.add_argument("--out", type=Path, help="file for what is collected")
    parser.add_argument("--results", type=Path, help="file that was written before")
    chosen = parser.parse_args()
    if chosen.sweeps:
        rows: list[tuple[str, ...]] = [row for sweep in chosen.sweeps for row in collected(sweep)]
        rows = [*kept(chosen.out, rows), *rows]
        sets = list(dict.fromkeys(row[0] for row in rows))
        rows.sort(key=lambda row: (sets.index(row[0]), *row[1:4]))
        with chosen.out.open("w", newline="", encoding="utf-8") as stream:
            table = csv.writer(stream, lineterminator="\n")
            table.writerow(COLUMNS)
            table.writerows(rows)
    print(printed(read(chosen.out or chosen.results)))


if __name__ == "__main__":
    main()
