"""Tasks for workers of every kind: other processes import them from here, or get them by value."""

import os
import signal
from pathlib import Path


def die_until(tries: int, folder: Path, name: str) -> int:
    """Kill the process at the first tries; return how many there were."""
    count = len(list(folder.glob(f"{name}-*")))
    (folder / f"{name}-{count}").touch()
    if count < tries:
        os.kill(os.getpid(), signal.SIGKILL)
    return count + 1
