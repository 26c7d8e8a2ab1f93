"""Try variants of a sweep file draw by draw, and stop those that cannot win.

python benchmarks/strength/choose.py FILE.yaml --reference equireg --out work/choose-NAME
python benchmarks/strength/choose.py FILE.yaml --reference equireg --out work/choose-NAME --table   # computes nothing

The sweep file has a grid of `seed`, `config` (the variants) and others, which make the points. Points are done in the
order of the file, cheap ones first; at each, seed by seed, all variants that are still open. Variants are paired by
seed: they share the labelled cases. The interval is a percentile bootstrap over the draws of the difference of mean
Dice. From `--least` draws on a variant is stopped at a point where the interval lies below `--gain`.

With --validation the Dice is that of a run's last validation, in the voxels of the prepared folder: a run then costs a
third less than with prediction and evaluation, which are in the scan's own voxels.

What is finished is never repeated. OUT/draws.csv has the runs, OUT/decisions.csv the differences.
"""

import argparse
import csv
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import equireg
from equireg.config.parsing import from_plain, nested
from equireg.config.yaml_files import read_yaml
from equireg.folders.predictions import is_whole
from equireg.folders.run import RunFolder
from equireg.pipeline.sweep import is_done
from equireg.pipeline.sweepfile import Run, SweepConfig, list_runs

RESAMPLES = 10_000
LEVEL = 95


@dataclass(frozen=True)
class Interval:
    """Mean difference over draws, with its bootstrap interval."""

    mean: float
    low: float
    high: float


