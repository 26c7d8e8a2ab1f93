"""Measure how far a sweep's models drift to background, on unlabelled training cases and on validation cases.

    python benchmarks/soft_targets/drift.py PREPARED SWEEP --out RESULT.json

Of every run, by its last checkpoint, without averaging at test time:

- ``dice``: mean over cases of the foreground's Dice (class 1);
- ``hard``: voxels that the model calls foreground, as a part of those that are;
- ``soft``: the model's foreground probability, summed over all voxels, as a part of the voxels that are foreground;
- ``doubted``: part of the foreground's voxels that have a foreground probability of 0.1 to 0.5: believed, and lost;
- ``sure``: part of all tissue voxels where the more probable class has 0.9 or more.

A model that loses foreground mass has a low ``soft``; one that keeps the mass and spreads it has a low ``hard`` only.
"""

import argparse
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from equireg import disk, folders
from equireg.batches.choice import choose_cases
from equireg.folders.prepared import PreparedSet
from equireg.folders.run import RunFolder
from equireg.inference import InferencePlan, predict_scan
from equireg.model import Model, load_model


def measure(prepared: PreparedSet, model: Model, names: Sequence[str]) -> dict[str, float]:
    """Return the figures of one model over some cases, foreground being class 1."""
    plan = InferencePlan(model.config.spatial_dims, model.facts.patch_size)
    dice, sums = [], np.zeros(6)
    for name in names:
        record = prepared.by_name[name]
        image = torch.from_numpy(np.asarray(prepared.image(name)[:], dtype=np.float32))
        truth = torch.from_numpy(np.asarray(prepared.label(name)[:]) == 1)
        tissue = (image != torch.tensor(record.background).view(-1, 1, 1, 1)).any(dim=0)
        foreground = predict_scan(model.predictor, image, record.background, record.spacing_mm, plan)[1]
        called = foreground > 0.5
        dice.append(2 * float((called & truth).sum()) / max(1.0, float(called.sum() + truth.sum())))
        doubted = (foreground > 0.1) & ~called & truth
        sure = (foreground - 0.5).abs() >= 0.4
        counts = (called.sum(), foreground.sum(), truth.sum(), doubted.sum(), (sure & tissue).sum(), tissue.sum())
        sums += [float(count) for count in counts]
    called, soft, truth, doubted, sure, tissue = sums
    return {
        "dice": float(np.mean(dice)),
        "hard": called / truth,
        "soft": soft / truth,
        "doubted": doubted / truth,
        "sure": sure / tissue,
    }


def measure_run(prepared: PreparedSet, run: Path) -> dict[str, Any]:
    """Return the figures of one run on both sets of cases."""
    model = load_model(RunFolder(run).checkpoint("last"))
    labelled, _ = choose_cases(prepared.manifest.cases, model.config)
    masked = {split: [c.name for c in prepared.manifest.cases if c.split == split] for split in ("train", "val")}
    unlabelled = [name for name in masked["train"] if name not in labelled]
    seed, _, variant = run.name.partition("-")
    return {
        "variant": variant,
        "seed": int(seed.removeprefix("seed")),
        "unlabelled training cases": measure(prepared, model, unlabelled),
        "validation cases": measure(prepared, model, masked["val"]),
    }


def main() -> None:
    """Measure every finished run, print a table of means over seeds and write all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("sweep", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    prepared = PreparedSet(options.prepared)
    done = sorted(path.parent for path in (options.sweep / "runs").glob("*/made_by.json"))
    signatures = {run: folders.read_signature(run, "train") for run in done}
    runs = [measure_run(prepared, run) for run, signature in signatures.items() if signature["finished"]]
    first = next(iter(signatures.values()))
    result = {
        "command": f"python benchmarks/soft_targets/drift.py {options.prepared} {options.sweep} --out {options.out}",
        "machine": f"{platform.machine()}, CPU, {torch.get_num_threads()} threads",
        "versions": first["versions"],
        "commit": first["git_commit"],
        "runs": runs,
    }
    disk.write_json(options.out, result)
    for cases in ("unlabelled training cases", "validation cases"):
        print(f"\n{cases}\n| variant | seeds | Dice | hard | soft | doubted | sure |")
        print("| --- | --- | --- | --- | --- | --- | --- |")
        for variant in dict.fromkeys(run["variant"] for run in runs):
            rows = [run[cases] for run in runs if run["variant"] == variant]
            dice = [row["dice"] for row in rows]
            spread = f"{np.mean(dice):.3f} ± {np.std(dice, ddof=1):.3f}" if len(rows) > 1 else f"{dice[0]:.3f}"
            means = [f"{np.mean([row[name] for row in rows]):.2f}" for name in ("hard", "soft", "doubted", "sure")]
            print(f"| {variant} | {len(rows)} | {spread} | {' | '.join(means)} |")


if __name__ == "__main__":
    main()
