"""What does a bias of the foreground bring that is chosen on some validation patients and judged on others?

    python benchmarks/quality/foreground.py PREPARED OUT.csv RUN RUN ...

Runs of the prepared folder PREPARED, last checkpoint. Half of the validation patients, drawn at random, choose the bias
by the rule of training; its gain in Dice is that of the other half, and the other way round; mean over 20 divisions.
`gain_same` is the gain on the cases that chose it, all of them, which is what training reports; it flatters.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import torch
from cases import Case, read_case

from equireg.folders.prepared import PreparedSet
from equireg.folders.run import RunFolder
from equireg.inference import InferencePlan, predict_scan
from equireg.inference.validation import score_case
from equireg.model import Model, load_model
from equireg.postprocessing import BIASES, choose_bias
from equireg.postprocessing.components import regions_in

DIVISIONS = 20


def dice_of(model: Model, case: Case) -> np.ndarray:
    """Return the Dice of each region under each bias, [biases, regions]."""
    regions = {region.name: region.classes for region in regions_in(model.facts.labels)}
    plan = InferencePlan(model.config.spatial_dims, model.facts.patch_size)
    probs = predict_scan(model.predictor, case.image, case.background, case.spacing_mm, plan)
    score, _ = score_case("", probs, torch.from_numpy(case.label), regions)
    return score.by_bias


def crossed(dice: np.ndarray, patients: list[str]) -> float:
    """Return the mean gain on patients that did not choose the bias."""
    rng, gains = np.random.default_rng(0), []
    names, of_case, none = sorted(set(patients)), np.array(patients), BIASES.index(0.0)
    for _ in range(DIVISIONS):
        chosen = rng.permutation(names)[: len(names) // 2]
        for half in (np.isin(of_case, chosen), ~np.isin(of_case, chosen)):
            place = BIASES.index(choose_bias(list(dice[half]), of_case[half].tolist()).bias)
            gains.append((dice[~half, place] - dice[~half, none]).mean())
    return float(np.mean(gains))


def main() -> None:
    """Judge every run, and write a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    options = parser.parse_args()
    data = PreparedSet(options.prepared)
    records = [case for case in data.manifest.cases if case.split == "val" and case.labelled]
    cases, patients = [read_case(data, record.name) for record in records], [record.patient for record in records]
    new = not options.out.exists()
    with options.out.open("a", newline="") as file:
        table = csv.writer(file)
        if new:
            table.writerow(["set", "method", "seed", "labelled", "steps", "dice", "bias", "gain_same", "gain"])
        for path in options.runs:
            model = load_model(RunFolder(path).checkpoint("last"))
            if model.foreground_bias.bias:
                raise SystemExit(f"{path}: has a bias already; train with --foreground_bias none.")
            dice = np.array([dice_of(model, case) for case in cases])
            found = choose_bias(list(dice), patients)
            numbers = (dice[:, BIASES.index(0.0)].mean(), found.bias, found.gain or 0.0, crossed(dice, patients))
            config = model.config
            row = [data.manifest.dataset, config.method.name, config.seed, config.sup_cases or "all", model.step]
            table.writerow([*row, *(f"{number:.4f}" for number in numbers)])
            file.flush()


if __name__ == "__main__":
    main()
