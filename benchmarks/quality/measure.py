"""How well scores that need no mask follow the true Dice.

    python benchmarks/quality/measure.py NAME=PREDICTIONS:EVALUATION ... [--csv results.csv]
    python benchmarks/quality/measure.py SCORES.csv ... [--csv results.csv] [--table results.md] [--across spearman]

PREDICTIONS is the output of `equireg predict`, EVALUATION that of `equireg evaluate` for it; SCORES.csv is what
`scores.py` writes, with several scores beside the Dice. Measures, each over the cases of one run (Jaeger et al. 2023;
Zenk et al. 2025):

- Spearman's correlation of score and Dice;
- AURC x 100: area under the curve of the mean risk (1 - Dice) of the cases that are kept, over the part that is kept,
  when the least trusted are left out first; beside it the least that any order reaches (optimal), and the mean risk
  (random);
- e-AURC x 100: AURC less the optimal;
- gained: the part of the way from random to optimal;
- hits: the part of the worst tenth by Dice that is in the worst tenth by score.

--table writes the mean over the runs of each SCORES.csv and method; a method is a run's name after its last `-`.
--across prints one of the measures with a column for each of these, and their mean where a score has all.
"""

import argparse
import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from equireg.folders.quality import read_quality

MEASURES = ("spearman", "aurc", "optimal", "random", "e_aurc", "gained", "hits")


def dice_of(evaluation: Path) -> dict[str, float]:
    """Return case to mean Dice over its regions."""
    found: dict[str, list[float]] = {}
    with (evaluation / "metrics.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["metric"] == "dice" and row["value"]:
                found.setdefault(row["case"], []).append(float(row["value"]))
    return {case: float(np.mean(values)) for case, values in found.items()}


def spearman(one: np.ndarray, other: np.ndarray) -> float:
    """Return the correlation of ranks; equal values share their mean rank, and one value alone says nothing (0)."""
    first, second = (np.array([(np.sum(x < value) + np.sum(x <= value) - 1) / 2 for value in x]) for x in (one, other))
    return float(np.corrcoef(first, second)[0, 1]) if first.std() > 0 and second.std() > 0 else 0.0


def aurc(quality: np.ndarray, risk: np.ndarray) -> float:
    """Return the area under the curve of risk over coverage, the most trusted cases first."""
    order = np.argsort(-quality, kind="stable")
    return float(np.mean(np.cumsum(risk[order]) / np.arange(1, len(risk) + 1)))


def hits(quality: np.ndarray, dice: np.ndarray) -> float:
    """Return the part of the worst tenth by Dice that is in the worst tenth by quality."""
    count = math.ceil(0.1 * len(dice))
    return len(set(np.argsort(dice)[:count]) & set(np.argsort(quality)[:count])) / count


def measures(quality: np.ndarray, dice: np.ndarray) -> dict[str, float]:
    """Return all measures of one score on one run."""
    risk = 1 - dice
    found, optimal, chance = aurc(quality, risk), aurc(-risk, risk), float(risk.mean())
    return {
        "cases": len(dice),
        "dice": float(dice.mean()),
        "spearman": spearman(quality, dice),
        "aurc": 100 * found,
        "optimal": 100 * optimal,
        "random": 100 * chance,
        "e_aurc": 100 * (found - optimal),
        "gained": (chance - found) / max(chance - optimal, 1e-9),
        "hits": hits(quality, dice),
    }


def of_folders(given: str) -> Iterator[dict[str, object]]:
    """Yield the measures of the quality that `equireg predict` wrote."""
    name, both = given.split("=", 1)
    predictions, evaluation = both.split(":", 1)
    dice = dice_of(Path(evaluation))
    known = {row.case: row.quality for row in read_quality(Path(predictions)) if row.quality is not None}
    cases = sorted(set(dice) & set(known))
    pairs = np.array([(known[case], dice[case]) for case in cases])
    yield {"set": "", "run": name, "score": "quality", **measures(pairs[:, 0], pairs[:, 1])}


def of_scores(path: Path) -> Iterator[dict[str, object]]:
    """Yield the measures of every score of every run of a table of `scores.py`."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    scores = [name for name in rows[0] if name not in ("run", "case", "dice")]
    for run in dict.fromkeys(row["run"] for row in rows):
        own = [row for row in rows if row["run"] == run]
        dice = np.array([float(row["dice"]) for row in own])
        for score in scores:
            if all(row[score] for row in own):
                values = np.array([float(row[score]) for row in own])
                yield {"set": path.stem, "run": run, "score": score, **measures(values, dice)}


def summary(rows: Sequence[dict[str, object]]) -> Iterator[dict[str, object]]:
    """Yield the means over the runs of each set, method and score."""
    groups: dict[tuple[object, ...], list[dict[str, object]]] = {}
    for row in rows:
        method = str(row["run"]).rsplit("-", 1)[-1]
        groups.setdefault((row["set"], method, row["score"]), []).append(row)
    for (place, method, score), own in groups.items():
        means = {name: float(np.mean([float(str(row[name])) for row in own])) for name in ("dice", *MEASURES)}
        yield {"set": place, "method": method, "score": score, "runs": len(own), **means}


def across(means: Sequence[dict[str, object]], measure: str) -> list[dict[str, object]]:
    """Return one measure by score, set and method."""
    columns = list(dict.fromkeys((str(row["set"]), str(row["method"])) for row in means))
    values = {(row["score"], row["set"], row["method"]): float(str(row[measure])) for row in means}
    found: list[dict[str, object]] = []
    for score in dict.fromkeys(row["score"] for row in means):
        own = [values.get((score, *column)) for column in columns]
        known = [value for value in own if value is not None]
        cells = {", ".join(column): "" if v is None else f"{v:.2f}" for column, v in zip(columns, own, strict=True)}
        mean = float(np.mean(known)) if len(known) == len(own) else ""
        found.append({"score": score, **cells, "mean": mean})
    return found


def markdown(rows: Sequence[dict[str, object]]) -> str:
    """Return a table."""
    names = list(rows[0])
    lines = [names, ["---"] * len(names), *([shown(row[name]) for name in names] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def shown(value: object) -> str:
    """Return a number with few digits, and all else as it is."""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def main() -> None:
    """Read the command line, print the measures, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("given", nargs="+", metavar="NAME=PREDICTIONS:EVALUATION or SCORES.csv")
    parser.add_argument("--csv", type=Path)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--across", choices=MEASURES)
    options = parser.parse_args()
    rows = [row for one in options.given for row in (of_folders(one) if "=" in one else of_scores(Path(one)))]
    means = list(summary(rows))
    print(markdown(across(means, options.across) if options.across else means), end="")
    if options.table:
        options.table.write_text(markdown(means), encoding="utf-8")
    if options.csv:
        with options.csv.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows([{k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()} for row in rows])


if __name__ == "__main__":
    main()
