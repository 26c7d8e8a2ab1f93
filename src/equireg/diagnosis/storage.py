"""Folders: whether they can be written, how fast, how much room there is, and whether locks hold."""

import os
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from equireg.diagnosis.findings import GIB, Finding, failure, ok, warning
from equireg.disk.faults import disk_errors
from equireg.errors import EquiregError

_LEAST_GIB, _COMFORTABLE_GIB = 1.0, 10.0
"""Room for a small data set; room for a usual one, with its runs."""
_SLOW_MIB_S = 20.0
"""Below this the disk is slower than training reads."""
_TEMPORARY = "temporary folder"
SET_TMPDIR = "Set TMPDIR to a folder that can be written."
"""What helps where there is no temporary folder."""
_BLOCK, _MOST_BLOCKS, _MOST_S = 2**20, 64, 2.0
"""Bytes of a block that is written at once, most of them, and seconds after which writing stops."""


def check_storage(folder: Path | None) -> Iterator[Finding]:
    """Yield what is found of the folder that is given, or of the current one, and of the temporary folder.

    Args:
        folder: where data and runs are to lie; None for the current folder, which need not be writable.
    """
    place = Path.cwd() if folder is None else folder
    written = check_writing(place, "current folder" if folder is None else "given folder", needed=folder is not None)
    yield written
    if written.state == "ok":
        yield check_room(place)
        yield check_speed(place)
        yield check_locks(place)
    try:
        temporary = Path(tempfile.gettempdir())
    except OSError as error:  # none of the usual ones can be written
        yield failure(_TEMPORARY, f"none can be written ({error})", SET_TMPDIR)
    else:
        yield check_writing(temporary, _TEMPORARY, needed=True)


def check_writing(folder: Path, check: str, needed: bool) -> Finding:
    """Write a file under a hidden name, move it to its place, and remove both.

    Args:
        folder: where to write.
        check: name of the line.
        needed: whether something will not work where this fails.
    """
    remedy = SET_TMPDIR if check == _TEMPORARY else "Change its permissions, or use another."
    try:
        with disk_errors(folder), tempfile.TemporaryDirectory(prefix=".equireg-doctor-", dir=folder) as inside:
            part, whole = Path(inside, "part"), Path(inside, "whole")
            part.write_bytes(b"equireg")
            part.replace(whole)
            if whole.read_bytes() != b"equireg":
                return failure(check, f"{folder}: does not give back what was written", "Check the disk.")
    except (EquiregError, OSError) as error:
        bad = failure if needed else warning
        return bad(check, f"{folder}: cannot be written ({error})", remedy)
    return ok(check, f"{folder}: can be written")


def check_room(folder: Path, usage: Callable[[Path], tuple[int, int, int]] = shutil.disk_usage) -> Finding:
    """Look at the free space.

    Args:
        folder: where data and runs are to lie.
        usage: gives total, used and free bytes of a folder.
    """
    free = usage(folder)[2] / GIB
    found, remedy = f"{free:.1f} GiB free", "Free some space, or use a folder on another disk."
    if free < _LEAST_GIB:
        return failure("free space", f"{found}; a small data set with its runs needs {_LEAST_GIB:g} GiB", remedy)
    if free < _COMFORTABLE_GIB:
        return warning("free space", f"{found}; a usual data set with its runs needs {_COMFORTABLE_GIB:g} GiB", remedy)
    return ok("free space", found)


def check_speed(folder: Path, clock: Callable[[], float] = time.perf_counter) -> Finding:
    """Write up to 64 MiB through to the disk, and read them again.

    Args:
        folder: where to write.
        clock: gives the time, s.
    """
    block = os.urandom(_BLOCK)  # a file system that packs cannot pack this
    try:
        with tempfile.TemporaryFile(prefix=".equireg-doctor-", dir=folder) as file:
            begin, count = clock(), 0
            while count < _MOST_BLOCKS and clock() - begin < _MOST_S:
                file.write(block)
                file.flush()
                os.fsync(file.fileno())
                count += 1
            middle = clock()
            if hasattr(os, "posix_fadvise"):  # so that the disk is read, not the memory that keeps what was written
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            file.seek(0)
            while file.read(_BLOCK):
                pass
            end = clock()
    except OSError as error:
        return failure("disk speed", f"writing {_MOST_BLOCKS} MiB fails ({error})", "Use a folder on another disk.")
    writing, reading = (count / max(seconds, 1e-9) for seconds in (middle - begin, end - middle))
    found = f"{writing:.0f} MiB/s written, {reading:.0f} MiB/s read ({count} MiB, block by block)"
    if min(writing, reading) < _SLOW_MIB_S:
        return warning("disk speed", found, "Keep prepared folders and runs on a local disk.")
    return ok("disk speed", found)


def check_locks(folder: Path) -> Finding:
    """Take a lock twice: the second must be refused, else two commands can write into one folder."""
    import filelock

    remedy = "Do not let two commands write into the same folder, or use a local disk."
    with warnings.catch_warnings(), tempfile.TemporaryDirectory(prefix=".equireg-doctor-", dir=folder) as inside:
        warnings.simplefilter("ignore")  # filelock warns where it turns to the file's existence by itself
        first, second = (filelock.FileLock(Path(inside, "lock"), thread_local=False) for _ in range(2))
        try:
            with first.acquire(timeout=0):
                try:
                    second.acquire(timeout=0)
                except filelock.Timeout:
                    return ok("locks", "hold")
                second.release()
        except OSError as error:
            return warning("locks", f"the file system knows none ({error}); files stand in for them", remedy)
    return warning("locks", "the file system grants the same one twice, so that they protect nothing", remedy)
