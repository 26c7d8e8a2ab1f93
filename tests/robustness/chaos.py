"""The engine of the attack on processes: verbs that are killed at random moments, and begun again.

A verb runs in a fork of this process, in which the heavy libraries are loaded already, with the command line's own
way in. It is killed after a random part of the time that it takes undisturbed; then the same command runs again.
The result must be the undisturbed one.
"""

import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from disturbed_verbs import VERBS, Verb

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
LONGEST_S = 300
HOMES = {"prepare": "prepared", "train": "run", "predict": "predictions", "evaluate": "evaluation"}
"""Verbs whose undisturbed output others begin with, and its name."""


@dataclass
class Ground:
    """Small inputs of all verbs, and the undisturbed results."""

    root: Path
    places: dict[str, str] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)


def start(arguments: Sequence[str], errors: Path, before: Callable[[], None] = lambda: None) -> int:
    """Begin a command in a fork of this process, in a group of its own; return its pid."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        os.setsid()
        for number in SIGNALS[1:]:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        out = os.open(errors, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        before()
        from equireg.cli import main

        sys.argv = ["equireg", *arguments]
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        code = main()
    except KeyboardInterrupt:
        code = 130
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def wait(pid: int, seconds: float = LONGEST_S) -> int:
    """Wait for a process; return its exit code, or minus the signal that ended it; end it when it takes too long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise TimeoutError(f"process {pid} took more than {seconds} s")


def prepare_ground(root: Path, verbs: Sequence[str] = tuple(VERBS)) -> Ground:
    """Make the inputs, and do every verb once undisturbed."""
    _load_heavy()
    from equireg.phantom import PhantomConfig, write_dataset

    root.mkdir(parents=True, exist_ok=True)
    ground = Ground(root)
    raw = write_dataset(root / "raw", PhantomConfig(cases=6, shape=(32, 32, 16), spacing_mm=(6.0, 6.0, 8.0), masked=5))
    ground.places = {"raw": str(raw), "sweep": str(root / "sweep.yaml")}
    for name in (*HOMES.values(), "masks"):
        ground.places[name] = str(root / name)
    options = {"network.features": 4, "max_steps": 4, "val_every": 2, "batch_size": 2, "unsup_ratio": 1}
    sweep = {
        "prepared": "prepared",
        "train": {**options, "device": "cpu", "precision": "32"},
        "predict": {"device": "cpu", "precision": "32", "test_time": "none"},
        "grid": {"method": ["supervised", "equireg"], "sup_cases": [1]},
    }
    (root / "sweep.yaml").write_text(json.dumps(sweep))
    for name, verb in VERBS.items():
        if name not in verbs and name not in HOMES:
            continue
        out = _begun(verb, ground, root / HOMES.get(name, name))
        begin = time.monotonic()
        code = wait(start(_words(verb, ground, out), root / "errors.txt"))
        ground.seconds[name] = time.monotonic() - begin
        if code:
            raise RuntimeError(f"{name} undisturbed: exit code {code}\n{(root / 'errors.txt').read_text()}")
        ground.results[name] = verb.result(out)
        if name == "prepare":
            _draw_masks(out, root / "masks")
    return ground


def _draw_masks(prepared: Path, folder: Path) -> None:
    """Write a mask for each training case that has none."""
    from equireg.folders.prepared import PreparedSet
    from equireg.imaging.volume import write_label

    folder.mkdir()
    for case in PreparedSet(prepared).manifest.cases:
        if case.split == "train" and not case.labelled:
            geometry = case.working_grid().native
            values = np.zeros(geometry.shape, np.uint8)
            values[8:14, 8:14, 4:8] = 1
            write_label(folder / f"{case.name}.nii.gz", values, geometry)


def _begun(verb: Verb, ground: Ground, out: Path) -> Path:
    """Return an output as its verb expects it: a copy of a place, where it changes one."""
    if verb.copies is not None:
        shutil.copytree(ground.places[verb.copies], out)
    return out


