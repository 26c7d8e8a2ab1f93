"""Hidden names of what is not complete yet, and what a killed process left of them."""

import os
import re
import shutil
from pathlib import Path

from equireg import windows

_PARTIAL = re.compile(r"\.(?P<name>.+)\.partial-(?P<pid>\d{1,10})(\.nii\.gz|\.nrrd|\.dcm)?")
TASKS = ".tasks"
"""What follows an output folder's name in the name of the folder, beside it, of tasks for a cluster's queue."""
_DEEP = 4
"""Levels of an output folder that are searched: prepared/cases/NAME/file is the deepest."""


def partial_name(path: Path, ending: str = "") -> Path:
    """Return the hidden name beside ``path`` under which this process makes it; ``ending`` is kept at the end."""
    return path.with_name(f".{path.name.removesuffix(ending)}.partial-{os.getpid()}{ending}")


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes left unfinished: beside the folder under its name, and in it.

    To be called under the folder's lock, before this process writes to it. Names of processes that run are kept.
    """
    if folder.parent.is_dir():
        _remove(folder.parent, of=folder.name)
    if folder.is_dir():
        _search(folder, _DEEP)


def process_runs(pid: int) -> bool:
    """Return whether a process of this machine has this number."""
    if pid <= 0:
        return False
    known = windows.process_runs(pid)
    if known is not None:
        return known
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's
        return True
    return True


def _search(folder: Path, levels: int) -> None:
    _remove(folder)
    if levels > 1:
        with os.scandir(folder) as entries:
            below = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
        for path in below:
            _search(Path(path), levels - 1)


def _remove(folder: Path, of: str | None = None) -> None:
    """Remove unfinished files and folders directly in ``folder``; only those of the name ``of`` if given."""
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if entry.name.startswith(".")]
    except OSError:
        return
    for entry in found:
        match = _PARTIAL.fullmatch(entry.name)
        if match is None or entry.is_symlink() or (of is not None and match["name"].removesuffix(TASKS) != of):
            continue
        pid = int(match["pid"])
        if pid != os.getpid() and process_runs(pid):
            continue
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
        else:
            Path(entry.path).unlink(missing_ok=True)
