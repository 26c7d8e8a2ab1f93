"""Play the annotation loop with known masks: does `equireg suggest` choose better scans than random?

    python benchmarks/annotation/play.py PREPARED --config benchmarks/annotation/NAME.yaml --out work/annotation-NAME
    python benchmarks/annotation/play.py PREPARED --config ... --out work/annotation-NAME --table    # computes nothing
    python benchmarks/annotation/play.py PREPARED --config ... --out work/annotation-NAME --each     # OUT/each.csv

All training masks of PREPARED are hidden first. Then each strategy has scans annotated: `equireg adopt` takes the true
masks in, `equireg train` learns from them, and the Dice of its last validation counts. Strategies:

- suggest: `equireg suggest`, without a model for the first masks, with the last model from then on;
- random: scans in a random order, one for each draw;
- large: the same among the half of the scans with the largest foreground, which only the hidden masks can tell;
- entropy: the first scan as `random`, then those with the highest mean entropy in the foreground of the last model.

Cold starts are of --cold scans at once; the loop goes through --loop scans, each time with the masks that it has. A
draw has its own order of scans and its own seed of training; `suggest` without a model chooses the same in each draw.
What is finished is never repeated: OUT/results.csv has a row a strategy, kind, number of scans and draw. With --each
every training scan is the only labelled one once, with the training seed 1: what a choice of one scan can be worth.
"""

import argparse
import csv
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import equireg
from equireg.config import SuggestConfig
from equireg.config.yaml_files import read_yaml
from equireg.folders.prepared import LABEL, PLACES, REFERENCE, PreparedSet, case_folder, renew
from equireg.folders.run import RunFolder
from equireg.folders.suggestions import read_suggestions
from equireg.inference import InferencePlan
from equireg.inference.scan import predict_scan
from equireg.model import load_model

COLUMNS: tuple[str, ...] = ("kind", "strategy", "count", "draw", "dice", "corrected_voxels", "cases")
STRATEGIES = ("suggest", "random", "large", "entropy")