def kill(ground: Ground, name: str, number: int, seed: int = 0) -> str | None:
    """Kill a verb at a random moment and run it again; return what is wrong, or None."""
    verb = VERBS[name]
    rng = np.random.default_rng([seed, sorted(VERBS).index(name), number])
    how, when = SIGNALS[int(rng.integers(len(SIGNALS)))], float(rng.uniform(0.02, 1.0)) * ground.seconds[name]
    folder = ground.root / f"{name}-{number}"
    out, errors, temporary = folder / "out", folder / "errors.txt", folder / "tmp"
    temporary.mkdir(parents=True)

    def own_temporary_folder() -> None:
        os.environ["TMPDIR"] = str(temporary)
        tempfile.tempdir = None

    what = f"{name} killed by {how.name} after {when:.2f} s of {ground.seconds[name]:.2f} s"
    pid = start(_words(verb, ground, _begun(verb, ground, out)), errors, own_temporary_folder)
    time.sleep(when)
    with contextlib.suppress(ProcessLookupError):
        (os.killpg if how == signal.SIGINT else os.kill)(pid, how)
    try:
        wait(pid)
        if how == signal.SIGKILL:
            _wait_for_group(pid)
        problem = _shown(errors) or _half_made(verb, out, ground.results[name])
        if problem is None:
            again, ended = (verb.again if _goes_on(out) else ()), verb.whole(out)
            code = wait(start([*_words(verb, ground, out), *again], errors, own_temporary_folder))
            code = 0 if ended else code  # what is finished may be refused, and stays as it is
            problem = f"exit code {code}: {errors.read_text()[-300:]}" if code else None
            problem = problem or _differs(verb, out, ground.results[name]) or _left(folder, temporary)
    except TimeoutError as error:
        problem = str(error)
    if problem is None:
        shutil.rmtree(folder)
        return None
    return f"{what}: {problem}"


def race(ground: Ground, name: str) -> str | None:
    """Begin a verb twice at once on one folder; return what is wrong, or None."""
    verb, folder = VERBS[name], ground.root / f"{name}-race"
    folder.mkdir()
    out, errors = folder / "out", [folder / "first.txt", folder / "second.txt"]
    pids = [start(_words(verb, ground, out), path) for path in errors]
    codes = [wait(pid) for pid in pids]
    told = [path.read_text() for path in errors]
    fair = ("is in use by process", "exists already", "is a run already")
    for code, text in zip(codes, told, strict=True):
        if code and not any(words in text for words in fair):
            return f"exit code {code}: {text[-300:]}"
    problem = None if 0 in codes else f"neither process worked: {told}"
    return problem or _differs(verb, out, ground.results[name]) or _left(folder, folder)


def starve(ground: Ground, name: str, before: Callable[[], None], *more: str) -> tuple[int, str]:
    """Run a verb in a process that ``before`` has taken something from; return its exit code and what it tells.

    What worked is compared with the undisturbed result; ``more`` are further words of the command.
    """
    verb, folder = VERBS[name], Path(tempfile.mkdtemp(prefix=f"{name}-", dir=ground.root))
    code = wait(start([*_words(verb, ground, folder / "out"), *more], folder / "told.txt", before))
    told = (folder / "told.txt").read_text()
    if code == 0 and (problem := _differs(verb, folder / "out", ground.results[name])):
        return 1, f"{told}{problem}"
    return code, told


def _words(verb: Verb, ground: Ground, out: Path) -> list[str]:
    return [word.format(out=out, **ground.places) for word in verb.command]


def _goes_on(out: Path) -> bool:
    return (out / "config.yaml").is_file() or (out / "underway.json").is_file()


def _shown(errors: Path) -> str | None:
    text = errors.read_text()
    wrong = [word for word in ("Traceback", "(unexpected", "Segmentation") if word in text]
    return f"shows {wrong[0]}: {text[-400:]}" if wrong else None


def _half_made(verb: Verb, out: Path, expected: Any) -> str | None:
    """Say so if an output looks finished and is not."""
    if not verb.whole(out):
        return None
    problem = _differs(verb, out, expected)
    return f"looks whole and is not: {problem}" if problem else None


def _differs(verb: Verb, out: Path, expected: Any) -> str | None:
    try:
        found = verb.result(out)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        return f"the result cannot be read: {error}"
    return None if found == expected else "the result is another"


def _left(folder: Path, temporary: Path) -> str | None:
    hidden = [path for path in folder.rglob(".*") if ".partial-" in path.name or path.name.endswith(".lock")]
    marks = list(folder.rglob("underway.json"))
    # What a killed process cannot remove lies in the system's folder for it; only ours counts.
    ours = [path for path in temporary.iterdir() if path.name.startswith("equireg")]
    left = [*hidden, *marks, *ours]
    return f"left behind: {left[0].relative_to(folder)}" if left else None


def _wait_for_group(pid: int) -> None:
    """Wait until the children of a killed process have ended too; they notice it by themselves."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.killpg(pid, 0)
        except (ProcessLookupError, PermissionError):
            return
        time.sleep(0.05)
    os.killpg(pid, signal.SIGKILL)
    raise TimeoutError("the children of the killed process did not end within 20 s")


def _load_heavy() -> None:
    """Load what every verb needs, so that a fork of this process begins at once; no thread may run yet."""
    import torch

    import equireg.annotation.adopt
    import equireg.annotation.suggest
    import equireg.evaluation.evaluate
    import equireg.exporting.export
    import equireg.exporting.pack
    import equireg.pipeline.sweep
    import equireg.planning.plan
    import equireg.prediction.predict
    import equireg.preparation.prepare
    import equireg.reporting.build
    import equireg.training.train
    import equireg.viewing.view  # noqa: F401

    torch.set_num_threads(1)
