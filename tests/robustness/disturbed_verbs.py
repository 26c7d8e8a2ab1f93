"""The verbs that are killed: their commands, what of their results must be the same, and when they look finished."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

TINY = ("--network.features", "4", "--max_steps", "6", "--val_every", "2", "--batch_size", "2", "--unsup_ratio", "1")
CPU = ("--device", "cpu", "--precision", "32")


@dataclass(frozen=True)
class Verb:
    """A verb whose work is disturbed."""

    command: tuple[str, ...]
    """Words with ``{out}`` and the names of the places."""
    result: Callable[[Path], Any]
    """What of its output must be the same."""
    whole: Callable[[Path], bool]
    """Whether an output looks finished."""
    again: tuple[str, ...] = ()
    """Further words where the first process had begun."""


def files(root: Path, *, without: tuple[str, ...] = ()) -> dict[str, str]:
    """Return a digest of each file below a folder, but for those whose path holds one of some words."""
    found = {}
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        if path.is_file() and not any(word in name for word in without):
            found[name] = blake2b(path.read_bytes(), digest_size=16).hexdigest()
    return found


def weights(path: Path) -> dict[str, str]:
    """Return a digest of each tensor of a checkpoint, optimiser included."""
    import torch

    content = torch.load(path, weights_only=True)
    state = content["optimizer_states"][0]["state"]
    tensors = content["state_dict"] | {
        f"{number}.{name}": value
        for number, values in state.items()
        for name, value in values.items()
        if isinstance(value, torch.Tensor)
    }
    return {
        name: blake2b(np.ascontiguousarray(value.numpy()).tobytes(), digest_size=16).hexdigest()
        for name, value in tensors.items()
    }


def _prepared(out: Path) -> Any:
    manifest = json.loads((out / "manifest.json").read_text())
    return [manifest["cases"], files(out, without=("made_by.json", "manifest.json", "case.json", ".npz"))]


def _trained(out: Path) -> Any:
    return {name: weights(out / "checkpoints" / f"{name}.ckpt") for name in ("best", "last")}


def _predicted(out: Path) -> Any:
    return files(out, without=("made_by.json", "times.csv"))


def _evaluated(out: Path) -> Any:
    return files(out, without=("made_by.json", ".npz"))


def _swept(out: Path) -> Any:
    runs = [path for path in sorted((out / "runs").iterdir()) if path.is_dir()]
    return [[_trained(run) for run in runs], files(out / "evaluations", without=("made_by.json", ".npz"))]


def _is_signed(out: Path) -> bool:
    return (out / "made_by.json").is_file()


def _is_finished_run(out: Path) -> bool:
    return _is_signed(out) and bool(json.loads((out / "made_by.json").read_text())["finished"])


def _is_finished_sweep(out: Path) -> bool:
    return (out / "results.csv").is_file()


def _is_predicted(out: Path) -> bool:
    return _is_signed(out) and not (out / "underway.json").exists()


VERBS: Mapping[str, Verb] = {
    "prepare": Verb(
        ("prepare", "{raw}", "--out", "{out}", "--val_fraction", "0.25", "--test_fraction", "0.25", "--jobs", "1"),
        _prepared,
        _is_signed,
    ),
    "train": Verb(
        ("train", "{prepared}", "--out", "{out}", "--method.name", "equireg", *TINY, *CPU),
        _trained,
        _is_finished_run,
        ("--resume",),
    ),
    "predict": Verb(
        ("predict", "{run}", "{raw}", "--out", "{out}", "--test_time", "none", "--probabilities", "true", *CPU),
        _predicted,
        _is_predicted,
    ),
    "evaluate": Verb(("evaluate", "{predictions}", "{raw}", "--out", "{out}", "--jobs", "1"), _evaluated, _is_signed),
    "sweep": Verb(("sweep", "{sweep}", "--out", "{out}", "--jobs", "1"), _swept, _is_finished_sweep),
}
