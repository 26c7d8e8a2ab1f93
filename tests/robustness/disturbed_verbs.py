"""The verbs that are killed: their commands, what of their results must be the same, and when they look finished."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import yaml

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
    copies: str | None = None
    """The place of which its output is a copy before it begins, of a verb that changes a folder."""
    often: int = 1
    """Kills of it in one turn over all verbs: those that cost little are killed more often."""


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
    apart = ("made_by.json", "manifest.json", "case.json", "adopted.json", ".npz")
    return [manifest["cases"], files(out, without=apart)]


def _trained(out: Path) -> Any:
    return {name: weights(out / "checkpoints" / f"{name}.ckpt") for name in ("best", "last")}


def _predicted(out: Path) -> Any:
    return files(out, without=("made_by.json", "times.csv"))


def _evaluated(out: Path) -> Any:
    return files(out, without=("made_by.json", ".npz"))


def _swept(out: Path) -> Any:
    runs = [path for path in sorted((out / "runs").iterdir()) if path.is_dir()]
    return [[_trained(run) for run in runs], files(out / "evaluations", without=("made_by.json", ".npz"))]


def _rounds(out: Path) -> Any:
    """Return the weights of both rounds, and what the second one was taught."""
    drafted = files(out / "round1" / "prepared", without=("made_by.json",))
    return [_trained(out / "round0" / "member1"), _trained(out / "round1" / "member1"), drafted]


def _planned(out: Path) -> Any:
    """Return the options of a plan, less its comments, which hold what was measured."""
    return yaml.safe_load(out.with_suffix(".yaml").read_text())


def _adopted(out: Path) -> Any:
    """Return all of the prepared folder but the time at which a mask was taken."""
    history = json.loads((out / "adopted" / "adopted.json").read_text())
    kept = {case: [entry["digest"] for entry in entries] for case, entries in history.items()}
    return [_prepared(out), kept]


def _unsigned(out: Path) -> Any:
    return files(out, without=("made_by.json",))


def _one_file(ending: str) -> tuple[Callable[[Path], Any], Callable[[Path], bool]]:
    """Return what compares and what finds an output that is one file."""
    return (lambda out: out.with_suffix(ending).read_bytes()), (lambda out: out.with_suffix(ending).exists())


def _is_signed(out: Path) -> bool:
    return (out / "made_by.json").is_file()


def _is_finished_run(out: Path) -> bool:
    return _is_signed(out) and bool(json.loads((out / "made_by.json").read_text())["finished"])


def _is_finished_sweep(out: Path) -> bool:
    return (out / "results.csv").is_file()


def _is_predicted(out: Path) -> bool:
    return _is_signed(out) and not (out / "underway.json").exists()


def _never(out: Path) -> bool:
    """Say of a folder that is changed in place that it never looks finished."""
    return False


VERBS: Mapping[str, Verb] = {
    "prepare": Verb(
        ("prepare", "{raw}", "--out", "{out}", "--val_fraction", "0.25", "--test_fraction", "0.25", "--jobs", "1"),
        _prepared,
        _is_signed,
        often=11,
    ),
    "train": Verb(
        ("train", "{prepared}", "--out", "{out}", "--method.name", "equireg", *TINY, *CPU),
        _trained,
        _is_finished_run,
        ("--resume",),
        often=10,
    ),
    "predict": Verb(
        ("predict", "{run}", "{raw}", "--out", "{out}", "--test_time", "none", "--probabilities", "true", *CPU),
        _predicted,
        _is_predicted,
        often=11,
    ),
    "evaluate": Verb(
        ("evaluate", "{predictions}", "{raw}", "--out", "{out}", "--jobs", "1"), _evaluated, _is_signed, often=11
    ),
    "sweep": Verb(("sweep", "{sweep}", "--out", "{out}", "--jobs", "1"), _swept, _is_finished_sweep),
    "selftrain": Verb(
        (
            *("selftrain", "{prepared}", "--out", "{out}", "--rounds", "1", "--members", "1", "--keep", "1"),
            *("--sup_cases", "1", "--method.name", "equireg", *TINY, *CPU),
        ),
        _rounds,
        _is_signed,
        ("--resume",),
        often=2,
    ),
    "plan": Verb(
        ("plan", "{prepared}", "--out", "{out}.yaml", "--method.name", "equireg", *TINY, *CPU),
        _planned,
        _never,
        often=5,
    ),
    "suggest": Verb(
        ("suggest", "{prepared}", "--count", "1", "--run", "{run}", "--out", "{out}", *CPU),
        _unsigned,
        _is_signed,
        often=8,
    ),
    "adopt": Verb(("adopt", "{out}", "{masks}"), _adopted, _never, copies="prepared", often=15),
    "export": Verb(("export", "{run}", "--to", "torchscript", "--out", "{out}"), _unsigned, _is_signed, often=5),
    "pack": Verb(("pack", "{run}", "--out", "{out}.zip"), *_one_file(".zip"), often=10),
    "report": Verb(
        ("report", "{run}", "{evaluation}", "{predictions}", "--out", "{out}"), _unsigned, _is_signed, often=2
    ),
    "view": Verb(("view", "{predictions}", "--out", "{out}.html"), *_one_file(".html"), often=11),
}
"""Verbs that are killed, 102 times in one turn."""