@dataclass(frozen=True)
class Game:
    """The data with all masks, and what is played with it."""

    full: PreparedSet
    out: Path
    training: dict[str, Any]

    @property
    def bare(self) -> Path:
        """The prepared folder without training masks."""
        return self.out / "bare"

    def hide(self) -> None:
        """Make the folder without training masks, once."""
        if self.bare.is_dir():
            return
        partial = self.out / "bare-partial"
        shutil.rmtree(partial, ignore_errors=True)
        shutil.copytree(self.full.root, partial)
        hidden = (LABEL, PLACES, REFERENCE)
        cases = []
        for case in self.full.manifest.cases:
            if case.split == "train" and case.labelled:
                for name in hidden:
                    (case_folder(partial, case.name) / name).unlink()
                digests = {name: value for name, value in case.digests.items() if name not in hidden}
                nothing: dict[str, Any] = {"class_voxels": (), "class_slices": (), "labelled_box": ()}
                cases.append(replace(case, labelled=False, digests=digests, **nothing))
            else:
                cases.append(case)
        renew(partial, replace(self.full.manifest, cases=tuple(cases)))
        partial.rename(self.bare)

    @property
    def training_cases(self) -> list[str]:
        """Names of the cases that may be annotated."""
        return sorted(case.name for case in self.full.manifest.cases if case.split == "train" and case.labelled)

    def order(self, strategy: str, draw: int) -> list[str]:
        """Return the scans in a random order: all, or the half with the largest foreground."""
        names = self.training_cases
        if strategy == "large":
            size = {name: sum(self.full.by_name[name].class_voxels[1:]) for name in names}
            names = sorted(sorted(names, key=lambda name: -size[name])[: len(names) // 2])
        return [names[index] for index in np.random.default_rng(draw).permutation(len(names))]

    def annotate(self, prepared: Path, names: Sequence[str], masks: Path) -> None:
        """Let the masks of some scans be adopted."""
        masks.mkdir(parents=True, exist_ok=True)
        for name in names:
            reference = self.full.reference(name)
            if reference is None:
                raise FileNotFoundError(f"{name} has no mask in {self.full.root}")
            shutil.copyfile(reference, masks / f"{name}.nii.gz")
        equireg.adopt(prepared, [masks / f"{name}.nii.gz" for name in names])

    def train(self, prepared: Path, run: Path, seed: int) -> float:
        """Train on all masks that there are; return the Dice of the last validation."""
        if not RunFolder(run).is_finished():
            shutil.rmtree(run, ignore_errors=True)
            equireg.train(prepared, run, seed=seed, **self.training)
        with RunFolder(run).metrics.open(newline="") as stream:
            return [float(row["val/dice"]) for row in csv.DictReader(stream) if row.get("val/dice")][-1]

    def play(self, strategy: str, counts: Sequence[int], draw: int) -> list[dict[str, Any]]:
        """Annotate until each count, and train at each; return a row for each."""
        place = self.out / "games" / f"{strategy}-{'-'.join(map(str, counts))}-draw{draw}"
        shutil.rmtree(place / "prepared", ignore_errors=True)
        prepared = place / "prepared"
        shutil.copytree(self.bare, prepared, copy_function=os.link)
        known: list[str] = []
        rows: list[dict[str, Any]] = []
        run: Path | None = None
        for count in counts:
            chosen = self.choose(strategy, prepared, run, known, count, draw)
            corrected = "" if run is None else sum(self.wrong_voxels(run, name) for name in chosen)
            known += chosen
            self.annotate(prepared, chosen, place / f"masks{count}")
            run = place / f"run{count}"
            dice = self.train(prepared, run, draw)
            rows.append({"strategy": strategy, "count": count, "draw": draw, "dice": f"{dice:.4f}"})
            rows[-1] |= {"corrected_voxels": corrected, "cases": " ".join(chosen)}
        shutil.rmtree(prepared)
        return rows

    def play_each(self) -> None:
        """Train on each scan alone; write a row a scan to OUT/each.csv."""
        path = self.out / "each.csv"
        done = {row["case"] for row in read_rows(path)}
        for name in self.training_cases:
            if name in done:
                continue
            place = self.out / "games" / f"each-{name}"
            shutil.rmtree(place, ignore_errors=True)
            shutil.copytree(self.bare, place / "prepared", copy_function=os.link)
            self.annotate(place / "prepared", [name], place / "masks")
            dice = self.train(place / "prepared", place / "run", seed=1)
            append_rows(path, ("case", "seed", "dice"), [{"case": name, "seed": 1, "dice": f"{dice:.4f}"}])
            shutil.rmtree(place / "prepared")

    def choose(
        self, strategy: str, prepared: Path, run: Path | None, known: Sequence[str], count: int, draw: int
    ) -> list[str]:
        """Choose the next scans, until there are so many."""
        wanted = count - len(known)
        if strategy == "suggest":
            out = prepared.parent / f"next{count}"
            shutil.rmtree(out, ignore_errors=True)
            equireg.suggest(prepared, out, SuggestConfig(count=wanted, run=() if run is None else (str(run),)))
            return [one.case for one in read_suggestions(out)]
        if strategy == "entropy" and run is not None:
            doubt = {name: self.entropy(run, name) for name in self.training_cases if name not in known}
            return sorted(doubt, key=lambda name: -doubt[name])[:wanted]
        return [name for name in self.order(strategy, draw) if name not in known][:wanted]

    def probs(self, run: Path, name: str) -> torch.Tensor:
        """Return what a model sees in a scan, [K, D, H, W]."""
        model = load_model(RunFolder(run).checkpoint("last"))
        record = self.full.by_name[name]
        image = torch.from_numpy(np.asarray(self.full.image(name)[:], dtype=np.float32))
        plan = InferencePlan(model.config.spatial_dims, model.facts.patch_size)
        return predict_scan(model.predictor, image, record.background, record.spacing_mm, plan)

    def entropy(self, run: Path, name: str) -> float:
        """Return the mean entropy in the foreground that a model sees, nats; the highest where it sees none."""
        probs = self.probs(run, name)
        inside = probs.argmax(dim=0) > 0
        each = -torch.xlogy(probs, probs).sum(dim=0)
        return float(each[inside].mean()) if inside.any() else float(np.log(len(probs)))

    def wrong_voxels(self, run: Path, name: str) -> int:
        """Return in how many voxels of the prepared scan the model's draft differs from the mask."""
        return int((self.probs(run, name).argmax(dim=0).numpy() != np.asarray(self.full.label(name)[:])).sum())


def read_rows(path: Path) -> list[dict[str, str]]:
    """Read the rows that are finished."""
    if not path.is_file():
        return []
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def append_rows(path: Path, columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    """Add rows to a table, which begins with its header."""
    begun = path.is_file()
    with path.open("a", newline="") as stream:
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        if not begun:
            writer.writeheader()
        writer.writerows(rows)


def table(rows: Sequence[dict[str, str]]) -> str:
    """Return for each kind, count and strategy the mean, the quartiles, and the draws."""
    groups: dict[tuple[str, int, str], list[float]] = {}
    for row in rows:
        groups.setdefault((row["kind"], int(row["count"]), row["strategy"]), []).append(float(row["dice"]))
    lines = ["| kind | masks | strategy | draws | mean Dice | median | lower quartile | least |", "|" + " --- |" * 8]
    for (kind, count, strategy), dice in sorted(groups.items()):
        shown = (np.mean(dice), np.median(dice), np.percentile(dice, 25), min(dice))
        lines.append(f"| {kind} | {count} | {strategy} | {len(dice)} | {' | '.join(f'{one:.3f}' for one in shown)} |")
    return "\n".join(lines)


def main() -> None:
    """Read the command line, play what is not finished, and show the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--draws", type=int, default=8)
    parser.add_argument("--cold", default="1,5", help="scans of each cold start, with commas between; none for none")
    parser.add_argument("--loop", default="1,2,4,8", help="scans of the loop, with commas between; none for none")
    parser.add_argument("--strategies", default=",".join(STRATEGIES))
    parser.add_argument("--config", type=Path, required=True, help="options of `equireg train`, as YAML")
    parser.add_argument("--each", action="store_true", help="only train on each scan alone")
    parser.add_argument("--table", action="store_true", help="only show the table")
    options = parser.parse_args()
    path = options.out / "results.csv"
    if not options.table:
        options.out.mkdir(parents=True, exist_ok=True)
        game = Game(PreparedSet(options.prepared), options.out, read_yaml(options.config))
        game.hide()
        if options.each:
            game.play_each()
            return
        for kind, counts, strategy, draw in games(options):
            done = {(row["kind"], row["strategy"], row["draw"], row["count"]) for row in read_rows(path)}
            if (kind, strategy, str(draw), str(counts[-1])) in done:
                continue
            rows = [{"kind": kind, **row} for row in game.play(strategy, counts, draw)]
            append_rows(path, COLUMNS, rows)
    print(table(read_rows(path)))


def games(options: argparse.Namespace) -> list[tuple[str, list[int], str, int]]:
    """Return kind, counts, strategy and draw of all games, draw by draw, so that a part of them says something."""
    strategies = options.strategies.split(",")
    cold = [] if options.cold == "none" else [int(count) for count in options.cold.split(",")]
    found = []
    for count in cold:
        for draw in range(1, options.draws + 1):
            found += [("cold", [count], strategy, draw) for strategy in strategies if strategy != "entropy"]
    if options.loop != "none":
        counts = [int(count) for count in options.loop.split(",")]
        for draw in range(1, options.draws + 1):
            found += [("loop", counts, strategy, draw) for strategy in strategies]
    return found


if __name__ == "__main__":
    main()
