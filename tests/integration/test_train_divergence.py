"""`equireg train`: the error at a loss or a weight that is not finite advises only what works."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from equireg.config import OptimizerConfig
from equireg.folders.run import RunFolder
from equireg.methods.supervised import Supervised
from equireg.model import load_model
from equireg.training.divergence import remedy

Command = Callable[..., Any]


@pytest.fixture
def astray(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Return what makes the loss or a weight NaN from a step on, counted from 0."""
    losses = Supervised.losses

    def from_step(what: str, first: int) -> None:
        def bad_losses(self: Supervised, batch: Any, step: int) -> dict[str, Tensor]:
            found = losses(self, batch, step)
            return {**found, "total": found["total"] * torch.nan} if step >= first else found

        def bad_weights(self: Supervised, step: int) -> None:
            if step >= first:
                next(self.student.parameters()).data.fill_(torch.nan)

        if what == "loss":
            monkeypatch.setattr(Supervised, "losses", bad_losses)
        else:
            monkeypatch.setattr(Supervised, "after_step", bad_weights)

    return from_step


@pytest.mark.parametrize("what", ["loss", "weight"])
def test_the_advised_command_starts_from_the_last_finite_weights(
    equireg: Command,
    phantom_prepared: Path,
    tiny: tuple[str, ...],
    tmp_path: Path,
    astray: Callable[[str, int], None],
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    run, anew = tmp_path / "run", tmp_path / "anew"
    options = (phantom_prepared, "--method", "supervised", *tiny)
    astray(what, 3)
    error = equireg("train", *options, "--out", run).error
    assert f"{what} is not finite at step {3 if what == 'loss' else 4}" in error
    assert "--resume" not in error, "it takes no other options, and ends at the same step with the same ones"
    assert "Train anew with another --out and a lower --optimizer.lr than" in error
    assert "--precision" not in error, "the run computes in 32 bits"
    found = re.search(r"Add --init (\S+) to start from its weights of step 2\.", error)
    assert found, error
    monkeypatch.undo()
    outcome = equireg("train", *options, "--out", anew, "--optimizer.lr", 1e-4, "--init", found[1])
    assert outcome.code == 0, outcome.err
    assert load_model(anew / "checkpoints" / "last.ckpt").step == 4


def test_before_the_first_checkpoint_there_are_no_weights_to_start_from(
    equireg: Command, phantom_prepared: Path, tiny: tuple[str, ...], tmp_path: Path, astray: Callable[[str, int], None]
) -> None:
    astray("loss", 1)
    outcome = equireg("train", phantom_prepared, "--out", tmp_path / "run", "--method", "supervised", *tiny)
    assert "the loss is not finite at step 1 " in outcome.error
    assert "Train anew with another --out and a lower" in outcome.error
    assert "--init" not in outcome.error
    assert not (tmp_path / "run").exists()


def test_weights_that_init_would_refuse_are_not_advised(phantom_run: Path, tmp_path: Path) -> None:
    run = RunFolder(shutil.copytree(phantom_run, tmp_path / "run"))
    options = OptimizerConfig(lr=0.02, clip_norm=None)
    assert remedy(run, options, "bf16-mixed").startswith(
        "Train anew with another --out and a lower --optimizer.lr than 0.02, --optimizer.clip_norm 1 or --precision 32."
        f" Add --init {run.root} to"
    )
    run.checkpoint().write_bytes(b"")
    assert remedy(run, options, "32-true").endswith("than 0.02 or --optimizer.clip_norm 1.")
