"""Tasks for workers of every kind: other processes import them from here, or get them by value."""

import os
import signal
import time
from pathlib import Path

from equireg.errors import UsageError


def die_until(tries: int, folder: Path, name: str) -> int:
    """Kill the process at the first tries; return how many there were."""
    count = len(list(folder.glob(f"{name}-*")))
    (folder / f"{name}-{count}").touch()
    if count < tries:
        os.kill(os.getpid(), signal.SIGKILL)
    return count + 1


def double(number: int) -> int:
    if number < 0:
        raise UsageError(f"got {number}")
    if number == 0:
        raise RuntimeError("nought")
    return 2 * number


def seen_gpus(_: int) -> str | None:
    time.sleep(0.2)  # so that both workers get tasks
    return os.environ.get("CUDA_VISIBLE_DEVICES")
