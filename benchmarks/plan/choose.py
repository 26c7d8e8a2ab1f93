"""Which rung of the planner's ladder is best in a given time: each is trained for as many steps as fit, and validated.

    python benchmarks/plan/choose.py PREPARED --sup_cases 5 --seconds 600 --out choose.csv [--seeds 42] [--rungs 2,3,4]

A step of every rung is timed in turns, in processor time of one thread, so that a busy machine slows all alike; a rung
then trains for ``seconds / step`` steps. The score is the Dice of the validation cases after the last step. Test cases
are never read: the rules of `equireg.planning` are chosen by this script alone.
"""

import argparse
import csv
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from equireg.config.parsing import merged
from equireg.folders.prepared import PreparedSet
from equireg.folders.run import RunFolder
from equireg.planning import measuring
from equireg.planning.climbing import shown
from equireg.planning.making import Question
from equireg.planning.rules import Rung
from equireg.training.train import train


def seconds_of(question: Question, rungs: list[Rung], dims: int, rounds: int) -> dict[Rung, float]:
    """Return the processor time of a step of each rung, the median over rounds in which they take turns."""
    measuring._now = lambda device: time.process_time()
    found: dict[Rung, list[float]] = {rung: [] for rung in rungs}
    for _ in range(rounds):
        for rung in rungs:
            found[rung].append(question.measured(rung, dims).seconds_per_step)
    return {rung: statistics.median(values) for rung, values in found.items()}


def score(prepared: Path, options: dict[str, Any], steps: int) -> float:
    """Train for so many steps and return the Dice of the validation cases after the last one."""
    with tempfile.TemporaryDirectory() as folder:
        more = {"max_steps": steps, "val_every": steps, "pictures_every": 0, "logger": "none"}
        run = train(prepared, Path(folder) / "run", **merged(options, more))
        return RunFolder(run).read_metrics()[-1]["val/dice"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--sup_cases", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True, help="processor time of a run's steps")
    parser.add_argument("--out", type=Path, required=True, help="CSV file; rows are added to it")
    parser.add_argument("--seeds", default="42")
    parser.add_argument("--rungs", help="numbers of the ladder, from 0, the costliest; all by default")
    parser.add_argument("--downsample", help="such as 1,1: rungs at this resolution alone; as the rules say by default")
    parser.add_argument("--dims", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    data = PreparedSet(chosen.prepared)
    columns = ["dataset", "sup_cases", "seconds", "seed", "rung", "features", "batch", "ratio", "patch", "downsample"]
    columns += ["step_seconds", "steps", "val_dice"]
    given = {"method": {"name": "equireg"}, "sup_cases": chosen.sup_cases, "spatial_dims": chosen.dims}
    if chosen.downsample:
        given["network"] = {"downsample": tuple(map(int, chosen.downsample.split(",")))}
    ladder = Question(given, data).ladder(chosen.dims)
    numbers = [int(one) for one in chosen.rungs.split(",")] if chosen.rungs else list(range(len(ladder)))
    seconds = seconds_of(Question(given, data), [ladder[number] for number in numbers], chosen.dims, chosen.rounds)
    new = not chosen.out.exists()
    with chosen.out.open("a", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        if new:
            table.writerow(columns)
        for seed in map(int, chosen.seeds.split(",")):
            for number in numbers:
                rung = ladder[number]
                question = Question({**given, "seed": seed}, data)
                steps = max(1, int(chosen.seconds / seconds[rung]))
                dice = score(chosen.prepared, question.options(rung, chosen.dims), steps)
                patch = "x".join(map(str, rung.patch_size))
                factors = "x".join(map(str, rung.downsample or (1,) * chosen.dims))
                row = [data.manifest.dataset, chosen.sup_cases, chosen.seconds, seed, number, rung.features]
                row += [
                    rung.batch_size,
                    rung.unsup_ratio,
                    patch,
                    factors,
                    round(seconds[rung], 4),
                    steps,
                    round(dice, 4),
                ]
                table.writerow(row)
                file.flush()
                print(shown(rung), f"{steps} steps", f"val Dice {dice:.4f}", flush=True)


if __name__ == "__main__":
    main()
