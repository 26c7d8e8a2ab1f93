"""The batches of a run, made in this process or by others that stay for the whole run."""

import errno
import os
from collections.abc import Callable, Iterator, Sized
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from equireg.batches.batch import Batch
from equireg.errors import EquiregError
from equireg.processes.cores import usable_cores
from equireg.processes.jobs import NO_OTHERS, may_start_others
from equireg.processes.memory import free_memory
from equireg.processes.workers import guarded
from equireg.processes.workers.starting import without_main

_PREFETCH = 4
"""Batches that each worker makes ahead."""
_TENSORS = 12
"""Tensors of a batch, at most; each takes an open file while it lies in shared memory."""
_OTHER_FILES = 64
"""Open files that a process needs besides."""
_DEFAULT_WORKERS = 4
_WORKER_BYTES = 2**28
"""Memory of a worker's own, before it holds a batch: mostly torch's."""
_TIMEOUT_S = 900.0
"""Longest time in which a batch must come, s."""
_SHARED_MEMORY = Path("/dev/shm")


def default_workers(batch_bytes: int) -> int:
    """Return how many workers read data that does not fit in memory: up to 4, as far as the machine allows."""
    for workers in range(min(_DEFAULT_WORKERS, usable_cores()), 0, -1):
        if _lack(workers, batch_bytes) is None:
            return workers
    return 0


def check_workers(workers: int, batch_bytes: int) -> None:
    """Refuse workers that the machine cannot carry; they would wait for ever.

    Raises:
        EquiregError: names what there is too little of, and what would do.
    """
    lack = _lack(workers, batch_bytes) if workers else None
    if lack is not None:
        raise EquiregError(
            f"--workers is {workers}, but {lack} Or give --workers 0: then this process reads the data itself."
        )


def _lack(workers: int, batch_bytes: int) -> str | None:
    """Say what there is too little of for so many workers, or None."""
    if not may_start_others():
        return f"{NO_OTHERS} Start the command with subprocess."
    files, most = _OTHER_FILES + workers * _PREFETCH * _TENSORS, _open_files()
    if most < files:
        return f"only {most} files may be open (ulimit -n); they need about {files}. Raise it: `ulimit -n {files}`."
    left, own = free_memory(), workers * _WORKER_BYTES
    if left < own:
        return f"{_size(left)} of memory are free; they need about {_size(own)}. Give fewer --workers."
    memory = (workers * _PREFETCH + 1) * batch_bytes
    free = _free_shared_memory()
    if free is not None and free < memory:
        found, wanted = (_size(size) for size in (free, memory))
        return (
            f"{_SHARED_MEMORY} has {found} free; they need about {wanted} there. Give fewer --workers, or more shared "
            "memory (of a container: --shm-size=8g or --ipc=host)."
        )
    return None


def _size(count: float) -> str:
    """Write bytes in the unit that leaves digits to read."""
    power, unit = next((pair for pair in ((30, "GB"), (20, "MB"), (10, "KB")) if count >= 2 ** pair[0]), (0, "bytes"))
    return f"{count / 2**power:,.3g} {unit}"


def _open_files() -> int:
    """Return how many files a process may open, raised as far as the user may raise it."""
    try:
        import resource
    except ImportError:  # Windows
        return 2**16
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = 2**16 if hard == resource.RLIM_INFINITY else hard
    if soft == resource.RLIM_INFINITY or soft >= most:
        return 2**16 if soft == resource.RLIM_INFINITY else soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 2**16), hard))
    except (OSError, ValueError):
        return soft
    return min(most, 2**16)


def _free_shared_memory() -> float | None:
    """Return the bytes that are free for tensors between processes; None where the system has no such folder."""
    if os.name != "posix" or not Path("/proc").is_dir():
        return None
    try:
        state = os.statvfs(_SHARED_MEMORY)
    except OSError:
        return 0.0
    return float(state.f_bavail * state.f_frsize)


