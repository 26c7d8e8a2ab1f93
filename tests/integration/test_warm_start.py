"""`equireg train --init`: from a run, a checkpoint or nnU-Net's, resumed, and what it refuses."""

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from equireg import folders
from equireg.config.yaml_files import read_yaml
from equireg.folders.signature import write_content
from equireg.model import ENTRY, load_model, seal
from equireg.networks import bare
from nnunet_made_up import Plan, write_checkpoint

Command = Callable[..., Any]
FEW = ("--max_steps=1", "--val_every=1", "--batch_size=2", "--unsup_ratio=1", "--device=cpu", "--precision=32")
STILL = (*FEW, "--optimizer.lr=1e-12", "--method.name=equireg")
"""Options with which a step leaves the weights where they were."""


def altered(run: Path, out: Path, change: Callable[[dict[str, Any]], Any], sealed: bool = True) -> Path:
    """Write a run's last checkpoint with another content."""
    content = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    change(content)
    if sealed:
        seal(content)
    torch.save(content, out)
    return out


def change_channels(content: dict[str, Any]) -> None:
    content[ENTRY]["facts"]["channels"] = ["ct", "pet", "t1", "t2"]


def change_weights(content: dict[str, Any]) -> None:
    next(iter(content["state_dict"].values())).view(-1)[0] = 3.0


def change_to_nan(content: dict[str, Any]) -> None:
    for value in content["state_dict"].values():
        value.view(-1)[0] = math.nan


def unfinished(run: Path) -> None:
    write_content(run, {**folders.read_content(run), "finished": False})


