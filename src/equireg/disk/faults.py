"""Errors of the disk and of the machine, in words that say what to do."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from equireg.errors import EquiregError


class DiskError(EquiregError):
    """The disk or the machine is at its limit: no case is to blame, and the next case would fail as well.

    Where ``finding`` is known, it is what the message begins with: the file and its fault, without a remedy.
    """

    def __init__(self, message: str = "", finding: str | None = None) -> None:
        super().__init__(message)
        self.finding = finding


_MACHINE = {
    errno.EMFILE: ("this process has too many files open", "Raise the limit (`ulimit -n 4096`) or lower --jobs"),
    errno.ENFILE: ("this machine has too many files open", "End other programs or raise the system's limit"),
    errno.ENOMEM: ("memory ran out", "Lower --jobs, or use a machine with more memory"),
    errno.EIO: ("the disk reports a fault (input/output error)", "Check the disk or the network share"),
    errno.ESTALE: ("the network share has lost the file (stale handle)", "Mount the share again"),
    errno.ETIMEDOUT: ("the network share does not answer", "Check the connection to the share"),
}
"""Error numbers that say nothing of the file itself, with finding and remedy."""

_WRITING = {
    errno.ENOSPC: ("the disk is full", "Free some space or choose another --out"),
    errno.EDQUOT: ("the disk quota is used up", "Free some space or choose another --out"),
    errno.EFBIG: ("the disk takes no file of this size", "Choose another --out"),
    errno.EROFS: ("the disk is read-only", "Choose another --out"),
    errno.ENOENT: ("there is no such place", "Choose another --out"),
    errno.ENOTDIR: ("a part of the path is a file", "Choose another --out"),
    errno.EACCES: ("writing is not permitted", "Change the permissions or choose another --out"),
    errno.EPERM: ("writing is not permitted", "Change the permissions or choose another --out"),
    errno.ENAMETOOLONG: ("the name is too long for this disk", "Shorten the name of the case or of --out"),
}

_READING = {
    errno.ENOENT: ("no such file or folder", "Check the path"),
    errno.ENOTDIR: ("a part of the path is a file", "Check the path"),
    errno.EISDIR: ("is a folder, expected a file", "Check the path"),
    errno.EACCES: ("reading is not permitted", "Change the file's permissions"),
    errno.EPERM: ("reading is not permitted", "Change the file's permissions"),
    errno.ELOOP: ("the links lead in a circle", "Correct the links"),
    errno.ENAMETOOLONG: ("the name is too long for this disk", "Check the path"),
}

_WRITE_ONLY = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_ALWAYS_ENDS = (errno.EMFILE, errno.ENFILE)


@contextmanager
def disk_errors(path: Path | str) -> Iterator[None]:
    """Turn an error of the disk into one that a user can act on.

    Args:
        path: the output file or folder of the block. An error that names a file elsewhere is one of reading.

    Raises:
        DiskError: if the output cannot be written, or the machine is at a limit.
        EquiregError: if a file outside of the output cannot be read.
    """
    try:
        yield
    except OSError as error:
        # Of a copy the second name is the file that could not be written.
        file = error.filename2 or error.filename
        if error.errno in _MACHINE:
            finding, remedy = _MACHINE[error.errno]
            raise _of_writing(f"{file or path}: {finding}", remedy) from error
        if file is not None and error.errno not in _WRITE_ONLY and not _is_output(file, path):
            raise _reading(error, file) from error
        if error.errno not in _WRITING:
            raise
        finding, remedy = _WRITING[error.errno]
        raise _of_writing(f"{file or path}: {finding}", remedy) from error


@contextmanager
def read_errors(path: Path | str) -> Iterator[None]:
    """Turn an error of reading ``path`` into one that a user can act on.

    Raises:
        DiskError: if this process or machine has too many files open: every other file would fail as well.
        EquiregError: if the file is missing, not permitted, or on a disk that fails.
    """
    try:
        yield
    except OSError as error:
        raise _reading(error, error.filename or path) from error


def machine_at_limit(error: BaseException) -> str | None:
    """Return what an error says of the machine, such as too many open files, with the remedy; None of other errors."""
    if not isinstance(error, OSError) or error.errno not in _MACHINE:
        return None
    finding, remedy = _MACHINE[error.errno]
    return f"{f'{error.filename}: ' if error.filename else ''}{finding}. {remedy}."


def _of_writing(finding: str, remedy: str) -> DiskError:
    return DiskError(f"{finding}. {remedy}; nothing incomplete was kept.", finding)


def _reading(error: OSError, file: object) -> Exception:
    """Return the error of reading a file; the error itself where nothing better can be said."""
    found = _READING.get(error.errno or 0) or _MACHINE.get(error.errno or 0)
    if found is None:
        return error
    kind = DiskError if error.errno in _ALWAYS_ENDS else EquiregError
    return kind(f"{file}: {found[0]}. {found[1]}.")


def _is_output(file: object, path: Path | str) -> bool:
    """Return whether a file belongs to an output: in it, above it, or the hidden copy that becomes it."""
    if not isinstance(file, str | bytes | Path):
        return True
    name = Path(file.decode(errors="replace") if isinstance(file, bytes) else file).absolute()
    out = Path(path).absolute()
    if name.is_relative_to(out) or out.is_relative_to(name):
        return True
    if not name.is_relative_to(out.parent):
        return False
    beside = name.relative_to(out.parent).parts[0]
    return beside.startswith(".") and (".partial-" in beside or beside.endswith(".lock"))
