"""Make the README's picture: a test case of the Decathlon's hippocampus set, supervised and EquiReg.

    python docs/making/readme_picture.py DATA/hippocampus work/readme docs/images/hippocampus.png

Of the test cases it shows the one whose Dice, averaged over both methods, is the median. The scans are of the Medical
Segmentation Decathlon, task 4 (CC-BY-SA 4.0), and so is the picture. It prints the Dice of the case and of all cases.
"""

import argparse
from pathlib import Path

import pandas as pd

import equireg
from equireg.folders.evaluation import read_scores
from equireg.pipeline.side_by_side import side_by_side

METHODS = ("supervised", "equireg")
RUN = {
    "network.features": 16,
    "batch_size": 8,
    "unsup_ratio": 1,
    "max_steps": 1200,
    "val_every": 1200,
    "pictures_every": 0,
    "sup_cases": 1,
    "foreground_bias": "none",  # which other masks would choose
    "seed": 42,
    "device": "cpu",
}


def main() -> None:
    """Prepare, train, predict and score, each where it is not done yet, and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path)
    parser.add_argument("picture", type=Path)
    given = parser.parse_args()
    work: Path = given.work
    prepared = work / "prepared"
    equireg.prepare(given.data, prepared, val_fraction=0.0, test_fraction=0.3, split_seed=7, jobs=1)
    dice = {}
    for method in METHODS:
        run, predictions, evaluation = (work / folder / method for folder in ("runs", "predictions", "evaluations"))
        equireg.train(prepared, run, method=method, resume=run.exists(), **({} if run.exists() else RUN))
        if not evaluation.exists():
            equireg.predict(run, prepared, predictions, split="test", checkpoint="last", device="cpu", jobs=1)
            equireg.evaluate(predictions, prepared, evaluation, pictures=[])
        rows = [(case, value) for (case, _, metric), value in read_scores(evaluation).items() if metric == "dice"]
        dice[method] = pd.DataFrame(rows, columns=["case", "dice"]).groupby("case")["dice"].mean()
    both = pd.DataFrame(dice)
    case = str(both.mean(axis=1).sort_values().index[len(both) // 2])
    for method in METHODS:
        shown, scans = work / "pictured" / method, str(given.data)
        equireg.evaluate(work / "predictions" / method, prepared, shown, pictures=[case], scans=scans)
    side_by_side({method: work / "pictured" / method for method in METHODS}, case, given.picture)
    print(f"{case}: {both.loc[case].round(3).to_dict()}; all {len(both)} test cases: {both.mean().round(3).to_dict()}")


if __name__ == "__main__":
    main()
