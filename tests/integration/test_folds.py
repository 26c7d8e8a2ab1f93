"""`equireg train --fold`: a run of one fold, its predictions, and what is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from equireg.folders.folds import SPLITS, read_folds
from equireg.folders.run import RunFolder
from equireg.model import load_model

Command = Callable[..., Any]


@pytest.fixture(scope="module")
def fold_run(phantom_prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a tiny run of the second of three folds."""
    from equireg.training.train import train

    out = tmp_path_factory.mktemp("folds") / "run"
    options: dict[str, Any] = {"network.features": 4, "max_steps": 2, "val_every": 2, "batch_size": 2}
    return train(phantom_prepared, out, fold="1/3", method="supervised", device="cpu", precision="32", **options)


def test_the_fold_is_recorded_in_the_run_and_its_checkpoint(fold_run: Path) -> None:
    folds = read_folds(fold_run / SPLITS)
    assert len(folds) == 3
    assert RunFolder(fold_run).facts().fold == "1/3"
    assert load_model(fold_run / "checkpoints" / "best.ckpt").config.fold == "1/3"
    assert "fold 1/3" in (fold_run / "log.txt").read_text()
    signature = json.loads((fold_run / "made_by.json").read_text())
    assert signature["validation_cases"] == len(folds[1].val) == 1
    assert signature["run"]["labelled_cases"] == len(folds[1].train) == 2


def test_split_val_means_the_cases_of_the_fold(
    equireg: Command, fold_run: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    moved, out = tmp_path / "moved", tmp_path / "predictions"
    shutil.copytree(fold_run, moved)
    fast = ("--test_time", "none", "--device", "cpu", "--precision", "32")
    outcome = equireg("predict", moved, phantom_prepared, "--split", "val", "--out", out, *fast)
    assert outcome.code == 0, outcome.err
    signature = json.loads((out / "made_by.json").read_text())
    assert signature["cases"] == list(read_folds(fold_run / SPLITS)[1].val)
    assert signature["run"]["fold"] == "1/3"
    assert equireg("evaluate", out, phantom_prepared, "--out", tmp_path / "evaluation").code == 0
    (moved / SPLITS).unlink()
    outcome = equireg("predict", moved, phantom_prepared, "--split", "val", "--out", tmp_path / "none", *fast)
    assert SPLITS in outcome.error
    assert not (tmp_path / "none").exists()


def test_resume_refuses_another_fold(equireg: Command, fold_run: Path, phantom_prepared: Path) -> None:
    outcome = equireg("train", phantom_prepared, "--out", fold_run, "--resume", "--fold", "0/3")
    assert "other options for fold" in outcome.error
    assert equireg("train", phantom_prepared, "--out", fold_run, "--resume", "--fold", "1/3").code == 0


@pytest.mark.parametrize(
    ("fold", "code", "finding"),
    [
        ("3/3", 2, "--fold is 3/3; expected an index from 0 to 2"),
        ("1", 2, "--fold is 1; expected INDEX/COUNT"),
        ("0/1", 2, "expected INDEX/COUNT with 2 folds or more"),
        ("0/9", 1, "9 folds are asked for, but only 3 patients have a mask"),
    ],
)
def test_a_fold_that_cannot_be_is_refused(
    equireg: Command, phantom_prepared: Path, tmp_path: Path, fold: str, code: int, finding: str
) -> None:
    outcome = equireg("train", phantom_prepared, "--out", tmp_path / "run", "--fold", fold)
    assert (outcome.code, finding in outcome.error) == (code, True), outcome.error
    assert not (tmp_path / "run").exists()
