"""One process an output folder: a lock beside the folder, which names its holder."""

import errno
import os
import socket
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from equireg.disk.faults import disk_errors
from equireg.disk.leftovers import process_runs, remove_leftovers
from equireg.errors import EquiregError

if TYPE_CHECKING:
    import filelock

IN_FOLDER = ".equireg.lock"
"""The lock's name where the folder above the output cannot be written: it lies in the output itself."""

SIGN_OF_LIFE_S = 30.0
"""How often the holder touches its lock, s."""
SILENT_S = 180.0
"""A holder on another machine whose lock was not touched for this long is taken for dead, s."""
WAIT_S = 15.0
"""How long to wait for the children of a killed holder to let go, s."""

_NO_FLOCK = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)
_held: dict[Path, int] = {}
"""The folders that this process keeps, each with the thread that does."""


@contextmanager
def locked_folder(path: Path | str) -> Iterator[None]:
    """Keep an output folder for this thread while the block runs; nested blocks of one thread are fine.

    The lock is the hidden file ``.NAME.lock`` beside the folder, removed at the end. The folder need not exist.
    Leftovers of killed processes (``.NAME.partial-PID``, also inside the folder) are removed first. A lock whose
    process is gone counts for nothing. Where the file system knows no locks, the file's existence is the lock.

    Raises:
        EquiregError: if another process or thread holds the folder; names its pid and host.
        DiskError: if the lock cannot be written.
    """
    folder = Path(path).absolute()
    key = Path(os.path.realpath(folder))
    if _held.get(key) == threading.get_ident():
        yield
        return
    file = _lock_file(key)  # a link to a folder is that folder
    lock = _take(file, folder)
    stop = threading.Event()
    try:
        _held[key] = threading.get_ident()
        threading.Thread(target=_show_life, args=(file, stop), daemon=True, name="equireg-lock").start()
        remove_leftovers(folder)
        yield
    finally:
        stop.set()
        _held.pop(key, None)
        _let_go(lock, file)


def _let_go(lock: "filelock.BaseFileLock", file: Path) -> None:
    if sys.platform != "win32":  # a lock file that is open cannot be removed there
        file.unlink(missing_ok=True)
    lock.release()
    if sys.platform == "win32":
        file.unlink(missing_ok=True)


def _lock_file(folder: Path) -> Path:
    """Return where the lock of a folder lies: beside it, or in it where only that can be written."""
    with disk_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.is_dir() and not os.access(folder.parent, os.W_OK) and os.access(folder, os.W_OK):
        return folder / IN_FOLDER
    return folder.with_name(f".{folder.name}.lock")


def _take(file: Path, folder: Path) -> "filelock.BaseFileLock":
    import filelock

    with disk_errors(folder), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # filelock warns where it turns to the file's existence automatically
        kind = filelock.FileLock if _knows_locks(file.parent) else filelock.SoftFileLock
        return _acquired(kind(file, thread_local=False), file, folder)


def _knows_locks(folder: Path) -> bool:
    """Return whether the file system of a folder knows locks of files, under which their holder can be written.

    Tried on a file without a name: a lock file that stayed behind a failed attempt would count as a lock.
    """
    try:
        import fcntl
    except ImportError:  # Windows, where a locked byte can be neither read nor written
        return False
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _NO_FLOCK  # whoever takes the lock meets any other error too
    return True


def _acquired(lock: "filelock.BaseFileLock", file: Path, folder: Path) -> "filelock.BaseFileLock":
    """Return the lock once it is held."""
    import filelock

    deadline = time.monotonic() + WAIT_S
    while True:
        before = _holder(file)
        try:
            lock.acquire(timeout=0.2, poll_interval=0.05)
        except filelock.Timeout:
            pid, host = _holder(file) or (0, "another machine")
            here = host == socket.gethostname()
            if here and not process_runs(pid) and time.monotonic() < deadline:
                continue  # its children end soon
            if isinstance(lock, filelock.SoftFileLock) and not here and _silent(file):
                file.unlink(missing_ok=True)
                continue
            raise _refusal(folder, file, pid, host) from None
        if isinstance(lock, filelock.SoftFileLock):
            return lock  # it has written pid and host itself
        # Some network shares keep locks of one machine from the others: what the file says counts there.
        if before is not None and before[1] != socket.gethostname() and not _silent(file):
            lock.release()
            raise _refusal(folder, file, *before)
        try:
            file.write_text(f"{os.getpid()}\n{socket.gethostname()}\n", encoding="utf-8")
        except OSError:  # a full disk
            _let_go(lock, file)
            raise
        return lock


def _holder(file: Path) -> tuple[int, str] | None:
    """Return pid and host that a lock names, None where it names none."""
    try:
        pid, host = file.read_text(encoding="utf-8", errors="replace").splitlines()[:2]
        return int(pid), host.split("?pidns-")[0]
    except (OSError, ValueError):
        return None


def _silent(file: Path) -> bool:
    try:
        return time.time() - file.stat().st_mtime > SILENT_S
    except OSError:
        return False


def _refusal(folder: Path, file: Path, pid: int, host: str) -> EquiregError:
    return EquiregError(
        f"{folder}: is in use by process {pid} on {host}. Wait until it has ended, or choose another --out. "
        f"If that process is gone, remove {file}."
    )


def _show_life(file: Path, stop: threading.Event) -> None:
    """Touch the lock from time to time, so that other machines see that its holder lives."""
    while not stop.wait(SIGN_OF_LIFE_S):
        with suppress(OSError):
            os.utime(file)
