"""How often the interval of `predict --calibration` holds the true Dice, and how wide it is.

    python benchmarks/quality/coverage.py SCORES.csv ... [--score views2] [--splits 20]

Of each run in a table of `scores.py` some cases are drawn to learn from, 5, 10 or half of them, and the others are
estimated; so often for each run. The numbers are means over the runs of a table.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

from equireg.prediction.calibration import Calibration


def of_run(quality: np.ndarray, dice: np.ndarray, count: int, splits: int) -> tuple[float, float, float]:
    """Return the part of the cases that the interval holds, its mean width, and the mean error of the estimate."""
    held, width, error = [], [], []
    for split in range(splits):
        order = np.random.default_rng(split).permutation(len(dice))
        made = Calibration(quality[order[:count]], dice[order[:count]])
        for case in order[count:]:
            found = made.estimate(float(quality[case]))
            held.append(found.low <= dice[case] <= found.high)
            width.append(found.high - found.low)
            error.append(abs(found.dice - dice[case]))
    return float(np.mean(held)), float(np.mean(width)), float(np.mean(error))


def main() -> None:
    """Read the command line, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", type=Path)
    parser.add_argument("--score", default="views2")
    parser.add_argument("--splits", type=int, default=20)
    options = parser.parse_args()
    print("| table | learnt from | interval holds | width | mean error |\n| --- | --- | --- | --- | --- |")
    for path in options.tables:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        runs = [[row for row in rows if row["run"] == name] for name in dict.fromkeys(row["run"] for row in rows)]
        pairs = [np.array([(float(row[options.score]), float(row["dice"])) for row in own]) for own in runs]
        for count in (5, 10, len(pairs[0]) // 2):
            found = np.mean([of_run(both[:, 0], both[:, 1], count, options.splits) for both in pairs], axis=0)
            shown = " | ".join(f"{value:.3f}" for value in found)
            print(f"| {path.stem} | {count} cases | {shown} |")


if __name__ == "__main__":
    main()
