"""Does self-training in rounds pay? Against the first round's models, their ensemble, and one run of equal steps.

    python benchmarks/strength/rounds.py PREPARED OUT --sup_cases 1 --steps 400 --draws 1 2 3 4

For each draw: `equireg selftrain` with one round of drafts and two models, then EquiReg alone for as many steps as all
four trainings had together. Mean Dice over the validation cases by `equireg evaluate`, last checkpoint, in
OUT/rounds.csv: first (mean of the two models on the mask alone), first_together (their ensemble), second,
second_together, and long. What is done already is not repeated.
"""

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import equireg
from equireg.folders.evaluation import read_summary
from equireg.folders.run import RunFolder
from equireg.folders.signature import is_signed

MEMBERS = 2
COLUMNS = ("draw", "first", "first_together", "second", "second_together", "long")


def dice_of(runs: Sequence[Path], prepared: Path, out: Path) -> float:
    """Return the mean Dice of some runs together on the validation cases."""
    masks, scores = out.with_name(f"{out.name}-masks"), out.with_name(f"{out.name}-scores")
    if not is_signed(scores):
        equireg.predict(list(runs), prepared, masks, split="val", checkpoint="last", post_process="none", device="cpu")
        equireg.evaluate(masks, prepared, scores)
    return float(read_summary(scores)["mean"]["dice"])


def draw_of(prepared: Path, out: Path, seed: int, options: dict[str, Any]) -> dict[str, float]:
    """Train one draw, and return its row."""
    shared = {**options, "seed": seed}
    rounds, alone = out / "rounds", out / "long"
    if not is_signed(rounds):
        resume = rounds.is_dir()
        equireg.selftrain(prepared, rounds, rounds=1, members=MEMBERS, resume=resume, **({} if resume else shared))
    longer = {**shared, "max_steps": shared["max_steps"] * 2 * MEMBERS}
    if not RunFolder(alone).is_finished():
        equireg.train(prepared, alone, resume=(alone / "config.yaml").is_file(), **longer)
    found: dict[str, float] = {"draw": seed}
    for name, turn in (("first", 0), ("second", 1)):
        runs = [rounds / f"round{turn}" / f"member{member + 1}" for member in range(MEMBERS)]
        found[name] = fmean(dice_of([run], prepared, out / f"{name}{index}") for index, run in enumerate(runs))
        found[f"{name}_together"] = dice_of(runs, prepared, out / f"{name}-together")
    found["long"] = dice_of([alone], prepared, out / "long-alone")
    return found


def main() -> None:
    """Measure every draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--sup_cases", type=int, required=True)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--draws", type=int, nargs="+", default=[1, 2, 3, 4])
    given = parser.parse_args()
    options: dict[str, Any] = {
        "patch_size": (28, 20),
        "network": {"features": 8, "stages": 3},
        "sup_cases": given.sup_cases,
        "max_steps": given.steps,
        "val_every": given.steps,
        "unsup_ratio": 1,
        "logger": "none",
        "device": "cpu",
        "precision": "32",
    }
    rows = []
    for draw in given.draws:
        rows.append(draw_of(given.prepared, given.out / f"draw{draw}", draw, options))
        with (given.out / "rounds.csv").open("w", newline="") as file:
            table = csv.DictWriter(file, COLUMNS)
            table.writeheader()
            table.writerows(
                {name: value if name == "draw" else f"{value:.4f}" for name, value in row.items()} for row in rows
            )


if __name__ == "__main__":
    main()
