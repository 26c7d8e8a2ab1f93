"""How the process keeps its memory: freed blocks stay with it, so that the next step need not ask for them again."""

import ctypes
import gc
import os
import sys
from contextlib import suppress
from pathlib import Path

from equireg import windows
from equireg.processes.control_groups import control_groups

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
"""Options of glibc's ``mallopt``."""


_THREAD_BYTES = 2**24
"""Twice the usual stack of a thread."""

KILLED = -9
"""Exit code of a process that the system killed, usually because memory ran out; Windows has no such signal."""

_UNKNOWN_BYTES = 2.0**32
"""Taken for free where a system says nothing of its memory."""

_VERSION_2 = ("memory.max", "memory.current", "inactive_file")
_VERSION_1 = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
"""Files of a control group with its limit and what is used, and the name of the files that may be dropped."""

_OURS: list[bool] = []
"""Not empty where this process was started for equireg alone."""


def own_process() -> None:
    """Declare that this process was started for equireg alone, as the command line and workers are.

    A notebook's process is its user's; settings of the whole process are left alone there.
    """
    _OURS.append(True)


def free_memory(root: Path = Path("/")) -> float:
    """Return the bytes that this process may still take: the machine's, capped by its container or batch job.

    Args:
        root: where ``proc`` and ``sys`` lie.
    """
    known = [left for group in control_groups(root, "memory") if (left := _left(group)) is not None]
    try:
        lines = (root / "proc/meminfo").read_text(encoding="ascii").splitlines()
        known += [1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")]
    except (OSError, ValueError, IndexError):
        pass  # not Linux
    return min(known) if known else _guessed_memory()


def peak_memory() -> int:
    """Return the most bytes that this process has held in its life; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return windows.peak_memory() or 0
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _guessed_memory() -> float:
    """Return the bytes that are free on Windows; elsewhere half of what the machine has, as it does not say more."""
    available = windows.available_memory()
    if available is not None:
        return float(available)
    try:
        return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) / 2
    except (AttributeError, ValueError, OSError):
        return _UNKNOWN_BYTES


def _left(group: Path) -> float | None:
    """Return the bytes that one control group still grants, of either version; None where it sets no limit.

    What it counts as used holds files that were read; the system drops those that were not used lately.
    """
    version_2 = (group / "memory.max").is_file()
    limit, used, idle = _VERSION_2 if version_2 else _VERSION_1
    try:
        most = (group / limit).read_text(encoding="ascii").strip()
        if most == "max":
            return None
        left = float(most) - float((group / used).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return max(0.0, left + _stated(group / "memory.stat", idle))


def _stated(path: Path, name: str) -> float:
    """Return a number of a group's statistics; 0 where it is not there."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))
    except (OSError, ValueError, IndexError, StopIteration):
        return 0.0


def room_for_a_thread() -> None:
    """Refuse to begin a thread where memory is too short for it.

    Python waits for ever for a thread that begins and then finds no memory for its first call (``Thread.start`` waits
    for a sign that never comes). So there must be room for its stack and as much again; no page is touched.

    Raises:
        MemoryError: if there is not.
    """
    try:
        bytearray(_THREAD_BYTES)
    except MemoryError as error:
        raise MemoryError("there is no room for a further thread") from error


def keep_freed_memory() -> bool:
    """Let this process keep what it frees, if it is equireg's own; return whether that took.

    A step frees and asks for the same tensors over and over, and each time the system would hand out cleared pages,
    one page fault each. So no block gets a mapping of its own (glibc returns every mapped block to the system), the
    heap is not trimmed, and all threads use the same heap. Call it before threads start. The process keeps the most
    memory that it ever needed, which a training needs again in every step.
    Nothing is done beside glibc, or where the user's own settings of it are in the environment.
    """
    if not _OURS or sys.platform != "linux" or any(name.startswith("MALLOC_") for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except AttributeError:  # another C library
        return False
    return all([mallopt(_MMAP_MAX, 0), mallopt(_TRIM_THRESHOLD, -1), mallopt(_ARENA_MAX, 1)])


def return_freed_memory() -> None:
    """Give freed memory back to the system, also where ``keep_freed_memory`` keeps it; nothing is done beside glibc."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def is_own() -> bool:
    """Whether this process was started for equireg alone."""
    return bool(_OURS)