def interval(differences: Sequence[float]) -> Interval:
    """Draw the draws anew; the same differences give the same interval."""
    values = np.asarray(differences)
    rows = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.percentile(values[rows].mean(axis=1), [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return Interval(float(values.mean()), float(low), float(high))


def main() -> None:
    """Read the command line, do the runs, write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--reference", default="equireg", help="variant that the others are compared with")
    parser.add_argument("--gain", type=float, default=0.0, help="gain in Dice below which nobody is interested")
    parser.add_argument("--least", type=int, default=4, help="draws ahead of the first decision")
    parser.add_argument("--rounds", type=int, help="stop after so many rounds of the file, done or not; all by default")
    parser.add_argument("--table", action="store_true", help="only write the tables")
    parser.add_argument(
        "--validation", action="store_true", help="take Dice from a run's last validation; predict and evaluate nothing"
    )
    choice = Choice(**vars(parser.parse_args()))
    if not choice.table:
        choice.do_runs()
    choice.write_tables()


@dataclass(frozen=True)
class Choice:
    """A sweep file, where its runs lie, and how is decided."""

    file: Path
    out: Path
    reference: str
    gain: float
    least: int
    rounds: int | None
    table: bool
    validation: bool

    @property
    def plan(self) -> SweepConfig:
        """Return what the sweep file holds."""
        return from_plain(SweepConfig, read_yaml(self.file))

    def all_rounds(self) -> Iterator[tuple[dict[str, Any], int]]:
        """Yield point and seed, in the order in which they are done."""
        grid = self.plan.grid
        names = [name for name in grid if name not in ("seed", "config")]
        for values in itertools.product(*(grid[name] for name in names)):
            for seed in grid["seed"]:
                yield dict(zip(names, values, strict=True)), seed

    def runs(self, point: Mapping[str, Any], seed: int, configs: Sequence[str]) -> dict[str, Run]:
        """Return the runs of one round by variant."""
        plan = self.plan
        grid = {name: [point[name]] if name in point else list(values) for name, values in plan.grid.items()}
        part = replace(plan, grid={**grid, "seed": [seed], "config": list(configs)})
        return dict(zip(map(variant, configs), list_runs(part, self.file.parent), strict=True))

    def do_runs(self) -> None:
        """Do all rounds, each with the variants that are still open at its point."""
        for point, seed in itertools.islice(self.all_rounds(), self.rounds):
            stopped = {row["variant"] for row in self.decisions(point) if row["decision"] == "stopped"}
            configs = [config for config in self.plan.grid["config"] if variant(config) not in stopped]
            todo = [run for run in self.runs(point, seed, configs).values() if not self.is_done(run)]
            for run in todo:
                self.do_run(run)
            if todo:
                self.write_tables()

    def do_run(self, run: Run) -> None:
        """Train, predict and evaluate what is not finished; the folders are those of `equireg sweep`."""
        plan = self.plan
        prepared, trained = self.file.parent / str(plan.prepared), RunFolder(self.out / "runs" / run.name)
        if not trained.is_finished():
            equireg.train(prepared, trained.root, resume=trained.has_config(), **nested(run.options))
        if self.validation:
            return
        for split, name in run.judged().items():
            predictions, evaluation = self.out / "predictions" / name, self.out / "evaluations" / name
            if not is_whole(predictions):
                equireg.predict(trained.root, prepared, predictions, split=split, **plan.predict)
            equireg.evaluate(predictions, prepared, evaluation)

    def is_done(self, run: Run) -> bool:
        """Return whether the Dice of a run is known."""
        if self.validation:
            return RunFolder(self.out / "runs" / run.name).is_finished()
        return is_done(self.out, run)

    def dice(self, run: Run) -> float:
        """Return the mean Dice of a finished run."""
        if not self.validation:
            return json.loads((self.out / "evaluations" / run.name / "summary.json").read_text())["mean"]["dice"]
        with RunFolder(self.out / "runs" / run.name).metrics.open(newline="") as stream:
            return [float(row["val/dice"]) for row in csv.DictReader(stream) if row.get("val/dice")][-1]

    def draws(self, point: Mapping[str, Any]) -> dict[str, dict[int, float]]:
        """Return the Dice of the finished runs of a point: variant to seed to mean Dice."""
        found: dict[str, dict[int, float]] = {}
        for seed in self.plan.grid["seed"]:
            for name, run in self.runs(point, seed, self.plan.grid["config"]).items():
                if self.is_done(run):
                    found.setdefault(name, {})[seed] = self.dice(run)
        return found

    def decisions(self, point: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Compare each variant of a point with the reference, over the draws that both have."""
        draws = self.draws(point)
        theirs = draws.get(self.reference, {})
        rows = []
        for name, mine in draws.items():
            shared = [seed for seed in mine if seed in theirs]
            if name == self.reference or not shared:
                continue
            found = interval([mine[seed] - theirs[seed] for seed in shared])
            decision = "open"
            if len(shared) >= self.least:
                decision = "stopped" if found.high < self.gain else "ahead" if found.low > self.gain else "open"
            row = {**point, "variant": name, "reference": self.reference, "draws": len(shared)}
            numbers = {
                "dice": float(np.mean([mine[seed] for seed in shared])),
                "difference": found.mean,
                "low": found.low,
                "high": found.high,
            }
            rows.append({**row, **{key: f"{value:.4f}" for key, value in numbers.items()}, "decision": decision})
        return rows

    def write_tables(self) -> None:
        """Write OUT/draws.csv and OUT/decisions.csv, and show the second."""
        draws, decisions = [], []
        points = [point for point, seed in self.all_rounds() if seed == self.plan.grid["seed"][0]]
        for point in points:
            decisions += self.decisions(point)
            draws += [
                {**point, "variant": name, "seed": seed, "dice": f"{dice:.4f}"}
                for name, values in self.draws(point).items()
                for seed, dice in values.items()
            ]
        for name, rows in (("draws", draws), ("decisions", decisions)):
            if rows:
                with (self.out / f"{name}.csv").open("w", newline="") as stream:
                    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
                    writer.writeheader()
                    writer.writerows(rows)
        for row in decisions:
            print(*row.values(), sep="  ")


def variant(config: str) -> str:
    """Return the name of a variant."""
    return Path(config).stem


if __name__ == "__main__":
    main()
