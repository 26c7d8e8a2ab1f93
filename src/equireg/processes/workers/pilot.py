"""What a job of a cluster's queue does: it takes tasks out of a folder, one by one, until the folder is closed.

One job takes many tasks, so that the start of Python and of torch, and the wait in the queue, are paid once.
"""

import os
import pickle
import time
from contextlib import suppress
from pathlib import Path

from equireg import disk
from equireg.processes.cores import usable_cores
from equireg.processes.memory import own_process
from equireg.processes.workers.tasks import guarded

WAITING, TAKEN, DONE, CLOSED, ALIVE = "waiting", "taken", "done", "closed", "alive"
"""Names in the folder of tasks: three folders, and two empty files."""

_LOOK_SECONDS = 0.5
_ORPHAN_SECONDS = 900
"""A job ends where the command that gives out tasks has shown no life for so long."""


def work(folder: Path) -> int:
    """Take tasks until the folder is closed, gone, or its owner gives no sign of life; return how many were done.

    Args:
        folder: on a disk that this machine and the command's machine see. ``waiting/7`` is a task, the pickle of a
            function and its arguments. It becomes ``taken/7.JOB``, with the job's number, and its result ``done/7``.
    """
    own_process()
    os.environ.setdefault("OMP_NUM_THREADS", str(usable_cores()))  # torch reads it when it is imported
    done = 0
    while not (folder / CLOSED).exists() and _owner_lives(folder):
        taken = _take(folder)
        if taken is None:
            time.sleep(_LOOK_SECONDS)
            continue
        function, arguments = pickle.loads(taken.read_bytes())
        disk.write_atomic(folder / DONE / taken.stem, pickle.dumps(guarded(function, *arguments)))
        done += 1
    return done


def job_number() -> str:
    """Return the number of the job that this process is."""
    import submitit

    return str(submitit.JobEnvironment().job_id)


def _take(folder: Path) -> Path | None:
    """Claim the oldest task that waits; a rename succeeds for one job alone."""
    try:
        waiting = sorted(entry.name for entry in os.scandir(folder / WAITING) if not entry.name.startswith("."))
    except FileNotFoundError:
        return None
    for name in waiting:
        taken = folder / TAKEN / f"{name}.{job_number()}"
        with suppress(FileNotFoundError):
            os.rename(folder / WAITING / name, taken)
            return taken
    return None


def _owner_lives(folder: Path) -> bool:
    try:
        return time.time() - (folder / ALIVE).stat().st_mtime < _ORPHAN_SECONDS
    except FileNotFoundError:
        return False
