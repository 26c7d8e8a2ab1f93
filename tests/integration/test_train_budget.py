"""`equireg train --max_minutes`: the run ends with its time, resumes with what is left, and can be repeated."""

import csv
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from equireg.config import OptimizerConfig
from equireg.errors import EquiregError
from equireg.methods.equireg import EquiReg
from equireg.model import read_checkpoint
from equireg.optimiser import learning_rate
from equireg.training.train import train

Command = Callable[..., Any]

OPTIONS: dict[str, Any] = {
    "method": "equireg",
    "network.features": 4,
    "patch_size": [16, 16],
    "network.dropout": 0.2,
    "batch_size": 2,
    "unsup_ratio": 1,
    "log_every": 5,
    "device": "cpu",
    "precision": "32",
    "logger": "none",
}


class Clock:
    """A clock that the steps move: 2 s each, and 5 s from ``slow_from_s`` on; stops the run after some steps."""

    now, slow_from_s, steps, stop_after = 0.0, math.inf, 0, math.inf

    def monotonic(self) -> float:
        return self.now

    def step(self) -> None:
        self.now += 2.0 if self.now < self.slow_from_s else 5.0
        self.steps += 1
        if self.steps == self.stop_after:
            raise RuntimeError("stopped")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    real = EquiReg.losses

    def losses(self: EquiReg, batch: Any, step: int) -> dict[str, torch.Tensor]:
        found.step()
        return real(self, batch, step)

    monkeypatch.setattr(EquiReg, "losses", losses)
    monkeypatch.setattr("equireg.training.train.time", found)
    return found


def last_of(run: Path) -> dict[str, Any]:
    return read_checkpoint(run / "checkpoints" / "last.ckpt")


def same_weights(one: Path, other: Path, which: str) -> bool:
    weights = [read_checkpoint(run / "checkpoints" / f"{which}.ckpt")["state_dict"] for run in (one, other)]
    return all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_a_run_stopped_and_resumed_on_a_slower_machine_ends_in_time_and_can_be_repeated(
    equireg: Command, phantom_prepared: Path, tmp_path: Path, clock: Clock
) -> None:
    run, again = tmp_path / "run", tmp_path / "again"
    clock.stop_after = 30
    with pytest.raises(RuntimeError, match="stopped"):
        train(phantom_prepared, run, max_minutes=2.4, **OPTIONS)
    used = last_of(run)["equireg"]["used_s"]
    assert 40 < used <= 60
    assert not (run / "repeat.yaml").exists()
    clock.now += 10_000.0  # between the sessions nothing counts
    begin, clock.slow_from_s = clock.now, clock.now + 20.0
    train(phantom_prepared, run, resume=True)
    assert used + clock.now - begin == pytest.approx(144, rel=0.1)
    assert 30 < last_of(run)["global_step"] < 60, "72 steps would fit without the disturbance"
    log = (run / "log.txt").read_text().splitlines()
    assert re.search(r"training for 2 min, until \d\d:\d\d", log[0])
    assert sum("training for" in line for line in log) == 2
    assert any("steps are planned, 2 s each, with 10 validations" in line for line in log)
    assert any("planned anew from step" in line for line in log)
    table = rows(run)
    steps, optimizer = last_of(run)["global_step"], OptimizerConfig()
    lowest = optimizer.lr * learning_rate(optimizer, steps, steps - 1)
    assert float(table[-1]["lr"]) == pytest.approx(lowest, rel=0.1), "the learning rate has not ended"
    assert float(table[-1]["train/weight"]) == 1, "the ramp-up has not ended"
    assert 9 <= sum(bool(row["val/dice"]) for row in table) <= 10
    assert yaml.safe_load((run / "config.yaml").read_text())["max_steps"] is None
    outcome = equireg("train", phantom_prepared, "--out", again, "--config", run / "repeat.yaml")
    assert outcome.code == 0, outcome.err
    for which in ("last", "best"):
        assert same_weights(run, again, which)
    assert rows(again) == rows(run)


def test_whichever_ends_first(phantom_prepared: Path, tmp_path: Path, clock: Clock) -> None:
    train(phantom_prepared, tmp_path / "run", max_minutes=60, max_steps=8, val_every=4, **OPTIONS)
    assert last_of(tmp_path / "run")["global_step"] == 8


@pytest.mark.parametrize("minutes", [1.2, 0.01])
def test_a_budget_below_fifty_steps_leaves_nothing(
    phantom_prepared: Path, tmp_path: Path, clock: Clock, minutes: float
) -> None:
    with pytest.raises(
        EquiregError, match=f"--max_minutes (is )?{minutes}.* about .*expected time for 50 .*Give --max_minutes"
    ):
        train(phantom_prepared, tmp_path / "run", max_minutes=minutes, **OPTIONS)
    assert list(tmp_path.iterdir()) == []
    assert clock.steps <= 12


def test_lengths_that_contradict_each_other_are_refused(
    equireg: Command, phantom_prepared: Path, tmp_path: Path
) -> None:
    words = ("train", phantom_prepared, "--out", tmp_path / "run", "--max_minutes", 3)
    for more, finding in (
        (("--early_stopping_steps", 100), "give --val_every in steps too"),
        (("--replanned", "[[0,60,0]]"), "give one of the two"),
        (("--max_minutes", -1), "expected minutes above 0"),
    ):
        outcome = equireg(*words, *more)
        assert (outcome.code, finding in outcome.error) == (2, True), outcome.err
    assert list(tmp_path.iterdir()) == []
