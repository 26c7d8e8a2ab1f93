"""What a result of speed must say beside its numbers: machine, versions, command, commit, date."""

import datetime
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

EQUIREG = [sys.executable, "-c", "import sys; from equireg.cli import main; sys.exit(main(sys.argv[1:]))"]
"""The command `equireg` by this Python, whether or not it is on the path."""
_PACKAGES = ("equireg", "torch", "lightning", "monai", "numpy", "blosc2")


def facts(packages: Sequence[str] = ()) -> dict[str, Any]:
    """Return machine, versions, command, commit and date of this process.

    Args:
        packages: further distributions whose versions matter.
    """
    return {
        "machine": {
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        },
        "versions": {"python": platform.python_version(), **_versions((*_PACKAGES, *packages))},
        "command": shlex.join(["python", *sys.argv]),
        "commit": _commit(),
        "date": datetime.date.today().isoformat(),
    }


def in_turns(
    tasks: Mapping[str, Callable[[], object]],
    rounds: int,
    warm_up: int = 2,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Return the median seconds of each task, run in turns so that a busy machine slows all of them alike."""
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for turn in range(warm_up + rounds):
        for name, task in tasks.items():
            _wait()
            begin = clock()
            task()
            _wait()
            if turn >= warm_up:
                seconds[name].append(clock() - begin)
    return {name: statistics.median(values) for name, values in seconds.items()}


def write(path: Path, result: Mapping[str, Any]) -> None:
    """Write a result as JSON and show it."""
    text = json.dumps(result, indent=1)
    path.write_text(text + "\n", encoding="utf-8")
    print(text)


def _wait() -> None:
    """Wait for the GPU, whose work is only queued until then."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _commit() -> str:
    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", ":/src", ":/benchmarks")
    return git("rev-parse", "--short", "HEAD") + (" with changes" if changed else "")