def test_a_run_is_all_that_is_needed(
    equireg: Command, phantom_run: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    """Network and weights come from there; the run keeps a name and a digest, no path."""
    out = tmp_path / "run"
    outcome = equireg("train", phantom_prepared, "--out", out, "--init", phantom_run, *STILL)
    assert outcome.code == 0, outcome.err
    before, after = load_model(phantom_run / "checkpoints" / "best.ckpt"), load_model(out / "checkpoints" / "last.ckpt")
    assert after.config.network.features == 4  # pyright: ignore[reportAttributeAccessIssue]
    for name, value in before.predictor.state_dict().items():
        for network in (after.method.student, after.predictor):
            torch.testing.assert_close(network.state_dict()[name], value, atol=1e-6, rtol=0)
    record = read_yaml(out / "config.yaml")["init"]
    assert record.startswith("run@")
    assert f"of {record}; head kept for background" in (out / "log.txt").read_text()
    assert json.loads((out / "made_by.json").read_text())["config"]["init"] == record
    stored = torch.load(out / "checkpoints" / "last.ckpt", weights_only=True)[ENTRY]
    assert str(phantom_run.parent) not in json.dumps(stored)
    unfinished(out)
    assert equireg("train", phantom_prepared, "--out", out, "--resume").code == 0
    unfinished(out)
    moved = shutil.copytree(phantom_run, tmp_path / "moved")
    assert equireg("train", phantom_prepared, "--out", out, "--resume", "--init", moved, *STILL).code == 0


def test_weights_go_on_at_another_resolution_and_come_back(
    equireg: Command, phantom_run: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    coarse, fine = tmp_path / "coarse", tmp_path / "fine"
    outcome = equireg(
        "train", phantom_prepared, "--out", coarse, "--init", phantom_run, "--network.downsample=[2,2]", *STILL
    )
    assert outcome.code == 0, outcome.err
    outcome = equireg("train", phantom_prepared, "--out", fine, "--init", coarse, "--network.downsample=[1,1]", *STILL)
    assert outcome.code == 0, outcome.err
    first, *others = (load_model(run / "checkpoints" / "best.ckpt").predictor for run in (phantom_run, coarse, fine))
    for other in others:
        for name, value in bare(first).state_dict().items():
            torch.testing.assert_close(bare(other).state_dict()[name], value, atol=1e-6, rtol=0)


@pytest.mark.slow
def test_resuming_holds_to_the_weights_that_it_started_from(
    equireg: Command, phantom_run: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    out, last = tmp_path / "run", phantom_run / "checkpoints" / "last.ckpt"
    assert equireg("train", phantom_prepared, "--out", out, "--init", last, *STILL).code == 0
    assert read_yaml(out / "config.yaml")["init"].startswith("run@")
    unfinished(out)
    other = altered(phantom_run, tmp_path / "other.ckpt", change_weights)
    outcome = equireg("train", phantom_prepared, "--out", out, "--resume", "--init", other)
    assert outcome.code == 1
    assert "the run did not start from the weights other@" in outcome.error
    shutil.rmtree(out / "checkpoints")
    outcome = equireg("train", phantom_prepared, "--out", out, "--resume")
    assert outcome.code == 1
    assert "stopped before its first checkpoint, so it starts again from the weights run@" in outcome.error
    assert equireg("train", phantom_prepared, "--out", out, "--resume", "--init", last).code == 0
    outcome = equireg("train", phantom_prepared, "--out", tmp_path / "new", "--config", out / "config.yaml")
    assert outcome.code == 2
    assert "the name and digest by which a run keeps its weights" in outcome.error
    unfinished(phantom_copy := shutil.copytree(phantom_run, tmp_path / "copy"))
    outcome = equireg("train", phantom_prepared, "--out", phantom_copy, "--resume", "--init", other)
    assert "but from new ones" in outcome.error


def test_nnunets_checkpoint_is_a_start(equireg: Command, phantom_prepared: Path, tmp_path: Path) -> None:
    """Of another number of classes, with a plan whose strides the patch is rounded up to."""
    plan = Plan(strides=((1, 1), (2, 1), (2, 2)), kernels=((3, 3),) * 3, channels=4, classes=2)
    names = {str(index): name for index, name in enumerate(("T1", "T1ce", "T2", "FLAIR"))}
    described = {"channel_names": names, "labels": {"background": 0, "lesion": 1}}
    path = write_checkpoint(tmp_path / "fold_0" / "checkpoint_final.pth", plan, dataset_json=described)
    out = tmp_path / "run"
    outcome = equireg("train", phantom_prepared, "--out", out, "--init", path.parent, *STILL)
    assert outcome.code == 0, outcome.err
    model = load_model(out / "checkpoints" / "last.ckpt")
    network = torch.load(path, weights_only=False)["network_weights"]
    grown = model.predictor.get_parameter("upsamples.0.transp_conv.conv.bias")
    torch.testing.assert_close(grown.detach(), network["decoder.transpconvs.0.bias"], atol=1e-6, rtol=0)
    assert all(side % total == 0 for side, total in zip(model.facts.patch_size, (4, 2), strict=True))
    assert "head kept for background; new for" in (out / "log.txt").read_text()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda run, folder: folder / "nothing", "does not exist; expected a run, a checkpoint of equireg (.ckpt)"),
        (lambda run, folder: run / "log.txt", "is a file of another kind"),
        (lambda run, folder: folder, "is no run and holds no checkpoint of nnU-Net"),
        (lambda run, folder: altered(run, folder / "a.ckpt", change_channels), "other channels (ct, pet, t1, t2) than"),
        (lambda run, folder: altered(run, folder / "a.ckpt", change_weights, False), "was changed after training"),
        (lambda run, folder: altered(run, folder / "a.ckpt", change_to_nan), "holds weights that are NaN or infinite"),
        (
            lambda run, folder: write_checkpoint(folder / "a.pth", Plan(((1, 1), (2, 2), (2, 2)), ((3, 3),) * 3)),
            "other channels (T1, T2) than",
        ),
    ],
)
def test_bad_weights_are_one_line_and_leave_nothing_behind(
    equireg: Command,
    phantom_run: Path,
    phantom_prepared: Path,
    tmp_path: Path,
    make: Callable[[Path, Path], Path],
    reason: str,
) -> None:
    (tmp_path / "given").mkdir()
    given = make(phantom_run, tmp_path / "given")
    outcome = equireg("train", phantom_prepared, "--out", tmp_path / "out", "--init", given, *FEW)
    assert outcome.code == 1
    assert reason in outcome.error
    assert not (tmp_path / "out").exists()


