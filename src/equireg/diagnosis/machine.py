"""Cores and memory: what the machine has, and what this process may take of it."""

import os
import platform
import shutil
from collections.abc import Callable
from pathlib import Path

from equireg.diagnosis.findings import GIB, Finding, failure, ok, warning
from equireg.processes.cores import usable_cores
from equireg.processes.memory import free_memory

_LEAST_GIB, _COMFORTABLE_GIB = 1.0, 4.0
"""A tiny model needs the first; the default model trains on a CPU within the second."""
_SHARED_GIB = 1.0
"""Shared memory that processes which read data, and those of several GPUs, fill easily."""


def check_cores(root: Path = Path("/")) -> Finding:
    """Compare the cores that may be used with those of the machine, and with OMP_NUM_THREADS.

    Args:
        root: where ``proc`` and ``sys`` lie.
    """
    allowed, machine, threads = usable_cores(root), os.cpu_count() or 1, os.environ.get("OMP_NUM_THREADS", "")
    found = f"{allowed} of the machine's {machine} may be used" if allowed < machine else f"{allowed}"
    found += f" ({_processor(root)})"
    if threads.isdecimal() and int(threads) > allowed:
        remedy = f"Set it to {allowed} or unset it; threads without a core of their own wait for each other."
        return warning("cores", f"{found}; OMP_NUM_THREADS is {threads}", remedy)
    if threads.isdecimal() and int(threads) < allowed:
        remedy = "Unset it, unless several commands are to share the machine."
        return warning("cores", f"{found}; OMP_NUM_THREADS is {threads}, so torch uses no more", remedy)
    return ok("cores", found)


def check_memory(root: Path = Path("/")) -> Finding:
    """Look at the memory that this process may still take: the machine's, capped by its container and limits.

    Args:
        root: where ``proc`` and ``sys`` lie.
    """
    free = min(free_memory(root), _address_limit()) / GIB
    found = f"{free:.1f} GiB may be taken"
    remedy = "End other programs, raise the limit of the container or batch job, or use a larger machine."
    if free < _LEAST_GIB:
        return failure("memory", f"{found}; a small model needs {_LEAST_GIB:g} GiB", remedy)
    if free < _COMFORTABLE_GIB:
        return warning(
            "memory", f"{found}; the default model trains in about {_COMFORTABLE_GIB:g} GiB on a CPU", remedy
        )
    return ok("memory", found)


def check_shared_memory(
    folder: Path = Path("/dev/shm"), usage: Callable[[Path], tuple[int, int, int]] = shutil.disk_usage
) -> Finding:
    """Look at the memory by which processes hand each other data; containers have 64 MiB by default.

    Args:
        folder: where it is mounted.
        usage: gives total, used and free bytes of a folder.
    """
    check = str(folder)
    try:
        total, _, free = usage(folder)
    except OSError:
        return ok(check, "not used by this system")
    found = f"{total / GIB:.2g} GiB, {free / GIB:.2g} GiB of it free"
    if free < _SHARED_GIB * GIB:
        return warning(
            check,
            f"{found}; too little for training on several GPUs and with --workers",
            "Start the container with --shm-size 8g, or train with --devices 1 --workers 0.",
        )
    return ok(check, found)


def _address_limit() -> float:
    """Return the limit of `ulimit -v`, bytes."""
    try:
        import resource
    except ImportError:  # Windows
        return float("inf")
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return float("inf") if limit == resource.RLIM_INFINITY else float(limit)


def _processor(root: Path) -> str:
    try:
        lines = (root / "proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
