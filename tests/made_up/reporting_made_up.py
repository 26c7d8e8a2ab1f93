"""Made-up run and evaluation folders, as `equireg train` and `equireg evaluate` write them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from equireg import disk, folders
from equireg.folders.prepared import Manifest
from equireg.folders.run_facts import run_facts
from equireg.imaging.labels import LabelTable

LABELS = LabelTable(
    (0, 1, 2, 4),
    ("background", "necrosis", "oedema", "rim"),
    {"whole": (1, 2, 4), "core": (1, 4), "enhancing": (4,)},
)
Scores = Mapping[tuple[str, str], Mapping[str, float | None]]
SECRET = "/home/anna.smith/hospital"


@dataclass(frozen=True)
class Training:
    """What a run was trained on, and how good its made-up results are."""

    name: str = "supervised-42"
    method: str = "supervised"
    labelled: int = 3
    unlabelled: int = 21
    seed: int = 42
    skill: float = 0.6
    repeat: int = 0
    masked: int | None = None
    options: Mapping[str, Any] | None = None
    """of the run beside its method, as far as its facts tell them; None for a foreign run, whose facts do not"""

    def config(self) -> dict[str, Any]:
        return {
            "method": {"name": self.method, "teacher": "ema"},
            "seed": self.seed,
            "repeat": self.repeat,
            "split": f"{SECRET}/split.json",
            "max_steps": 1000,
            **(self.options or {}),
        }

    def exact_facts(self) -> dict[str, Any]:
        cases = {"labelled_cases": self.labelled, "unlabelled_cases": self.unlabelled, "masked_cases": self.masked}
        return run_facts(self.name, self.config(), "phantom", **cases).as_dict()

    def facts(self) -> dict[str, Any]:
        if self.options is not None:
            return self.exact_facts()
        return {
            "repeat": self.repeat,
            "masked_cases": self.masked,
            "name": self.name,
            "method": self.method,
            "labelled_cases": self.labelled,
            "unlabelled_cases": self.unlabelled,
            "seed": self.seed,
            "dataset": "phantom",
        }


def write_run(folder: Path, training: Training, **signature: Any) -> Path:
    """Write a run folder with 1,000 steps of made-up curves."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(training.seed)
    config = training.config()
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    steps = np.arange(0, 1001, 5)
    loss = 1.4 * np.exp(-steps / 180) + 0.06 + 0.05 * rng.random(len(steps))
    table = pd.DataFrame({"step": steps, "train/supervised": loss, "lr": 2e-3 * np.cos(steps / 640)})
    table["train/total"] = loss + 0.1
    if training.method != "supervised":
        table["train/unsupervised"] = 0.5 * np.exp(-steps / 400) + 0.04 * rng.random(len(steps))
        table["train/total"] += table["train/unsupervised"]
    validated = steps % 100 == 0
    dice = training.skill * (1 - np.exp(-steps / 220)) + 0.02 * rng.standard_normal(len(steps))
    for place, name in enumerate(("val/dice", "val/dice/whole", "val/dice/core", "val/dice/enhancing")):
        table[name] = np.where(validated, np.clip(dice + (0, 0.1, 0, -0.1)[place], 0, 1), np.nan)
    table.to_csv(folder / "metrics.csv", index=False)
    facts: dict[str, Any] = {"finished": True, "seconds": 754.0, **signature}
    # Runs of earlier versions hold their facts beside each other.
    facts |= {"run": training.facts()} if training.options is not None else training.facts()
    facts.pop("seed", None)
    config = {**config, "record_paths": True}  # pages hold no path, whatever their sources hold
    folders.sign(folder, "train", config, seed=training.seed, source=f"{SECRET}/prepared", **facts)
    return folder


def write_scores(path: Path, scores: Scores) -> None:
    """Write `metrics.csv` from (case, region) to metric to value; None is an empty cell."""
    lines = ["case,region,metric,value"]
    for (case, region), metrics in scores.items():
        for metric, value in metrics.items():
            lines.append(f'"{case}",{region},{metric},{"" if value is None else value}')
    path.write_text("\n".join(lines) + "\n")


def write_evaluation(
    folder: Path,
    facts: dict[str, Any] | None,
    scores: Scores,
    labels: LabelTable = LABELS,
    source: Path | str = f"{SECRET}/predictions",
) -> Path:
    """Write an evaluation folder without pictures."""
    (folder / "pictures").mkdir(parents=True)
    write_scores(folder / "metrics.csv", scores)
    disk.write_json(folder / "labels.json", labels.as_dict())
    run: dict[str, Any] = {} if facts is None else {"run": facts}
    folders.sign(folder, "evaluate", {"tolerance_mm": 1.0}, source=source, reference=SECRET, **run)
    return folder


