"""`equireg train`: what it refuses to resume, what it leaves alone, and what it logs."""

import json
import logging
import multiprocessing
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, LearningRateFinder, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger

import equireg
from equireg import folders
from equireg.errors import EquiregError, UsageError
from equireg.folders.run import RunFolder
from equireg.folders.signature import write_content
from equireg.methods.supervised import Supervised
from equireg.model import read_checkpoint
from equireg.preparation.prepare import prepare
from equireg.processes import progress
from equireg.training.train import train

Command = Callable[..., Any]
COMMON: dict[str, Any] = {
    "method": "supervised",
    "network.features": 4,
    "batch_size": 2,
    "val_every": 2,
    "max_steps": 4,
    "device": "cpu",
    "precision": "32",
    "class_prior": False,  # a head as it is drawn shows every class somewhere after a few steps
}


def unfinished(run: Path) -> None:
    """Make a run look as if it had been killed ahead of its signature."""
    write_content(run, {**folders.read_content(run), "finished": False})


def test_a_folder_that_was_prepared_otherwise_is_refused(
    equireg: Command, phantom_raw: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    prepared, run = tmp_path / "prepared", tmp_path / "run"
    shutil.copytree(phantom_prepared, prepared)
    train(prepared, run, **COMMON)
    unfinished(run)
    assert equireg("train", prepared, "--out", run, "--resume").code == 0
    shutil.rmtree(prepared)
    prepare(phantom_raw, prepared, val_fraction=0.25, test_fraction=0.25, jobs=1, normalise="none")
    for _ in ("finished", "unfinished"):
        outcome = equireg("train", prepared, "--out", run, "--resume")
        assert outcome.code == 1
        assert "was prepared again with other scans, masks or options since the run began" in outcome.error
        unfinished(run)


def test_a_prepared_folder_that_was_changed_is_refused_unless_nobody_verifies(
    equireg: Command, phantom_prepared: Path, tmp_path: Path
) -> None:
    prepared, run = tmp_path / "prepared", tmp_path / "run"
    shutil.copytree(phantom_prepared, prepared)
    with (prepared / "manifest.json").open("a") as file:
        file.write("\n")
    options = [f"--{name}={value}" for name, value in {**COMMON, "max_steps": 1, "val_every": 1}.items()]
    outcome = equireg("train", prepared, "--out", run, *options)
    assert outcome.code == 1
    assert "its content is not what was written" in outcome.error
    assert not run.exists()
    assert equireg("train", prepared, "--out", run, *options, "--verify=false", "--method.name=supervised").code == 0


def test_a_run_that_has_stopped_early_goes_no_further_when_it_is_resumed(
    phantom_prepared: Path, tmp_path: Path
) -> None:
    options = {**COMMON, "max_steps": 40, "optimizer.lr": 1e-12, "early_stopping_steps": 4}
    run = train(phantom_prepared, tmp_path / "run", **options)
    files = {path: path.read_bytes() for path in (run / "metrics.csv", *(run / "checkpoints").iterdir())}
    unfinished(run)
    train(phantom_prepared, run, resume=True)
    assert {path: path.read_bytes() for path in files} == files
    assert json.loads((run / "made_by.json").read_text())["finished"] is True
    assert "finished at step 6" in (run / "log.txt").read_text().splitlines()[-1]


def test_a_second_training_on_the_same_folder_is_refused(phantom_prepared: Path, tmp_path: Path) -> None:
    holder = (
        "import sys\n"
        "from equireg import disk\n"
        f"with disk.locked_folder({str(tmp_path / 'run')!r}):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", holder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(EquiregError, match=str(process.pid)):
            train(phantom_prepared, tmp_path / "run", **COMMON)
        assert not (tmp_path / "run").exists()
    finally:
        process.communicate("")


def test_the_process_of_a_notebook_keeps_its_random_state(phantom_prepared: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state(), random.getstate(), np.random.get_state(legacy=False)
    train(phantom_prepared, tmp_path / "run", **COMMON)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert random.getstate() == before[1]
    np.testing.assert_equal(np.random.get_state(legacy=False), before[2])


def test_each_validation_is_reported_and_kept_in_the_log(
    phantom_prepared: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_EVERY_S", 0.0)  # else a line a minute
    with caplog.at_level(logging.INFO, "equireg"):
        run = train(phantom_prepared, tmp_path / "run", **COMMON)
    lines = [line for line in (run / "log.txt").read_text().splitlines() if "train: step" in line]
    assert [message in line for message, line in zip(caplog.messages[1:-1], lines, strict=True)]
    validating = [line for line in lines if "validating, case " in line]
    assert ["case 1 of 1; total" in line for line in validating] == [True, True]
    lines = [line for line in lines if line not in validating]
    steps = [line.split("train: step ")[1].split(" of 4;")[0] for line in lines]
    assert steps == ["1", "2", "2", "3", "4", "4"]
    assert "val dice 0." in lines[2]
    assert " left" in lines[2]
    assert "total " in lines[0]


@pytest.mark.slow
def test_a_script_without_logging_sees_what_is_done(phantom_prepared: Path, tmp_path: Path) -> None:
    script = f"import equireg\nequireg.train({str(phantom_prepared)!r}, {str(tmp_path / 'run')!r}, **{COMMON!r})\n"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "train: step 4 of 4; " in done.stderr


@pytest.mark.slow
def test_workers_are_spawned_and_change_nothing(phantom_prepared: Path, tmp_path: Path) -> None:
    options = {**COMMON, "method": "equireg", "unsup_ratio": 1}
    alone, spawned = (
        train(phantom_prepared, tmp_path / str(workers), workers=workers, **options) for workers in (0, 2)
    )
    one, other = (read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"] for run in (alone, spawned))
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert (alone / "metrics.csv").read_bytes() == (spawned / "metrics.csv").read_bytes()


class Counting(Callback):
    def __init__(self) -> None:
        self.steps = 0

    def on_train_batch_end(self, trainer: lightning.Trainer, *_: Any, **__: Any) -> None:
        self.steps += 1


def test_callbacks_and_loggers_from_python(phantom_prepared: Path, tmp_path: Path) -> None:
    counting, logger = Counting(), CSVLogger(tmp_path / "mine", name="", version="")
    options = {**COMMON, "logger": "csv", "log_every": 1}
    run = train(phantom_prepared, tmp_path / "run", callbacks=[counting], loggers=[logger], **options)
    assert counting.steps == 4
    assert not (run / "tensorboard").exists()
    for table in (tmp_path / "mine" / "metrics.csv", run / "csv" / "metrics.csv"):
        assert "train/total" in table.read_text()


class Best(Callback):
    def __init__(self) -> None:
        self.best = np.float64(0)

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}


def test_lightnings_bar_and_numpys_numbers_in_a_process_of_64_bits(phantom_prepared: Path, tmp_path: Path) -> None:
    torch.set_default_dtype(torch.float64)
    chosen = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method(None, force=True)
    try:
        run = train(phantom_prepared, tmp_path / "run", callbacks=[Best(), TQDMProgressBar()], **COMMON)
        scan = np.random.default_rng(0).random((4, 16, 16, 4))
        labels = equireg.load(run, device="cpu").predict(scan, np.eye(4)).labels
        assert torch.get_default_dtype() == torch.float64
        assert multiprocessing.get_start_method(allow_none=True) is None
    finally:
        multiprocessing.set_start_method(chosen, force=True)
        torch.set_default_dtype(torch.float32)
    assert labels.shape == (16, 16, 4)
    content = read_checkpoint(run / "checkpoints" / "last.ckpt")
    assert content["callbacks"]["Best"] == {"best": 0.0}
    assert {value.dtype for value in content["state_dict"].values()} <= {torch.float32, torch.int64}


def test_callbacks_that_do_not_fit_are_refused(phantom_prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a run writes its own checkpoints"):
        train(phantom_prepared, tmp_path / "run", callbacks=[ModelCheckpoint()], **COMMON)
    assert not (tmp_path / "run").exists()
    with pytest.raises(UsageError, match=r"`val/nothing` which is not available.* Change its arguments"):
        train(phantom_prepared, tmp_path / "run", callbacks=[EarlyStopping("val/nothing")], **COMMON)
    with pytest.raises(UsageError, match="refuses a callback: When using the learning rate finder"):
        train(phantom_prepared, tmp_path / "other", callbacks=[LearningRateFinder()], **COMMON)


class Accumulating(Callback):
    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        trainer.accumulate_grad_batches = 2


def test_several_batches_a_step_are_refused(phantom_prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"accumulate_grad_batches to 2; .* raise --batch_size"):
        train(phantom_prepared, tmp_path / "run", callbacks=[Accumulating()], **COMMON)
    assert not (tmp_path / "run").exists()


def test_a_scalar_of_some_steps_has_their_mean(
    phantom_prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = Supervised.losses

    def some(self: Supervised, batch: Any, step: int) -> dict[str, Any]:
        return {**losses(self, batch, step), **({"rare": float(step)} if step in (0, 2, 5) else {})}

    monkeypatch.setattr(Supervised, "losses", some)
    options = {**COMMON, "max_steps": 8, "val_every": 8, "log_every": 4}
    rows = RunFolder(train(phantom_prepared, tmp_path / "run", **options)).read_metrics()
    assert [row["train/rare"] for row in rows] == [1, 5]


def test_a_mistake_in_a_method_is_told_by_name(
    phantom_prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = Supervised.losses
    monkeypatch.setattr(Supervised, "losses", lambda *given: losses(*given)["total"])
    with pytest.raises(EquiregError, match="the method supervised: losses returned a tensor"):
        train(phantom_prepared, tmp_path / "run", **COMMON)


def test_mirrored_sides_are_told(
    phantom_prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("equireg.training.summary.mixed_sides", lambda manifest, plan: "mixed")
    train(phantom_prepared, tmp_path / "run", **{**COMMON, "max_steps": 1, "val_every": 1})
    assert [record.levelname for record in caplog.records if record.message == "mixed"] == ["WARNING"]


def test_objects_do_not_reach_the_processes_of_several_devices(phantom_prepared: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Start the processes by torchrun, or give devices=1"):
        train(phantom_prepared, tmp_path / "run", callbacks=[Counting()], devices=2, **COMMON)


def test_too_little_memory_names_what_to_lower(
    phantom_prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def losses(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    monkeypatch.setattr("equireg.methods.supervised.Supervised.losses", losses)
    with pytest.raises(EquiregError, match=r"memory ran out \(CUDA out of memory\)\. Lower --batch_size, --patch_size"):
        train(phantom_prepared, tmp_path / "run", **COMMON)
