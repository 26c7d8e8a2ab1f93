"""How well the quality of predictions, which needs no mask, follows their true Dice.

    python benchmarks/quality/measure.py NAME=PREDICTIONS:EVALUATION ... [--csv results.csv]

PREDICTIONS is the output of `equireg predict`, EVALUATION that of `equireg evaluate` for it. Measures, each over the
cases of one folder (Jaeger et al. 2023; Zenk et al. 2025):

- Spearman's correlation of quality and Dice;
- AURC x 100: area under the curve of the mean risk (1 - Dice) of the cases that are kept, over the part that is kept,
  when the least trusted are left out first; beside it the least that any order reaches (optimal), and the mean risk
  (random);
- gained: the part of the way from random to optimal;
- hits: the part of the worst tenth by Dice that is in the worst tenth by quality.
"""

import argparse
import csv
import math
from pathlib import Path

import numpy as np

from equireg.folders.quality import read_quality


def dice_of(evaluation: Path) -> dict[str, float]:
    """Return case to mean Dice over its regions."""
    found: dict[str, list[float]] = {}
    with (evaluation / "metrics.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["metric"] == "dice" and row["value"]:
                found.setdefault(row["case"], []).append(float(row["value"]))
    return {case: float(np.mean(values)) for case, values in found.items()}


def spearman(one: np.ndarray, other: np.ndarray) -> float:
    """Return the correlation of ranks; equal values share their mean rank."""
    first, second = (np.array([(np.sum(x < value) + np.sum(x <= value) - 1) / 2 for value in x]) for x in (one, other))
    return float(np.corrcoef(first, second)[0, 1])


def aurc(quality: np.ndarray, risk: np.ndarray) -> float:
    """Return the area under the curve of risk over coverage, the most trusted cases first."""
    order = np.argsort(-quality, kind="stable")
    return float(np.mean(np.cumsum(risk[order]) / np.arange(1, len(risk) + 1)))


def hits(quality: np.ndarray, dice: np.ndarray) -> float:
    """Return the part of the worst tenth by Dice that is in the worst tenth by quality."""
    count = math.ceil(0.1 * len(dice))
    return len(set(np.argsort(dice)[:count]) & set(np.argsort(quality)[:count])) / count


def measures(quality: np.ndarray, dice: np.ndarray) -> dict[str, float]:
    """Return all measures of one folder."""
    risk = 1 - dice
    found, optimal, chance = aurc(quality, risk), aurc(-risk, risk), float(risk.mean())
    return {
        "cases": len(dice),
        "dice": float(dice.mean()),
        "spearman": spearman(quality, dice),
        "aurc": 100 * found,
        "optimal": 100 * optimal,
        "random": 100 * chance,
        "gained": (chance - found) / max(chance - optimal, 1e-9),
        "hits": hits(quality, dice),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", metavar="NAME=PREDICTIONS:EVALUATION")
    parser.add_argument("--csv", type=Path)
    options = parser.parse_args()
    rows = []
    for given in options.folders:
        name, both = given.split("=", 1)
        predictions, evaluation = both.split(":", 1)
        dice = dice_of(Path(evaluation))
        known = {row.case: row.quality for row in read_quality(Path(predictions)) if row.quality is not None}
        cases = sorted(set(dice) & set(known))
        pairs = np.array([(known[case], dice[case]) for case in cases])
        rows.append({"name": name, **measures(pairs[:, 0], pairs[:, 1])})
        print(
            " ".join(
                f"{key} {value:.3f}" if isinstance(value, float) else f"{key} {value}"
                for key, value in rows[-1].items()
            )
        )
    if options.csv:
        with options.csv.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows([{k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()} for row in rows])


if __name__ == "__main__":
    main()
