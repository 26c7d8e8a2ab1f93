"""Callbacks from Python: which are taken, what they may keep, and their errors."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import (
    EarlyStopping,
    GradientAccumulationScheduler,
    ModelCheckpoint,
    StochasticWeightAveraging,
)
from lightning.pytorch.tuner import lr_finder

from equireg.errors import EquiregError, UsageError
from equireg.model import read_checkpoint
from equireg.training.callbacks import callback_errors, check_callbacks, check_one_batch_a_step, make_plain


def test_callbacks_that_write_checkpoints_are_refused() -> None:
    check_callbacks([EarlyStopping("val/dice")])
    with pytest.raises(UsageError, match=r"a ModelCheckpoint; a run writes its own .* Leave it out"):
        check_callbacks([EarlyStopping("val/dice"), ModelCheckpoint()])


def test_several_batches_a_step_are_refused() -> None:
    with pytest.raises(UsageError, match=r"a GradientAccumulationScheduler; a step .* raise --batch_size"):
        check_callbacks([GradientAccumulationScheduler({0: 2})])
    check_one_batch_a_step(1)
    with pytest.raises(UsageError, match=r"accumulate_grad_batches to 3; a step .* raise --batch_size"):
        check_one_batch_a_step(3)


def test_what_lightning_refuses_is_one_line() -> None:
    stopping: Any = EarlyStopping("val/nothing")
    averaging: Any = StochasticWeightAveraging
    missing = r"refuses a callback: .*`val/nothing` which is not available.* leave it out"
    with pytest.raises(UsageError, match=missing), callback_errors():
        stopping._validate_condition_metric({"val/dice": torch.ones(())})
    with pytest.raises(UsageError, match=r"refuses a callback: .*swa_epoch_start"), callback_errors():
        averaging(0.1, swa_epoch_start=-1)
    with pytest.raises(UsageError, match=r"refuses a callback: When using the learning rate finder"), callback_errors():
        lr_finder._determine_lr_attr_name(LightningModule())
    for ours in (RuntimeError, AttributeError, EquiregError):
        with pytest.raises(ours, match=r"^ours$"), callback_errors():
            raise ours("ours")


def test_numbers_of_numpy_and_paths_become_plain(tmp_path: Path) -> None:
    state = {"best": np.float64(0.5), "all": [np.arange(2), (Path("a/b"), np.int64(3))], "weight": torch.ones(2)}
    checkpoint: dict[str, Any] = {"callbacks": {"Best": state}, "note": {"when": np.float32(2)}, "global_step": 1}
    make_plain(checkpoint)
    torch.save(checkpoint, tmp_path / "a.ckpt")
    found = torch.load(tmp_path / "a.ckpt", weights_only=True)
    assert found["callbacks"]["Best"] | {"weight": None} == {
        "best": 0.5,
        "all": [[0, 1], (str(Path("a/b")), 3)],
        "weight": None,
    }
    assert found["note"] == {"when": 2.0}
    assert isinstance(state["best"], np.float64)


@pytest.mark.parametrize("kept", [{"callbacks": {"Best": {"x": Path}}}, {"Best": {1, 2, object}}])
def test_what_could_not_be_read_again_is_refused_by_name(kept: dict[str, Any]) -> None:
    with pytest.raises(EquiregError, match=r"callback.* Best, keeps what no checkpoint can hold"):
        make_plain({"state_dict": {}, **kept})


def test_a_checkpoint_that_cannot_be_read_is_told_without_colours(tmp_path: Path) -> None:
    torch.save({"callbacks": {"Best": np.float64(0.5)}}, tmp_path / "a.ckpt")
    with pytest.raises(EquiregError, match=r"a\.ckpt: cannot be read as a checkpoint") as caught:
        read_checkpoint(tmp_path / "a.ckpt")
    assert str(caught.value).isprintable()
