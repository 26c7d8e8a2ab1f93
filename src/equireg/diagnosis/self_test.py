"""Phantoms through all steps in a process of its own: prepare, train, predict, evaluate."""

import json
import logging
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from equireg.diagnosis.findings import Finding, failure, ok
from equireg.diagnosis.storage import SET_TMPDIR
from equireg.processes.memory import KILLED

STEPS = 20
"""Optimiser steps of the small training."""
_PATIENCE_S = 600.0
"""Time after which the process is given up, s."""
_CHECK = "self-test"
_SCRIPT = "import sys; from equireg.diagnosis.self_test import run_in_process; run_in_process(*sys.argv[1:])"


def check_by_running(device: str, command: Sequence[str] = (sys.executable, "-c", _SCRIPT)) -> Finding:
    """Run all steps in a new process, which may crash without harm; its folder is removed.

    Args:
        device: the option.
        command: what starts the process; folder and device follow.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="equireg-doctor-") as folder:
            done = subprocess.run(
                [*command, folder, device],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_PATIENCE_S,
                check=False,
                env={**os.environ, "TQDM_DISABLE": "1"},
            )
    except subprocess.TimeoutExpired:
        remedy = "Look whether other programs fill the machine, then try again, or with --device cpu."
        return failure(_CHECK, f"not done after {_PATIENCE_S:.0f} s", remedy)
    except OSError as error:
        return failure(_CHECK, f"it cannot be started ({error})", SET_TMPDIR)
    lines = done.stdout.strip().splitlines()
    if done.returncode == 0 and lines:
        return ok(_CHECK, _words(json.loads(lines[-1])))
    return failure(_CHECK, _reason(done, lines), _remedy(done.returncode))


def run_all(folder: Path, device: str) -> dict[str, float]:
    """Make phantoms, prepare, train for 20 steps, predict and evaluate.

    Args:
        folder: an empty folder.
        device: the option.

    Returns:
        Seconds of each step, and the mean Dice.

    Raises:
        EquiregError: of the step that fails.
        ValueError: if the score is no number.
    """
    from equireg.evaluation.evaluate import evaluate
    from equireg.phantom import PhantomConfig, write_dataset
    from equireg.prediction.predict import predict
    from equireg.preparation.prepare import prepare
    from equireg.training.train import train

    raw, prepared, run = folder / "raw", folder / "prepared", folder / "run"
    options: dict[str, Any] = {
        "method": "equireg",
        "network.features": 4,
        "batch_size": 2,
        "unsup_ratio": 1,
        "max_steps": STEPS,
        "val_every": STEPS,
        "logger": "none",
        "pictures_every": 0,
        "device": device,
    }
    write_dataset(raw, PhantomConfig(cases=5, shape=(32, 32, 16), spacing_mm=(6.0, 6.0, 8.0), masked=4))
    steps: dict[str, Callable[[], Any]] = {
        "prepare": lambda: prepare(raw, prepared, val_fraction=0.25, test_fraction=0.25, jobs=1),
        "train": lambda: train(prepared, run, **options),
        "predict": lambda: predict(run, prepared, folder / "predicted", split="test", device=device),
        "evaluate": lambda: evaluate(folder / "predicted", prepared, folder / "scores"),
    }
    seconds: dict[str, float] = {}
    result: Any = None
    for name, step in steps.items():
        begin = time.perf_counter()
        result = step()
        seconds[name] = time.perf_counter() - begin
    dice = float(result["mean"]["dice"])
    if not math.isfinite(dice):
        raise ValueError(f"the mean Dice is {dice}; expected a number")
    return {**seconds, "dice": dice}


def run_in_process(folder: str, device: str) -> None:
    """Be the process of the self-test: print seconds as JSON in the last line, or why a step failed."""
    from equireg.processes.memory import own_process

    own_process()
    logging.getLogger("equireg").addHandler(logging.NullHandler())
    logging.getLogger("equireg").propagate = False
    try:
        print(json.dumps(run_all(Path(folder), device)))
    except Exception as error:
        print(f"{type(error).__name__}: {' '.join(str(error).split())}")
        sys.exit(1)


def _words(seconds: dict[str, float]) -> str:
    parts = ", ".join(f"{name} {seconds[name]:.1f} s" for name in ("prepare", "train", "predict", "evaluate"))
    return f"{parts} ({STEPS} steps on phantoms)"


def _reason(done: "subprocess.CompletedProcess[str]", lines: Sequence[str]) -> str:
    """Say how the process failed."""
    if done.returncode < 0:
        return f"the process was ended by signal {-done.returncode} ({_signal(-done.returncode)})"
    if done.returncode == 1 and lines:
        return lines[-1]
    errors = done.stderr.strip().splitlines() or ["it said nothing"]
    return f"the process ended with exit code {done.returncode}: {errors[-1]}"


def _remedy(code: int) -> str:
    if code == KILLED:
        return "Usually memory ran out: end other programs, or use a machine with more memory."
    if code < 0:
        return "A library crashes: install torch and the others anew, made for this processor, GPU and driver."
    return "Mend what the message and the lines above name; `equireg demo --out D --debug` shows more."


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"
