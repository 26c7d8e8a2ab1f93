"""Which settings are best in a given time: each is trained for as many steps as fit, and validated.

    python benchmarks/plan/choose.py PREPARED --sup_cases 5 --seconds 600 --out choose.csv [--seeds 42] [--rungs 2,3,4]
    python benchmarks/plan/choose.py PREPARED ... --configs benchmarks/plan/hand_made/*.yaml

Settings are rungs of the planner's ladder, or files of options. A step of each is timed in turns, in processor time of
one thread, so that a busy machine slows all alike; each then trains for ``seconds / step`` steps. The score is the Dice
of the validation cases after the last step. Test cases are never read: the rules of `equireg.planning` are chosen by
this script alone.
"""

import argparse
import csv
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from equireg.config.parsing import merged
from equireg.config.yaml_files import read_yaml
from equireg.folders.prepared import PreparedSet
from equireg.folders.run import RunFolder
from equireg.model import config_from
from equireg.planning import measuring
from equireg.planning.climbing import shown
from equireg.planning.making import Question
from equireg.training.train import train

COLUMNS = ("dataset", "sup_cases", "seconds", "seed", "settings", "step_seconds", "steps", "val_dice")


def seconds_of(question: Question, settings: Mapping[str, Mapping[str, Any]], rounds: int) -> dict[str, float]:
    """Return the processor time of a step of each of the settings, the median over rounds in which they take turns."""
    measuring._now = lambda device: time.process_time()
    found: dict[str, list[float]] = {name: [] for name in settings}
    for _ in range(rounds):
        for name, options in settings.items():
            found[name].append(measuring.measure_step(config_from(options), question.stand).seconds_per_step)
    return {name: statistics.median(values) for name, values in found.items()}


def score(prepared: Path, options: Mapping[str, Any], steps: int) -> float:
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
    parser.add_argument("--configs", nargs="*", type=Path, help="files of options, in place of rungs")
    parser.add_argument("--downsample", help="such as 1,1: rungs at this resolution alone; as the rules say by default")
    parser.add_argument("--dims", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    data = PreparedSet(chosen.prepared)
    settings = settings_of(chosen, data)
    first = Question({**next(iter(settings.values())), "sup_cases": chosen.sup_cases}, data)
    seconds = seconds_of(first, settings, chosen.rounds)
    new = not chosen.out.exists()
    with chosen.out.open("a", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        if new:
            table.writerow(COLUMNS)
        for seed in map(int, chosen.seeds.split(",")):
            for name, options in settings.items():
                steps = max(1, int(chosen.seconds / seconds[name]))
                dice = score(chosen.prepared, {**options, "seed": seed}, steps)
                row = [data.manifest.dataset, chosen.sup_cases, chosen.seconds, seed, name]
                table.writerow([*row, f"{seconds[name]:.4f}", steps, f"{dice:.4f}"])
                file.flush()
                print(name, f"{steps} steps", f"val Dice {dice:.4f}", flush=True)


def settings_of(chosen: argparse.Namespace, data: PreparedSet) -> dict[str, dict[str, Any]]:
    """Return the options of each of the settings that are asked for, by their name."""
    given = {"method": {"name": "equireg"}, "sup_cases": chosen.sup_cases, "spatial_dims": chosen.dims}
    if chosen.configs:
        return {path.stem: merged(given, read_yaml(path)) for path in chosen.configs}
    if chosen.downsample:
        given["network"] = {"downsample": tuple(map(int, chosen.downsample.split(",")))}
    question = Question(given, data)
    ladder = question.ladder(chosen.dims)
    numbers = [int(one) for one in chosen.rungs.split(",")] if chosen.rungs else list(range(len(ladder)))
    return {shown(ladder[number]): question.options(ladder[number], chosen.dims) for number in numbers}


if __name__ == "__main__":
    main()