def test_what_another_verb_made_is_refused(equireg: Command, phantom_prepared: Path, tmp_path: Path) -> None:
    outcome = equireg("train", phantom_prepared, "--out", tmp_path / "out", "--init", phantom_prepared, *FEW)
    assert outcome.code == 1
    assert "was made by `equireg prepare`; expected a run" in outcome.error
    assert not (tmp_path / "out").exists()


def test_an_ensemble_names_a_member(
    equireg: Command, phantom_run: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(phantom_run, tmp_path / "other")
    altered(phantom_run, other / "checkpoints" / "best.ckpt", change_weights)
    assert equireg("ensemble", phantom_run, other, "--out", tmp_path / "both").code == 0
    outcome = equireg("train", phantom_prepared, "--out", tmp_path / "out", "--init", tmp_path / "both", *FEW)
    assert outcome.code == 1
    assert "is an ensemble; a run starts from the weights of one network" in outcome.error
    member = next((tmp_path / "both" / "members").glob("*.ckpt"))
    assert equireg("train", phantom_prepared, "--out", tmp_path / "out", "--init", member, *STILL).code == 0


@pytest.mark.usefixtures("page_of_tables")
def test_a_sweep_goes_on_with_runs_that_start_from_weights(
    equireg: Command, phantom_run: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    named = [option.removeprefix("--").partition("=") for option in FEW]
    options = {name: value for name, _, value in named}
    (tmp_path / "prepared").symlink_to(phantom_prepared)
    content: dict[str, Any] = {
        "prepared": "prepared",
        "train": {**options, "method": "supervised", "init": str(phantom_run)},
        "predict": {"test_time": "none", "device": "cpu", "precision": "32"},
        "grid": {"sup_cases": [1]},
    }
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(content))
    for _ in ("new", "finished"):
        outcome = equireg("sweep", tmp_path / "sweep.yaml", "--out", tmp_path / "out")
        assert outcome.code == 0, outcome.err
    assert read_yaml(next((tmp_path / "out" / "runs").glob("*/config.yaml")))["init"].startswith("run@")
    other = altered(phantom_run, tmp_path / "other.ckpt", change_weights)
    content["train"]["init"] = str(other)
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(content))
    outcome = equireg("sweep", tmp_path / "sweep.yaml", "--out", tmp_path / "out")
    assert "holds results of other options (sup1)" in outcome.error


def test_a_cross_validation_refuses_them_before_it_begins(
    equireg: Command, phantom_run: Path, phantom_prepared: Path, tmp_path: Path
) -> None:
    given = altered(phantom_run, tmp_path / "a.ckpt", change_channels)
    options = ("--folds=2", "--method.name=supervised", *FEW)
    outcome = equireg("train", phantom_prepared, "--out", tmp_path / "out", "--init", given, *options)
    assert outcome.code == 1
    assert "other channels (ct, pet, t1, t2) than" in outcome.error
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_every_process_of_a_run_starts_from_them(phantom_run: Path, phantom_prepared: Path, tmp_path: Path) -> None:
    from equireg.training.train import train

    options: dict[str, Any] = {"max_steps": 1, "val_every": 1, "batch_size": 2, "unsup_ratio": 1, "device": "cpu"}
    options |= {"precision": "32", "optimizer.lr": 1e-12, "method": "equireg", "init": str(phantom_run), "devices": 2}
    run = train(phantom_prepared, tmp_path / "run", **options)
    before, after = load_model(phantom_run / "checkpoints" / "best.ckpt"), load_model(run / "checkpoints" / "last.ckpt")
    for name, value in before.predictor.state_dict().items():
        torch.testing.assert_close(after.predictor.state_dict()[name], value, atol=1e-6, rtol=0)
    unfinished(run)
    train(phantom_prepared, run, resume=True)
