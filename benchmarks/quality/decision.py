"""Does a Dice-optimal decision beat the argmax? On validation cases of `benchmarks/strength/choose/regret-*.yaml`.

    python benchmarks/quality/decision.py WORK OUT.csv --steps 400

WORK holds `strength-small-SET` (prepared folders) and `choose-regret-SET/runs` of hippocampus, lgg and acdc. For each
class of a scan the threshold is half of the largest expected Dice, which is its optimum where the expectation of the
quotient is taken as the quotient of the expectations (after Dai and Li 2023, RankSEG): Dice(k) = 2 (sum of the k
largest probabilities) / (k + sum of all). A voxel takes the class whose probability is the most times its threshold,
background where none reaches it. `gain` is the mean Dice of that less the mean Dice of the argmax; `gain_quarter` the
same with thresholds a quarter of the way from 0.5 to there.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np
from cases import Case, dice_of, read_case

from equireg.folders.prepared import PreparedSet
from equireg.folders.run import RunFolder
from equireg.inference import InferencePlan, predict_scan
from equireg.model import Model, load_model

SETS = ("hippocampus", "lgg", "acdc")
METHODS = ("supervised", "default")
DRAWS = (1, 2, 3, 4)
_SURE = 0.01
"""Probabilities below are in no mask of the largest expected Dice, and need not be sorted."""


def threshold(probs: np.ndarray) -> float:
    """Return the threshold of the largest expected Dice, from a class's probability in each voxel."""
    largest = np.sort(probs[probs > _SURE])[::-1]
    if not largest.size:
        return 0.5
    expected = 2 * np.cumsum(largest) / (np.arange(1, largest.size + 1) + probs.sum())
    return float(expected.max() / 2)


def decided(probs: np.ndarray, thresholds: Sequence[float]) -> np.ndarray:
    """Return the classes [D, H, W] of probabilities [K, D, H, W], given the thresholds of all but the background."""
    reached = np.stack([own / least for own, least in zip(probs[1:], thresholds, strict=True)])
    return np.where(reached.max(axis=0) >= 1, reached.argmax(axis=0) + 1, 0)


def judged(model: Model, case: Case) -> tuple[float, float, float]:
    """Return the mean Dice over the classes by the argmax, by the thresholds, and a quarter of the way to them."""
    plan = InferencePlan(2, model.facts.patch_size, model.facts.flip_axes, "flips")
    probs = predict_scan(model.predictor.eval(), case.image, case.background, case.spacing_mm, plan).numpy()
    best = [threshold(own.ravel()) for own in probs[1:]]
    near = [0.5 + (one - 0.5) / 4 for one in best]
    classes = len(probs)
    masks = (probs.argmax(axis=0), decided(probs, best), decided(probs, near))
    argmax, whole, quarter = (dice_of(mask, case.label, classes) for mask in masks)
    return argmax, whole, quarter


def main() -> None:
    """Judge every run, and write a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=400)
    options = parser.parse_args()
    with options.out.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["set", "steps", "draw", "method", "dice", "gain", "gain_quarter"])
        for name in SETS:
            data = PreparedSet(options.work / f"strength-small-{name}")
            cases = [read_case(data, one.name) for one in data.manifest.cases if one.split == "val" and one.labelled]
            for draw in DRAWS:
                for method in METHODS:
                    run = RunFolder(
                        options.work / f"choose-regret-{name}/runs/seed{draw}-max_steps{options.steps}-{method}"
                    )
                    model = load_model(run.checkpoint("last"))
                    found = np.array([judged(model, case) for case in cases])
                    argmax, whole, quarter = (fmean(column) for column in found.T)
                    row = [name, options.steps, draw, method, argmax, whole - argmax, quarter - argmax]
                    table.writerow([f"{value:.4f}" if isinstance(value, float) else value for value in row])
                    file.flush()


if __name__ == "__main__":
    main()
