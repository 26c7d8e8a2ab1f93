"""Processes of this machine. They end when the process that started them is gone, however it went."""

import errno
import logging
import math
import os
import signal
import sys
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any

from equireg.errors import EquiregError, PrintableFormatter
from equireg.processes.cores import usable_cores
from equireg.processes.memory import own_process, room_for_a_thread
from equireg.processes.workers.starting import without_main
from equireg.processes.workers.tasks import WorkerDiedError, guarded

_NO_SHARED_MEMORY = (None, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ENOSYS, errno.ENOSPC)


class NoProcessError(EquiregError):
    """This machine lets no further process begin."""


class LocalProcesses:
    """Processes that share this machine's cores and GPUs; each is a pool of its own, so that a death names its task.

    Args:
        jobs: how many.
        gpus: GPUs that each computes on, at most; 0 where none is used.

    Raises:
        NoProcessError: if there is no shared memory, which processes need.
    """

    def __init__(self, jobs: int, gpus: float = 0) -> None:
        self._jobs, self._gpus = jobs, gpus
        self._places: dict[ProcessPoolExecutor, int] = {}
        self._context = get_context("spawn")
        self._ends, self._lifeline = self._context.Pipe(duplex=False)
        self._busy: dict[Future[Any], ProcessPoolExecutor] = {}
        self._idle: list[ProcessPoolExecutor] = []
        self._idle.append(self._new_process())  # here, so that a machine that cannot have any says so

    def room(self) -> int:
        """Return the number of processes."""
        return self._jobs

    def begin(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Future[Any]:
        """Give a task to a process that has none."""
        pool = self._idle.pop() if self._idle else self._new_process()
        with without_main():
            future = pool.submit(guarded, function, *arguments)
        self._busy[future] = pool
        return future

    def wait(self, begun: Collection[Future[Any]]) -> Future[Any]:
        """Return one of the begun tasks that has ended."""
        return next(iter(wait(begun, return_when=FIRST_COMPLETED).done))

    def result(self, ended: Future[Any]) -> Any:
        """Return what a task that has ended returned.

        Raises:
            WorkerDiedError: if its process died.
        """
        pool = self._busy.pop(ended)
        try:
            result = ended.result()
        except BrokenProcessPool as error:
            pool.shutdown()
            del self._places[pool]
            raise WorkerDiedError("its process died") from error
        self._idle.append(pool)
        return result

    def close(self, *, cut: bool) -> None:
        """End all processes: after the tasks that they work on, or at once."""
        if cut:
            self._lifeline.close()
        for pool in (*self._idle, *self._busy.values()):
            pool.shutdown(cancel_futures=True)
        self._lifeline.close()
        self._ends.close()

    def _new_process(self) -> ProcessPoolExecutor:
        threads = max(1, usable_cores() // self._jobs)
        place = min(set(range(self._jobs)) - set(self._places.values()))
        visible = gpus_of(place, visible_gpus(), self._gpus) if self._gpus else None
        given = (self._ends, threads, visible)
        try:
            pool = ProcessPoolExecutor(1, mp_context=self._context, initializer=_begin, initargs=given)
        except (OSError, ImportError, RuntimeError) as error:  # of a semaphore, which lies in shared memory
            if getattr(error, "errno", None) not in _NO_SHARED_MEMORY:
                raise
            raise NoProcessError(
                f"no further process can be begun ({error}): processes need shared memory (/dev/shm) to wait for each "
                "other. Mount it so that it can be written (of a container: --shm-size=1g)"
            ) from error
        self._places[pool] = place
        return pool


def gpus_of(place: int, gpus: Sequence[str], each: float) -> str | None:
    """Return the GPUs of one of several workers, as ``CUDA_VISIBLE_DEVICES`` takes them; None where there are none.

    Workers take them in turn, so that each has its own as long as they suffice.

    Args:
        place: of the worker among all, from 0.
        gpus: names of the GPUs that there are.
        each: GPUs a worker computes on; a part of one counts as one.
    """
    count = min(math.ceil(each), len(gpus))
    return ",".join(gpus[(place * count + index) % len(gpus)] for index in range(count)) or None


def visible_gpus() -> list[str]:
    """Return the names of the GPUs that this process may use, without a context on any of them."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name.strip() for name in given.split(",") if name.strip() not in ("", "-1")]
    import torch

    return [str(index) for index in range(torch.cuda.device_count())]


def _begin(ends: Connection, threads: int, gpus: str | None) -> None:
    """Give a process its part of the cores and GPUs, and let it end with the one that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches both; the other decides what becomes of this one
    room_for_a_thread()
    Thread(target=_end_with, args=(ends,), daemon=True).start()
    own_process()
    os.environ["OMP_NUM_THREADS"] = str(threads)  # torch reads it when it is imported
    if gpus is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpus  # read when CUDA is first used
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    _log_warnings()


def _log_warnings() -> None:
    """Show warnings alone; messages of level INFO go to files, such as a run's log."""
    logger = logging.getLogger("equireg")
    logger.setLevel(logging.INFO)
    logger.propagate = False
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    handler.setFormatter(PrintableFormatter("warning: %(message)s"))
    logger.handlers = [handler]
    logging.getLogger("equireg.headers").setLevel(logging.ERROR)  # told by the process that listed the files


def _end_with(ends: Connection) -> None:
    """End this process once nobody holds the other end of the pipe."""
    ends.poll(None)
    os._exit(1)
