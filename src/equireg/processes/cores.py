"""How many cores this process may use, which on a shared machine are fewer than it has."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ROOT = Path("/")


def usable_cores(root: Path = _ROOT) -> int:
    """Return the cores that this process may use: its affinity, its container's quota, the cores of its SLURM task.

    Args:
        root: where ``proc`` and ``sys`` lie.
    """
    known = [float(len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else float(os.cpu_count() or 1)]
    known += _quotas(root)
    if os.environ.get("SLURM_CPUS_PER_TASK", "").isdigit():
        known.append(float(os.environ["SLURM_CPUS_PER_TASK"]))
    return max(1, int(min(known)))


@contextmanager
def threads_that_fit() -> Iterator[None]:
    """Let torch compute with no more threads than there are usable cores, within the block.

    Torch follows the affinity automatically, but not a container's quota. ``OMP_NUM_THREADS`` is the user's own choice.
    """
    import torch

    before = torch.get_num_threads()
    if before <= usable_cores() or "OMP_NUM_THREADS" in os.environ:
        yield
        return
    torch.set_num_threads(usable_cores())
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _quotas(root: Path) -> list[float]:
    """Return the cores that each control group about this process grants; nothing where it sets no limit."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        mounts = [""] if not controllers else [controllers, "cpu"] if "cpu" in controllers.split(",") else []
        for mount in mounts:
            group = root / "sys/fs/cgroup" / mount
            # In a container the path may be the host's, of which the container sees the last part alone.
            places = [group, *(group.joinpath(*_parts(path)[:end]) for end in range(1, len(_parts(path)) + 1))]
            found += [quota for place in places if (quota := _quota(place)) is not None]
    return found


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.split("/") if part not in ("", ".."))


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
