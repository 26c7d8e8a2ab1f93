"""The bias of the foreground: chosen while training, kept in the checkpoint, in all that the model predicts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

import equireg as package
from equireg import registry
from equireg.config import NetworkConfig
from equireg.folders.run import RunFolder
from equireg.model import load_model
from equireg.networks import Network
from equireg.postprocessing import BIASES, CaseCounts, ForegroundBias, PostProcessing, choose
from equireg.training import loop
from equireg.training.train import train

Command = Callable[..., Any]
CHOSEN = ForegroundBias(2.0, 0.5, 0.1, 0.01, 5)
OPTIONS: dict[str, Any] = {
    "method": "supervised",
    "network.features": 4,
    "network.stages": 3,
    "batch_size": 2,
    "max_steps": 4,
    "val_every": 2,
    "logger": "none",
    "device": "cpu",
    "precision": "32",
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Let every validation choose a bias, as if its single patient were five; return what it was asked with."""
    calls: list[Any] = []

    def choose_bias(dice: Sequence[np.ndarray], patients: Sequence[str]) -> ForegroundBias:
        calls.append((dice, patients))
        return CHOSEN

    def choose_steps(counts: Sequence[CaseCounts], labels: Any) -> PostProcessing:
        calls.append(counts)
        return choose(counts, labels)

    monkeypatch.setattr(loop, "choose_bias", choose_bias)
    monkeypatch.setattr(loop, "choose", choose_steps)
    return calls


def test_what_validation_chooses_is_in_every_prediction(
    equireg: Command, phantom_prepared: Path, tmp_path: Path, asked: list[Any]
) -> None:
    run = train(phantom_prepared, tmp_path / "run", **OPTIONS)
    biased = asked[:]
    asked.clear()
    plain = train(phantom_prepared, tmp_path / "plain", **OPTIONS, foreground_bias="none")
    assert len(asked) == 2, "the steps at two validations, and no bias"
    dice, patients = biased[-2]
    assert (len(dice), len(patients), dice[0].shape) == (1, 1, (len(BIASES), 3))
    assert sum(int(total.predicted) for total in biased[-1][0].totals) > sum(
        int(total.predicted) for total in asked[-1][0].totals
    ), "post-processing is chosen on what is predicted with the bias"

    said = "foreground bias from step 2 on: +2 (Dice +0.1000 on validation cases)"
    assert (run / "log.txt").read_text().count("foreground bias") == 1
    assert said in (run / "log.txt").read_text()
    assert RunFolder(run).facts().foreground_bias == CHOSEN.words()
    assert RunFolder(plain).facts().foreground_bias == "none"
    rows = [RunFolder(one).read_metrics()[-1]["val/loss"] for one in (run, plain)]
    assert rows[0] == rows[1], "the training itself is the same"

    array, affine = np.random.default_rng(0).normal(400, 90, (4, 24, 32, 16)), np.diag([6.0, 6.0, 8.0, 1.0])
    how: dict[str, Any] = {"test_time": "none", "device": "cpu", "precision": "32"}
    packed = package.pack(run, tmp_path / "model.zip")
    with_bias, without, again = (package.load(one, **how).predict(array, affine) for one in (run, plain, packed))
    assert with_bias.probabilities is not None
    assert without.probabilities is not None
    odds, before = (probs[1:] / probs[0] for probs in (with_bias.probabilities, without.probabilities))
    np.testing.assert_allclose(odds, before * np.exp(2.0), rtol=1e-3)
    np.testing.assert_array_equal(again.labels, with_bias.labels)
    assert load_model(packed / "weights" / "1.safetensors").foreground_bias == CHOSEN

    fast = ("--split", "test", "--test_time", "none", "--device", "cpu", "--precision", "32")
    for model in (run, packed):
        out = tmp_path / f"of-{model.name}"
        assert equireg("predict", model, phantom_prepared, "--out", out, *fast).code == 0
        assert equireg("evaluate", out, phantom_prepared, "--out", tmp_path / f"scores-{model.name}").code == 0
        assert equireg("report", tmp_path / f"scores-{model.name}", "--out", tmp_path / f"page-{model.name}").code == 0
        page = (tmp_path / f"page-{model.name}" / "index.html").read_text()
        assert "Foreground bias" in page
        assert CHOSEN.words() in page


def test_a_resumed_run_keeps_what_was_chosen(phantom_prepared: Path, tmp_path: Path, asked: list[Any]) -> None:
    options = {**OPTIONS, "max_steps": 5}  # the last step has no validation after it
    run = train(phantom_prepared, tmp_path / "run", **options)
    last = RunFolder(run).checkpoint("last")
    assert load_model(last).foreground_bias == CHOSEN
    (run / "checkpoints" / "best.ckpt").unlink()
    asked.clear()
    train(phantom_prepared, run, resume=True)
    assert load_model(last).foreground_bias == CHOSEN


@dataclass(frozen=True)
class BareConfig(NetworkConfig):
    name: str = "bare"


def bare(config: BareConfig, channels: int, classes: int, strides: list[tuple[int, ...]]) -> nn.Module:
    return nn.Conv2d(channels, classes, 3, padding=1, bias=False)


def not_twice(config: BareConfig, channels: int, classes: int, strides: list[tuple[int, ...]]) -> nn.Module:
    layer = nn.Conv2d(channels, classes, 3, padding=1)
    layer.weight.sum().item()  # cannot be without weights
    return layer


@pytest.mark.parametrize("build", [bare, not_twice])
def test_no_bias_is_chosen_where_none_is_found_in_the_last_layer(
    phantom_prepared: Path, tmp_path: Path, asked: list[Any], monkeypatch: pytest.MonkeyPatch, build: Any
) -> None:
    monkeypatch.setattr(registry, "_registered", {kind: {} for kind in registry.TABLES})
    package.register("network", "bare", Network(build, BareConfig))
    options = {name: value for name, value in OPTIONS.items() if not name.startswith("network.")}
    run = train(phantom_prepared, tmp_path / "run", **options, network="bare", patch_size=[32, 32], class_prior=False)
    if build is bare:
        assert load_model(RunFolder(run).checkpoint("last")).foreground_bias == ForegroundBias()
    assert RunFolder(run).facts().foreground_bias == "none"
    said = [line for line in (run / "log.txt").read_text().splitlines() if "foreground bias" in line]
    assert len(said) == 1
    assert said[0].endswith(
        "no foreground bias is chosen: no bias of the last layer of the network was found to add it to"
    )