class StepLoader:
    """The batches of a run from a step on; workers stay from one validation to the next.

    Args:
        source: the batch of step k as item k.
        first: the first step.
        last: the step after the last one.
        workers: processes that make batches; 0 for this one.
        pinned: put batches in page-locked memory.
    """

    def __init__(self, source: Dataset[Batch], first: int, last: int, *, workers: int, pinned: bool) -> None:
        self.step = first
        loader: DataLoader[Any] = DataLoader(
            _Guarded(source) if workers else source,
            batch_size=None,
            sampler=range(first, last),  # pyright: ignore[reportArgumentType]
            num_workers=workers,
            pin_memory=pinned,
            prefetch_factor=_PREFETCH if workers else None,
            # Forked workers would inherit locks of threads that they do not have, blosc2's among them.
            multiprocessing_context="spawn" if workers else None,
            worker_init_fn=_begin if workers else None,
            timeout=_TIMEOUT_S if workers else 0,
            generator=torch.Generator(),  # else a draw from the process' own
        )
        with without_main():
            self._batches: Iterator[Any] | None = iter(loader)

    def until(self, step: int) -> "Interval":
        """Return the batches up to a step, of which the last is that of the step before it."""
        return Interval(self, step - self.step)

    def until_told(self, ends: Callable[[int], bool]) -> "OpenInterval":
        """Return the batches up to the first step after which ``ends`` is true; it is asked on the way."""
        return OpenInterval(self, ends)

    def next(self) -> Batch:
        """Return the batch of the next step.

        Raises:
            EquiregError: if a worker could not make it.
        """
        if self._batches is None:
            raise RuntimeError("the batches are closed")
        try:
            batch = next(self._batches)
        except (RuntimeError, OSError) as error:
            raise _explained(error) from error
        if isinstance(batch, EquiregError):
            raise batch
        self.step += 1
        return batch

    def close(self) -> None:
        """End the workers."""
        self._batches = None


class Interval(Sized):
    """The next batches of a run, as many as lie before the next validation."""

    def __init__(self, loader: StepLoader, count: int) -> None:
        self._loader, self._count = loader, count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Batch]:
        for _ in range(self._count):
            yield self._loader.next()


class OpenInterval:
    """The next batches of a run, up to a step that is not known yet; so they have no length."""

    def __init__(self, loader: StepLoader, ends: Callable[[int], bool]) -> None:
        self._loader, self._ends = loader, ends
        self._first: Batch | None = None

    def __iter__(self) -> Iterator[Batch]:
        # Lightning, which takes one batch ahead where there is no length, may begin twice: with the same batch.
        if self._first is None:
            self._first = self._loader.next()
        yield self._first
        self._first = None
        while not self._ends(self._loader.step):
            yield self._loader.next()


class _Guarded(Dataset[Any]):
    """Batches, or the error that the user must see in place of one."""

    def __init__(self, source: Dataset[Batch]) -> None:
        self._source = source

    def __getitem__(self, step: int) -> Batch | EquiregError:
        return guarded(self._source.__getitem__, step)


def _begin(_: int) -> None:
    """Prepare a worker: it reads with one thread, and leaves Ctrl-C to the process that started it."""
    import signal

    import blosc2

    blosc2.set_nthreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _explained(error: Exception) -> Exception:
    """Return an error of the worker processes in words that help; any other as it is."""
    text = " ".join(str(error).split())
    if getattr(error, "errno", None) in (errno.EMFILE, errno.ENFILE) or "Too many open files" in text:
        return EquiregError(f"too many files are open ({text}). Raise `ulimit -n`, or give fewer --workers or 0.")
    if "Bus error" in text or "shared memory" in text:
        return EquiregError(
            "a process that reads data ran out of shared memory. Give fewer --workers or 0, or more shared memory "
            "(of a container: --shm-size=8g or --ipc=host)."
        )
    if "timed out" in text:
        return EquiregError(
            f"no batch came for {_TIMEOUT_S:.0f} s from the processes that read data. Check the disk of the prepared "
            "folder, or give --workers 0; --resume continues from the last checkpoint, if there is one."
        )
    if "DataLoader worker" in text:
        return EquiregError(
            f"a process that reads data was killed, usually because memory ran out ({text}). Give fewer --workers or "
            "0; --resume continues from the last checkpoint, if there is one."
        )
    return error
