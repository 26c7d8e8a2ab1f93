"""`equireg train --resume` where last.ckpt is missing or damaged: nothing is overwritten without a word."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from lightning.pytorch.callbacks import Callback

from equireg import folders
from equireg.folders.signature import write_content
from equireg.model import read_checkpoint
from equireg.training.train import train

Command = Callable[..., Any]
OPTIONS: dict[str, Any] = {
    "method": "supervised",
    "network.features": 4,
    "batch_size": 2,
    "val_every": 2,
    "max_steps": 6,
    "device": "cpu",
    "precision": "32",
    "class_prior": False,
}
BEST = 2
"""Step of the checkpoint that is the best one here."""


class Keeping(Callback):
    """Keeps the checkpoint of step ``BEST``."""

    def __init__(self, kept: Path) -> None:
        self.kept = kept

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if trainer.global_step == BEST:
            shutil.copyfile(Path(trainer.default_root_dir) / "checkpoints" / "last.ckpt", self.kept)


@pytest.fixture(scope="module")
def whole(phantom_prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run that was never stopped, whose best checkpoint is that of step 2."""
    folder = tmp_path_factory.mktemp("lost")
    run = train(phantom_prepared, folder / "run", callbacks=[Keeping(folder / "best.ckpt")], **OPTIONS)
    shutil.move(folder / "best.ckpt", run / "checkpoints" / "best.ckpt")
    return run


@pytest.fixture
def stopped(whole: Path, tmp_path: Path) -> Path:
    """Return a copy of it that looks as if it had been killed ahead of its end."""
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    write_content(run, {**folders.read_content(run), "finished": False})
    return run


def files_of(run: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated"])
def test_a_best_checkpoint_without_the_last_is_refused_and_named(
    equireg: Command, phantom_prepared: Path, whole: Path, stopped: Path, damage: str
) -> None:
    last, best = (stopped / "checkpoints" / f"{which}.ckpt" for which in ("last", "best"))
    if damage == "missing":
        last.unlink()
    else:
        last.write_bytes(last.read_bytes()[: 0 if damage == "empty" else 5000])
    before = files_of(stopped)
    outcome = equireg("train", phantom_prepared, "--out", stopped, "--resume")
    assert outcome.code == 1
    assert str(last) in outcome.error
    assert ("is missing" if damage == "missing" else "cannot be read as a checkpoint") in outcome.error
    assert "copy best.ckpt, which lies beside it, to last.ckpt: --resume then goes on from its step 2" in outcome.error
    assert f"with another --out and --init {stopped}." in outcome.error
    assert files_of(stopped) == before
    # What is advised works, and ends as the run that was never stopped.
    shutil.copyfile(best, last)
    assert equireg("train", phantom_prepared, "--out", stopped, "--resume").code == 0
    one, other = (read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"] for run in (whole, stopped))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert (whole / "metrics.csv").read_bytes() == (stopped / "metrics.csv").read_bytes()


def test_a_new_run_may_start_from_the_best_weights(phantom_prepared: Path, stopped: Path, tmp_path: Path) -> None:
    (stopped / "checkpoints" / "last.ckpt").unlink()
    run = train(phantom_prepared, tmp_path / "anew", init=str(stopped), **OPTIONS)
    assert folders.read_content(run)["config"]["init"].startswith("run@")


def test_both_checkpoints_damaged_are_both_named(equireg: Command, phantom_prepared: Path, stopped: Path) -> None:
    for which in ("last", "best"):
        (stopped / "checkpoints" / f"{which}.ckpt").write_bytes(b"")
    error = equireg("train", phantom_prepared, "--out", stopped, "--resume").error
    assert "last.ckpt: cannot be read as a checkpoint" in error
    assert "best.ckpt beside it is damaged too. Or begin a new run with another --out." in error


def test_a_finished_run_without_its_last_checkpoint_is_finished(
    equireg: Command, phantom_prepared: Path, whole: Path, tmp_path: Path
) -> None:
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    (run / "checkpoints" / "last.ckpt").unlink()
    before = files_of(run)
    outcome = equireg("train", phantom_prepared, "--out", run, "--resume")
    assert outcome.code == 0
    assert "is finished; nothing is left to do" in outcome.err
    assert files_of(run) == before


def test_a_run_without_any_checkpoint_says_that_it_starts_again(
    equireg: Command, phantom_prepared: Path, whole: Path, stopped: Path
) -> None:
    for which in ("last", "best"):
        (stopped / "checkpoints" / f"{which}.ckpt").unlink()
    outcome = equireg("train", phantom_prepared, "--out", stopped, "--resume")
    assert outcome.code == 0
    assert "run has no checkpoint yet, so it starts again at step 0" in outcome.err
    one, other = (read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"] for run in (whole, stopped))
    assert all(torch.equal(one[name], other[name]) for name in one)
