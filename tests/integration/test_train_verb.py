"""`equireg train`: what a run leaves, resuming after a kill, privacy, and losses that are not finite."""

import csv
import json
import logging
import math
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch.callbacks import Callback

from equireg.config import OptimizerConfig
from equireg.folders.prepared import PreparedSet
from equireg.folders.run import RunFolder
from equireg.model import load_model, new_method, read_checkpoint
from equireg.optimiser import learning_rate
from equireg.preparation.prepare import prepare
from equireg.training.train import train

Command = Callable[..., Any]

RESUMED = {
    "equireg": (5, {"method": "equireg", "network.dropout": 0.3, "unsup_ratio": 1, "early_stopping_steps": 100}),
    "supervised 3D": (8, {"method": "supervised", "spatial_dims": 3, "patch_size": [8, 16, 16]}),
    "before the first checkpoint": (1, {"method": "supervised"}),
}
"""Name to the step at which the run is killed, and its options."""
COMMON = {
    "network.features": 4,
    "batch_size": 2,
    "val_every": 4,
    "max_steps": 10,
    "device": "cpu",
    "precision": "32",
    "class_prior": False,  # a head as it is drawn shows every class somewhere after a few steps
}


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def validations(run: Path) -> dict[int, float]:
    return {int(row["step"]): float(row["val/dice"]) for row in rows(run) if row["val/dice"]}


def assert_same_tensors(one: Any, other: Any, place: str = "") -> None:
    """Compare checkpoints, tensor by tensor."""
    assert type(one) is type(other), place
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), place
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), place
        for key in one:
            assert_same_tensors(one[key], other[key], f"{place}/{key}")
    elif isinstance(one, (list, tuple)):
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            assert_same_tensors(left, right, f"{place}/{index}")
    else:
        assert one == other, place


