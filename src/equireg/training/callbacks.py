"""Callbacks that the user gives a run: which it takes, what they may keep in its checkpoints, and their errors."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, Checkpoint, GradientAccumulationScheduler

from equireg.errors import EquiregError, UsageError
from equireg.model import ENTRY

_LIGHTNINGS = (
    *("epoch", "global_step", "pytorch-lightning_version", "state_dict", "loops", "callbacks"),
    *("optimizer_states", "lr_schedulers"),
)
"""What Lightning itself puts into a checkpoint."""
_ONE_BATCH = "a step of a run is one batch, and samples and schedules follow it. Leave it out, and raise --batch_size."
_CALLBACKS_CODE = ("lightning.pytorch.callbacks.", "lightning.pytorch.tuner.")
"""Where Lightning's callbacks do their work."""


def check_callbacks(callbacks: Sequence[Callback]) -> None:
    """Refuse callbacks that write checkpoints, or that put several batches into a step.

    Checkpoints of others hold absolute paths, and may lie where those of the run do.

    Raises:
        UsageError: names the callback.
    """
    for callback in callbacks:
        if isinstance(callback, Checkpoint):
            raise UsageError(
                f"callbacks has a {type(callback).__name__}; a run writes its own checkpoints, best.ckpt and "
                "last.ckpt, after each validation. Leave it out, and give val_every for how often."
            )
        if isinstance(callback, GradientAccumulationScheduler):
            raise UsageError(f"callbacks has a {type(callback).__name__}; {_ONE_BATCH}")


def check_one_batch_a_step(batches: int) -> None:
    """Refuse what a callback has set: how many batches the optimiser waits for.

    Raises:
        UsageError: if it is not one.
    """
    if batches != 1:
        raise UsageError(f"a callback sets the trainer's accumulate_grad_batches to {batches}; {_ONE_BATCH}")


@contextmanager
def callback_errors() -> Iterator[None]:
    """Tell what Lightning and its callbacks refuse within the block in one line.

    Raises:
        UsageError: in place of their errors.
    """
    try:
        yield
    except Exception as error:  # Lightning raises many kinds
        if not isinstance(error, MisconfigurationException) and not _raised_by_callback(error):
            raise
        reason = " ".join(str(error).split())
        raise UsageError(f"Lightning refuses a callback: {reason} Change its arguments, or leave it out.") from error


def _raised_by_callback(error: BaseException) -> bool:
    """Whether an error was raised in the code of one of Lightning's callbacks."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return last is not None and str(last.tb_frame.f_globals.get("__name__")).startswith(_CALLBACKS_CODE)


def make_plain(checkpoint: dict[str, Any]) -> None:
    """Put plain values in place of numpy's and of paths in what callbacks keep in a checkpoint.

    Raises:
        EquiregError: if one keeps what could not be read again, because reading a checkpoint runs no code.
    """
    states = checkpoint.get("callbacks", {})
    parts = [(f"the callback {name}", states, name) for name in states]
    parts += [(f"a callback, as {name}", checkpoint, name) for name in checkpoint if name not in (*_LIGHTNINGS, ENTRY)]
    for keeper, content, name in parts:
        content[name] = _plain(content[name])
        try:
            file = io.BytesIO()
            torch.save(content[name], file)
            file.seek(0)
            torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # torch and pickle raise many kinds
            raise EquiregError(
                f"{keeper}, keeps what no checkpoint can hold, because reading one runs no code; expected numbers, "
                "texts, tensors, and lists and dicts of these. Return such from its state_dict, or leave it out."
            ) from error


def _plain(value: Any) -> Any:
    """Return a value with plain ones in place of numpy's and of paths."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, PurePath):
        return str(value)
    if type(value) is dict:
        return {_plain(name): _plain(part) for name, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(_plain(part) for part in value)
    return value
