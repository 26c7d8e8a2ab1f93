"""The control groups about this process: what a container, a batch job or a service may take of the machine."""

from collections.abc import Iterator
from pathlib import Path


def control_groups(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folder of each control group about this process that may limit something; none beside Linux.

    Args:
        root: where ``proc`` and ``sys`` lie.
        controller: of version 1, such as cpu; in version 2 a group holds all.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") > 1):
        own = controller in controllers.split(",")
        for mount in [""] if not controllers else [controllers, controller] if own else []:
            group = root / "sys/fs/cgroup" / mount
            yield group
            # In a container the path may be the host's, of which the container sees the last part alone.
            parts = [part for part in path.split("/") if part not in ("", "..")]
            yield from (group.joinpath(*parts[:end]) for end in range(1, len(parts) + 1))