def plausible_scores(training: Training, cases: int = 6) -> dict[tuple[str, str], dict[str, float | None]]:
    """Make up the scores of all metrics and regions; the cases are equally hard for every training."""
    hardness = np.random.default_rng(0).uniform(-0.16, 0.12, cases)
    rng = np.random.default_rng(training.seed + 1000 * len(training.method))
    scores: dict[tuple[str, str], dict[str, float | None]] = {}
    for case in range(cases):
        for region, easier, size_ml in (("whole", 0.12, 70), ("core", 0.0, 28), ("enhancing", -0.1, 11)):
            dice = float(np.clip(training.skill + easier + hardness[case] + 0.03 * rng.standard_normal(), 0.02, 0.98))
            reference_ml = size_ml * (0.5 + case / cases * 1.4)
            scores[f"phantom_{case:03d}", region] = {
                "dice": dice,
                "hd95_mm": 26 * (1 - dice) + float(rng.uniform(0, 2)),
                "nsd": max(0.0, dice - 0.08),
                "volume_ml": reference_ml * float(1 + (1 - dice) * rng.uniform(-0.9, 0.4)),
                "reference_volume_ml": reference_ml,
            }
    return scores


def equivariance_scores(training: Training, cases: int = 5) -> dict[tuple[str, str], dict[str, float | None]]:
    """Make up what an evaluation of scans without masks holds."""
    rng = np.random.default_rng(training.seed + training.repeat)
    return {
        (f"held_out_{case:03d}", region): {
            "equivariance_dice": float(np.clip(training.skill + rng.uniform(0, 0.2), 0, 1))
        }
        for case in range(cases)
        for region in ("whole", "core", "enhancing")
    }


def write_prepared(folder: Path, case: str = "phantom_000", steps: tuple[str, ...] = ("raw", "cropped")) -> Path:
    """Write a prepared folder that holds nothing but its manifest and the example of one case."""
    (folder / "examples").mkdir(parents=True)
    manifest = Manifest("phantom", ("T1", "FLAIR"), "mri", LABELS, "zyx", "x", None, {"name": "thesis"}, {}, ())
    disk.write_json(folder / "manifest.json", manifest.as_dict())
    arrays: dict[str, Any] = {}
    rows, columns = np.mgrid[0:48, 0:40]
    brain = ((rows - 24) / 20) ** 2 + ((columns - 20) / 16) ** 2 < 1
    tumour = ((rows - 18) / 6) ** 2 + ((columns - 14) / 5) ** 2 < 1
    for place in range(len(steps)):
        inside = slice(2 * place, 48 - 2 * place), slice(2 * place, 40 - 2 * place)
        scan = np.stack([brain * (1.0 + 0.02 * columns), brain * (2.0 - tumour)]).astype(np.float32)
        arrays[f"scan_{place}"] = scan[(slice(None), *inside)]
        arrays[f"label_{place}"] = (4 * tumour).astype(np.uint8)[inside]
    names = np.array(steps)
    np.savez(
        folder / "examples" / f"{case}.npz",
        steps=names,
        spacing_mm=np.ones(2),
        channel_names=np.array(["T1", "FLAIR"]),
        **arrays,
    )
    folders.sign(folder, "prepare", {}, source=f"{SECRET}/raw")
    return folder


def write_picture(folder: Path, case: str, role: str, dice: float, seed: int = 0) -> None:
    """Write a head of ellipses with a tumour, and a prediction that misses some of it."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:120, 0:100]

    def ellipse(y: float, x: float, b: float, a: float) -> np.ndarray:
        return ((rows - y) / b) ** 2 + ((columns - x) / a) ** 2 < 1 + 0.12 * np.sin(
            4 * np.arctan2(rows - y, columns - x)
        )

    head, brain = (
        ((rows - 60) / 54) ** 2 + ((columns - 50) / 43) ** 2 < 1,
        ((rows - 60) / 47) ** 2 + ((columns - 50) / 37) ** 2 < 1,
    )
    y, x = 42 + 8 * seed, 36 + 6 * seed
    reference = np.zeros(rows.shape, np.uint8)
    prediction = np.zeros(rows.shape, np.uint8)
    off = (1 - dice) * 9
    for mask, shift, grow in ((reference, 0.0, 1.0), (prediction, off, 0.75 + 0.25 * dice)):
        for value, b, a in ((2, 19, 15), (4, 12, 9), (1, 7, 5)):
            mask[ellipse(y + shift, x - shift, b * grow, a * grow) & brain] = value
    scan = np.zeros((4, *rows.shape), np.float32)
    tissue = {
        0: (0.62, -0.1, -0.05, -0.25),
        1: (0.58, -0.08, 0.5, -0.2),
        2: (0.5, 0.3, 0.1, 0.2),
        3: (0.45, 0.42, 0.25, 0.12),
    }
    for channel, (base, oedema, rim, core) in tissue.items():
        picture = np.where(brain, base + 0.05 * np.sin(rows / 5) * np.cos(columns / 6), 0.28) * head
        for value, gain in ((2, oedema), (4, rim), (1, core)):
            picture = picture + gain * (reference == value)
        picture *= 1 + 0.15 * (columns - 50) / 50
        scan[channel] = (picture + 0.03 * rng.standard_normal(rows.shape)) * head
    np.savez_compressed(
        folder / f"{case}.npz",
        scan=scan,
        reference=reference,
        prediction=prediction,
        spacing_mm=np.array([1.5, 1.5]),
        channel_names=np.array(["T1", "T1ce", "T2", "FLAIR"]),
        role=role,
        mean_dice=dice,
    )
