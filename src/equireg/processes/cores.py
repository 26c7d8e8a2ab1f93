"""How many cores this process may use, which on a shared machine are fewer than it has."""

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from equireg.processes.control_groups import control_groups

_ROOT = Path("/")
_WORK_OF_A_THREAD = 100_000
"""Voxels times features below which a further thread costs more than it brings: 8 slices of 32 x 32 with 8 features are
no faster with two, 8 of 64 x 64 with 16 are."""
_LOOKS, _BETWEEN_S = 3, 0.005
"""How often, and after what time, is looked whether other programs run: the system's own work comes and goes."""


def usable_cores(root: Path = _ROOT) -> int:
    """Return the cores that this process may use: its affinity, its container's quota, the cores of its SLURM task.

    Args:
        root: where ``proc`` and ``sys`` lie.
    """
    known = [float(len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else float(os.cpu_count() or 1)]
    known += [quota for group in control_groups(root, "cpu") if (quota := _quota(group)) is not None]
    if os.environ.get("SLURM_CPUS_PER_TASK", "").isdecimal():
        known.append(float(os.environ["SLURM_CPUS_PER_TASK"]))
    return max(1, int(min(known)))


def wait_without_spinning(root: Path = _ROOT) -> None:
    """Let threads that wait for each other sleep where other programs run; before torch is imported.

    By default a thread of OpenMP that has done its part keeps its core busy until the others have done theirs. On an
    idle machine that is fast. Where another program holds one of the cores, the others then wait for the very thread
    that they keep from a core. Nothing is changed where the user has set how threads wait.

    Args:
        root: where ``proc`` lies.
    """
    given = any(name in os.environ for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"))
    if not given and others_running(root) > (os.cpu_count() or 1) - usable_cores(root):
        os.environ["OMP_WAIT_POLICY"] = "PASSIVE"


def take_lists_of_threads() -> None:
    """Let numexpr start, which blosc2 imports, where ``OMP_NUM_THREADS`` is no number: OpenMP takes ``4,2`` too."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given and not given.strip().isdecimal():
        os.environ.setdefault("NUMEXPR_NUM_THREADS", "1")


def others_running(root: Path) -> int:
    """Return how many threads of other programs run or wait for a core, the least of a few looks; Linux alone tells.

    Args:
        root: where ``proc`` lies.
    """
    seen = []
    for look in range(_LOOKS):
        time.sleep(_BETWEEN_S if look else 0)
        try:  # three averages, then "running/all", this thread among them
            seen.append(int((root / "proc/loadavg").read_text(encoding="ascii").split()[3].split("/")[0]) - 1)
        except (OSError, ValueError, IndexError):
            return 0
    return max(0, min(seen))


@contextmanager
def threads_that_fit(work: float = math.inf) -> Iterator[None]:
    """Let torch compute with no more threads than there are usable cores, within the block.

    Torch follows the affinity automatically, but not a container's quota. ``OMP_NUM_THREADS`` is the user's own choice.

    Args:
        work: voxels of a step times features of the network; a thread is not worth its cost for less than a part of it.
    """
    import torch

    before, fit = torch.get_num_threads(), max(1, int(min(usable_cores(), work / _WORK_OF_A_THREAD)))
    if before <= fit or "OMP_NUM_THREADS" in os.environ:
        yield
        return
    torch.set_num_threads(fit)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def one_itk_thread() -> Iterator[None]:
    """Let ITK compute on one thread within the block: last digits follow their number, and scans go side by side."""
    import SimpleITK as sitk

    threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)


def _quota(group: Path) -> float | None:
    """Return the cores that one control group grants, of either version; None where it sets no limit."""
    try:
        if (group / "cpu.max").is_file():  # version 2
            quota, period = (group / "cpu.max").read_text(encoding="ascii").split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text(encoding="ascii").strip()
            period = (group / "cpu.cfs_period_us").read_text(encoding="ascii").strip()
        return None if quota in ("max", "-1") else int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None
