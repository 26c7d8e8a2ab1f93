"""`equireg evaluate` on what `predict` made, and on the masks themselves."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Command = Callable[..., Any]


def test_predictions_are_scored(
    equireg: Command, phantom_predictions: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    outcome = equireg("evaluate", phantom_predictions, phantom_prepared, "--out", out)
    assert outcome.code == 0, outcome.err
    summary = json.loads((out / "summary.json").read_text())
    assert summary["cases"] == 1
    assert list(summary["regions"]) == ["whole", "core", "enhancing"]
    with (out / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    dice = [float(row["value"]) for row in rows if row["metric"] == "dice"]
    assert len(dice) == 3
    assert summary["mean"]["dice"] == pytest.approx(sum(dice) / 3)
    assert f"mean                     Dice {summary['mean']['dice']:.3f} over 1 case" in outcome.out
    made_by = json.loads((out / "made_by.json").read_text())
    assert made_by["run"]["method"] == "equireg"
    assert (made_by["run"]["labelled_cases"], made_by["run"]["unlabelled_cases"]) == (2, 4)
    assert len(list((out / "pictures").glob("*.npz"))) == 1


def test_the_masks_score_one_against_raw_and_prepared(
    equireg: Command, phantom_predictions: Path, phantom_prepared: Path, phantom_raw: Path, tmp_path: Path
) -> None:
    perfect = tmp_path / "perfect"
    shutil.copytree(phantom_predictions, perfect)
    case = next(perfect.glob("Phantom*.nii.gz"))
    shutil.copy(next(phantom_raw.rglob(case.name.replace(".nii.gz", "_seg.nii.gz"))), case)
    for index, reference in enumerate((phantom_raw, phantom_prepared)):
        out = tmp_path / str(index)
        assert equireg("evaluate", perfect, reference, "--out", out).code == 0
        mean = json.loads((out / "summary.json").read_text())["mean"]
        assert mean.items() >= {"dice": 1.0, "hd95_mm": 0.0, "nsd": 1.0}.items()


def test_an_absent_prediction_is_an_error(
    equireg: Command, phantom_predictions: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    partial = tmp_path / "partial"
    shutil.copytree(phantom_predictions, partial)
    case = next(partial.glob("Phantom*.nii.gz"))
    case.unlink()
    outcome = equireg("evaluate", partial, phantom_prepared, "--out", tmp_path / "out")
    assert outcome.code == 1
    assert f"{str(case).removesuffix('.nii.gz')}.*: no such file" in outcome.error
    assert not (tmp_path / "out").exists()