def test_a_run_leaves_all_that_is_promised(
    equireg: Command, phantom_prepared: Path, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    options = ("--pictures_every", 2, "--log_every", 1)
    outcome = equireg("train", phantom_prepared, "--out", out, "--method", "equireg", *tiny, *options)
    assert outcome.code == 0, outcome.err
    names = {path.name for path in out.iterdir()}
    assert names == {"config.yaml", "log.txt", "made_by.json", "metrics.csv", "checkpoints", "tensorboard"}
    assert {path.name for path in (out / "checkpoints").iterdir()} == {"best.ckpt", "last.ckpt"}
    events = list((out / "tensorboard").glob("events.out.tfevents.*"))
    assert len(events) == 1
    assert b"samples (scan, target, teacher, student, valid)" in events[0].read_bytes()
    assert "equireg on 2 labelled and 4 unlabelled cases, 1 to validate" in (out / "log.txt").read_text()
    made_by = json.loads((out / "made_by.json").read_text())
    assert (made_by["verb"], made_by["finished"], made_by["seed"]) == ("train", True, 42)
    assert (made_by["run"]["labelled_cases"], made_by["run"]["unlabelled_cases"]) == (2, 4)
    table = rows(out)
    assert [int(row["step"]) for row in table] == [1, 2, 3, 4]
    assert {"train/total", "train/supervised", "train/unsupervised", "lr", "val/dice/whole"} <= set(table[0])
    assert list(validations(out)) == [2, 4]
    assert all(math.isfinite(float(row["train/total"])) for row in table)


def test_the_runs_own_config_makes_the_same_run(
    equireg: Command, phantom_run: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    out = tmp_path / "again"
    outcome = equireg("train", phantom_prepared, "--out", out, "--config", phantom_run / "config.yaml")
    assert outcome.code == 0, outcome.err
    assert (out / "config.yaml").read_text() == (phantom_run / "config.yaml").read_text()
    assert yaml.safe_load((out / "config.yaml").read_text())["method"]["name"] == "equireg"
    one, other = (read_checkpoint(run / "checkpoints" / "last.ckpt") for run in (phantom_run, out))
    assert_same_tensors(one["state_dict"], other["state_dict"])
    assert rows(out) == rows(phantom_run)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(RESUMED))
def test_resuming_after_a_kill_ends_bit_identical(
    equireg: Command, phantom_prepared: Path, tmp_path: Path, name: str
) -> None:
    kill_at, others = RESUMED[name]
    options = COMMON | others
    whole = train(phantom_prepared, tmp_path / "whole", **options)
    killed = tmp_path / "killed"
    script = (
        "import os\n"
        "from equireg.methods import Method\n"
        "from equireg.training.train import train\n"
        "from equireg.methods.equireg import EquiReg\n"
        "def after_step(self, step, real={kind: kind.after_step for kind in (Method, EquiReg)}):\n"
        "    real[EquiReg if isinstance(self, EquiReg) else Method](self, step)\n"
        f"    if step == {kill_at}:\n"
        f"        os.kill(os.getpid(), {int(signal.SIGKILL)})\n"
        "Method.after_step = EquiReg.after_step = after_step\n"
        f"train({str(phantom_prepared)!r}, {str(killed)!r}, **{options!r})\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    last = killed / "checkpoints" / "last.ckpt"
    assert (read_checkpoint(last)["global_step"] if last.exists() else 0) == kill_at // 4 * 4
    assert json.loads((killed / "made_by.json").read_text())["finished"] is False
    outcome = equireg("train", phantom_prepared, "--out", killed, "--resume")
    assert outcome.code == 0, outcome.err
    for which in ("last", "best"):
        one, other = (read_checkpoint(run / "checkpoints" / f"{which}.ckpt") for run in (whole, killed))
        assert one["global_step"] == other["global_step"]
        for part in ("state_dict", "optimizer_states", "lr_schedulers", "callbacks"):
            assert_same_tensors(one[part], other[part], part)
    assert rows(killed) == rows(whole)
    assert json.loads((killed / "made_by.json").read_text())["finished"] is True
    # Nothing is left to do: resuming once more changes nothing.
    assert equireg("train", phantom_prepared, "--out", killed, "--resume").code == 0
    one, other = (read_checkpoint(run / "checkpoints" / "last.ckpt") for run in (whole, killed))
    assert_same_tensors(one["state_dict"], other["state_dict"])
    assert rows(killed) == rows(whole)


def test_resuming_refuses_other_options(equireg: Command, phantom_run: Path, phantom_prepared: Path) -> None:
    before = {path: path.read_bytes() for path in phantom_run.rglob("*") if path.is_file()}
    arguments = ("train", phantom_prepared, "--out", phantom_run, "--resume")
    others = (
        (("--max_steps", 9), "max_steps"),
        (("--optimizer.lr", 1), "optimizer"),
        (("--method", "supervised"), "method"),
        (("--network.name", "segresnet"), "network"),  # has none of the options of the run's network alone
        (("--method", "mean_teacher", "--network", "resenc", "--network.features", 4), "method, network"),
    )
    for given, named in others:
        outcome = equireg(*arguments, *given)
        assert outcome.code == 1
        assert f"{phantom_run}: the run has other options for {named} than given now" in outcome.error
        assert (f"with another --out and --init {phantom_run}." in outcome.error) == (named == "max_steps")
    assert {path: path.read_bytes() for path in phantom_run.rglob("*") if path.is_file()} == before


def test_resuming_accepts_the_same_options_and_the_machines(
    equireg: Command, phantom_prepared: Path, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    assert equireg("train", phantom_prepared, "--out", out, *tiny).code == 0
    assert equireg("train", phantom_prepared, "--out", out, "--resume", *tiny, "--log_every", 3).code == 0


def test_there_must_be_a_run_to_resume(equireg: Command, phantom_prepared: Path, tmp_path: Path) -> None:
    missing = equireg("train", phantom_prepared, "--out", tmp_path / "no", "--resume")
    assert (missing.code, f"{tmp_path / 'no'}: no such folder" in missing.error) == (1, True)
    (tmp_path / "empty").mkdir()
    empty = equireg("train", phantom_prepared, "--out", tmp_path / "empty", "--resume")
    assert (empty.code, "has no config.yaml" in empty.error) == (1, True)
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_checkpoint_holds_neither_path_nor_case(phantom_run: Path, phantom_prepared: Path) -> None:
    for path in (phantom_run / "checkpoints").iterdir():
        content = torch.load(path, weights_only=True)
        assert {"state_dict", "optimizer_states", "lr_schedulers", "equireg"} <= set(content)
        with zipfile.ZipFile(path) as archive:
            stored = next(archive.read(name) for name in archive.namelist() if name.endswith("data.pkl"))
        words = [str(phantom_run), str(phantom_prepared), "/tmp", "Phantom_0", "pytest"]
        assert [word for word in words if word.encode() in stored] == []
        assert b"supervised" in stored or b"equireg" in stored  # what is searched does hold strings


def test_the_best_checkpoint_is_the_best_validation(phantom_prepared: Path, tmp_path: Path) -> None:
    options = COMMON | {"max_steps": 12, "val_every": 2, "method": "supervised", "optimizer.lr": 0.02}
    out = train(phantom_prepared, tmp_path / "run", **options)
    dice = validations(out)
    assert list(dice) == [2, 4, 6, 8, 10, 12]
    best = max(dice, key=lambda step: (dice[step], -step))
    assert len(set(dice.values())) > 1
    assert read_checkpoint(out / "checkpoints" / "best.ckpt")["global_step"] == best
    assert read_checkpoint(out / "checkpoints" / "last.ckpt")["global_step"] == 12


def test_training_fits_the_labelled_scans(phantom_prepared: Path, tmp_path: Path) -> None:
    options = COMMON | {"max_steps": 20, "val_every": 20, "log_every": 5, "optimizer.lr": 0.02}
    table = rows(train(phantom_prepared, tmp_path / "run", method="supervised", **options))
    assert float(table[-1]["train/total"]) < 0.8 * float(table[0]["train/total"])


def test_the_table_holds_what_the_steps_of_a_row_used(phantom_prepared: Path, tmp_path: Path) -> None:
    options = COMMON | {"max_steps": 8, "val_every": 4, "log_every": 4, "method": "bcp", "method.pretraining": 0.25}
    run = train(phantom_prepared, tmp_path / "run", **options)
    optimizer = OptimizerConfig()
    used = [optimizer.lr * learning_rate(optimizer, 8, step - 1) for step in (4, 8)]
    assert [float(row["lr"]) for row in rows(run)] == pytest.approx(used)
    weights = [float(row["train/weight"]) for row in rows(run)]
    assert weights[0] == weights[1] > 0, "steps that had no unlabelled loss yet count in its mean"


@pytest.mark.parametrize("method", ["supervised", "equireg"])
def test_a_run_first_answers_how_often_each_class_occurs(phantom_prepared: Path, tmp_path: Path, method: str) -> None:
    def bias_after_a_step(name: str, **options: Any) -> torch.Tensor:
        still = COMMON | {"max_steps": 1, "val_every": 1, "optimizer.lr": 1e-12, "method": method, **options}
        model = load_model(train(phantom_prepared, tmp_path / name, **still) / "checkpoints" / "last.ckpt")
        return next(value for key, value in model.predictor.named_parameters() if key.endswith("conv.conv.bias"))

    records = PreparedSet(phantom_prepared).manifest.cases
    voxels = torch.tensor([case.class_voxels for case in records if case.split == "train" and case.labelled]).sum(dim=0)
    shares = (voxels / voxels.sum()).clamp_min(0.01)
    found = bias_after_a_step("prior", class_prior=True).softmax(dim=0)
    assert torch.allclose(found, shares / shares.sum(), atol=1e-6)
    assert bias_after_a_step("drawn").abs().max() < 1e-6


@pytest.mark.parametrize(("limit", "value"), [(1.1, 1.0), (0.0, 0.0)])
def test_the_masks_decide_whether_boxes_are_exchanged(
    phantom_prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: float, value: float
) -> None:
    monkeypatch.setattr("equireg.planning.rules.SMALL_IN_SAMPLE", limit)
    run = train(phantom_prepared, tmp_path / "run", method="equireg", **{**COMMON, "max_steps": 2})
    assert yaml.safe_load((run / "config.yaml").read_text())["method"]["exchange"] == value
    assert f"method.exchange {value:g}: " in (run / "log.txt").read_text()
    again = train(phantom_prepared, tmp_path / "again", method="equireg", **{"method.exchange": 0.5, **COMMON})
    assert yaml.safe_load((again / "config.yaml").read_text())["method"]["exchange"] == 0.5
    assert "method.exchange" not in (again / "log.txt").read_text()


def test_without_validation_cases_the_last_is_the_model(
    equireg: Command, phantom_raw: Path, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    prepare(phantom_raw, tmp_path / "prepared", val_fraction=0.0, jobs=1)
    out = tmp_path / "run"
    assert equireg("train", tmp_path / "prepared", "--out", out, *tiny).code == 0
    assert [path.name for path in (out / "checkpoints").iterdir()] == ["last.ckpt"]
    assert RunFolder(out).checkpoint("auto").name == "last.ckpt"
    assert "val/dice" not in rows(out)[0]
    stop = equireg("train", tmp_path / "prepared", "--out", tmp_path / "no", *tiny, "--early_stopping_steps", 2)
    assert stop.code == 1
    assert "no case validates" in stop.error
    assert not (tmp_path / "no").exists()


def test_early_stopping_stops(phantom_prepared: Path, tmp_path: Path) -> None:
    # A learning rate of next to nothing never betters the first validation.
    options = COMMON | {"max_steps": 40, "val_every": 2, "optimizer.lr": 1e-12, "early_stopping_steps": 4}
    out = train(phantom_prepared, tmp_path / "run", method="supervised", **options)
    assert list(validations(out)) == [2, 4, 6]
    assert read_checkpoint(out / "checkpoints" / "last.ckpt")["global_step"] == 6
    train(phantom_prepared, out, resume=True)
    assert list(validations(out)) == [2, 4, 6], "a finished run went on"


@pytest.mark.parametrize("stop", [3, 5])
def test_the_patience_of_early_stopping_counts_on_in_a_resumed_run(
    phantom_prepared: Path, tmp_path: Path, stop: int
) -> None:
    class Broken(Callback):
        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            if trainer.global_step == stop:
                raise RuntimeError("stopped")

    options = COMMON | {"max_steps": 40, "val_every": 2, "optimizer.lr": 1e-12, "early_stopping_steps": 4}
    run = tmp_path / "run"
    with pytest.raises(RuntimeError, match="stopped"):
        train(phantom_prepared, run, method="supervised", callbacks=[Broken()], **options)
    assert list(validations(run)) == list(range(2, stop, 2))
    train(phantom_prepared, run, resume=True)
    assert list(validations(run)) == [2, 4, 6]


def test_the_lowest_validation_loss_chooses_where_asked(phantom_prepared: Path, tmp_path: Path) -> None:
    """From random weights the loss falls; at a wild rate it rises, and the first validation stays the best."""
    losses, best = {}, {}
    for name, rate in (("falls", 1e-3), ("rises", 3.0)):
        options = COMMON | {"max_steps": 12, "val_every": 4, "optimizer.lr": rate, "optimizer.schedule": "constant"}
        out = train(phantom_prepared, tmp_path / name, method="supervised", monitor="loss", **options)
        losses[name] = {int(row["step"]): float(row["val/loss"]) for row in rows(out) if row["val/loss"]}
        best[name] = read_checkpoint(out / "checkpoints" / "best.ckpt")["global_step"]
    assert list(losses["falls"]) == [4, 8, 12]
    assert losses["falls"][12] < losses["falls"][4]
    for name, values in losses.items():
        assert best[name] == min(values, key=lambda step: values[step])
    assert best["falls"] == 12


def test_early_stopping_by_loss_stops(phantom_prepared: Path, tmp_path: Path) -> None:
    options = COMMON | {"max_steps": 40, "val_every": 2, "optimizer.lr": 1e-12, "early_stopping_steps": 4}
    out = train(phantom_prepared, tmp_path / "run", method="supervised", monitor="loss", **options)
    assert read_checkpoint(out / "checkpoints" / "last.ckpt")["global_step"] == 6


def test_a_repeat_keeps_the_cases_and_changes_the_random_numbers(phantom_prepared: Path, tmp_path: Path) -> None:
    weights, data = [], []
    for repeat in (0, 1):
        options: dict[str, Any] = COMMON | {"max_steps": 2, "val_every": 2, "sup_cases": 1, "repeat": repeat}
        out = train(phantom_prepared, tmp_path / str(repeat), method="supervised", **options)
        weights.append(read_checkpoint(out / "checkpoints" / "last.ckpt")["state_dict"])
        signature = json.loads((out / "made_by.json").read_text())
        data.append(signature["data"])
        assert signature["run"]["repeat"] == repeat
        assert signature["run"]["masked_cases"] == 2
    assert data[0] == data[1]
    assert any(not torch.equal(one, weights[1][name]) for name, one in weights[0].items())


@pytest.mark.parametrize("method", [pytest.param("supervised", marks=pytest.mark.slow), "equireg"])
def test_volumes(equireg: Command, phantom_prepared: Path, tiny: tuple[str, ...], tmp_path: Path, method: str) -> None:
    out = tmp_path / "run"
    volumes = ("--spatial_dims", 3, "--patch_size", "[8, 16, 16]", "--method", method)
    outcome = equireg("train", phantom_prepared, "--out", out, *tiny, *volumes)
    assert outcome.code == 0, outcome.err
    model = load_model(out / "checkpoints" / "last.ckpt")
    assert model.predictor(torch.zeros(1, 4, 8, 16, 16)).shape == (1, 4, 8, 16, 16)


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_the_gradient_is_clipped(phantom_prepared: Path, tmp_path: Path, precision: str) -> None:
    """One step of plain descent at rate 1 moves the weights as far as the gradient's norm may be."""
    descent = {"name": "sgd", "lr": 1.0, "schedule": "constant", "warmup": 0.0, "weight_decay": 0.0, "clip_norm": 0.1}
    options = {**COMMON, "method": "supervised", "max_steps": 1, "val_every": 1, "precision": precision}
    options["optimizer"] = descent
    model = load_model(train(phantom_prepared, tmp_path / "run", **options) / "checkpoints" / "last.ckpt")
    first = new_method(model.config, model.facts)
    pairs = zip(model.method.parameters(), first.parameters(), strict=True)
    moved = math.sqrt(sum(float((after - before).detach().double().square().sum()) for after, before in pairs))
    assert moved == pytest.approx(0.199, rel=1e-3)  # Nesterov's first step adds 0.99 of itself


def test_a_loss_that_is_not_finite_names_step_and_cases(
    equireg: Command, phantom_prepared: Path, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    wild = ("--optimizer.lr", 1e30, "--optimizer.clip_norm", "null", "--max_steps", 20)
    outcome = equireg("train", phantom_prepared, "--out", out, *tiny, *wild)
    assert outcome.code == 1
    assert "the loss is not finite at step 1 " in outcome.error
    assert "Phantom_0003_1, Phantom_0005_1" in outcome.error
    assert "--optimizer.lr" in outcome.error
    assert not out.exists()  # no checkpoint and no row of metrics.csv: nothing to keep


def test_supervised_reads_no_unlabelled_case(
    phantom_prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from equireg.folders.prepared import PreparedSet

    opened = set()
    real = PreparedSet.image

    def image(self: PreparedSet, case: str) -> Any:
        opened.add(case)
        return real(self, case)

    monkeypatch.setattr(PreparedSet, "image", image)
    train(phantom_prepared, tmp_path / "a", method="supervised", **COMMON)
    assert opened == {"Phantom_0003_1", "Phantom_0005_1", "Phantom_0006_1"}
    opened.clear()
    train(phantom_prepared, tmp_path / "b", method="equireg", unsup_ratio=2, **COMMON)
    assert {"Phantom_0001_1", "Phantom_0002_1"} <= opened
    assert "Phantom_0004_1" not in opened, "a test case was read"


def test_no_unlabelled_case_is_logged(phantom_prepared: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "equireg"):
        train(phantom_prepared, tmp_path / "run", method="equireg", unsup_cases=0, **COMMON)
    assert "no unlabelled case is used" in caplog.text


def test_the_global_generators_are_not_needed(phantom_prepared: Path, phantom_run: Path, tmp_path: Path) -> None:
    """The same options give the same run, whatever state the process is in."""
    torch.manual_seed(123)
    options: dict[str, Any] = {
        "method": "equireg",
        "network.features": 4,
        "max_steps": 4,
        "val_every": 2,
        "batch_size": 2,
        "class_prior": False,
    }
    out = train(phantom_prepared, tmp_path / "run", unsup_ratio=1, device="cpu", precision="32", **options)
    one, other = (read_checkpoint(run / "checkpoints" / "last.ckpt") for run in (phantom_run, out))
    assert_same_tensors(one["state_dict"], other["state_dict"])


@pytest.mark.slow
def test_hippocampus_is_learnt(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    prepare(real_data("hippocampus"), tmp_path / "prepared", jobs=1)
    options: dict[str, Any] = {
        "network.features": 16,
        "max_steps": 600,
        "val_every": 600,
        "sup_cases": 5,
        "batch_size": 8,
    }
    out = train(tmp_path / "prepared", tmp_path / "run", method="supervised", device="cpu", **options)
    assert validations(out)[600] > 0.6
