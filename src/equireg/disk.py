"""The disk: files and folders that are written whole or not at all, and its errors in words that help."""

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from equireg.errors import EquiregError


class DiskError(EquiregError):
    """The disk cannot take what is written: no case is to blame, and going on is of no use."""


def existing_folder(path: Path | str, what: str) -> Path:
    """Return ``path`` as a folder that is there, or say which one is missing.

    Raises:
        EquiregError: if the path is missing or is not a folder.
    """
    path = Path(path)
    if not path.exists():
        raise EquiregError(f"{path}: no such folder; expected {what}. Check the path.")
    if not path.is_dir():
        raise EquiregError(f"{path}: is a file; expected a folder with {what}.")
    return path


def refuse_existing(path: Path | str, remedy: str = "Choose another --out or remove it.") -> Path:
    """Return ``path`` if nothing is there yet (an empty folder counts as nothing).

    Raises:
        EquiregError: if the path is a file or a folder with something in it.
    """
    path = Path(path)
    if path.is_file() or (path.is_dir() and any(path.iterdir())):
        raise EquiregError(f"{path}: the output folder exists already. {remedy}")
    return path


@contextmanager
def staged_folder(path: Path | str) -> Iterator[Path]:
    """Yield a hidden folder beside ``path`` that becomes ``path`` only when the block ends well.

    Raises:
        EquiregError: if something is there already, or the disk is full.
    """
    path = refuse_existing(path).absolute()
    staging = path.with_name(f".{path.name}.partial-{os.getpid()}")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        try:
            yield staging
            if path.is_dir():
                path.rmdir()
            staging.rename(path)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def disk_errors(path: Path | str) -> Iterator[None]:
    """Turn a full or read-only disk under ``path`` into an error that a user can act on."""
    try:
        yield
    except OSError as error:
        reasons = {
            errno.ENOSPC: ("the disk is full", "Free some space or choose another --out"),
            errno.EDQUOT: ("the disk quota is used up", "Free some space or choose another --out"),
            errno.EROFS: ("the disk is read-only", "Choose another --out"),
            errno.ENOENT: ("there is no such place", "Choose another --out"),
            errno.ENOTDIR: ("a part of the path is a file", "Choose another --out"),
            errno.EACCES: ("writing is not permitted", "Change the permissions or choose another --out"),
        }
        if error.errno not in reasons:
            raise
        found, remedy = reasons[error.errno]
        # Of a copy the second name is the file that could not be written.
        raise DiskError(
            f"{error.filename2 or error.filename or path}: {found}. {remedy}; nothing incomplete was kept."
        ) from error


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file such that a reader sees the old content or the new, never a part of it."""
    temporary = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        with disk_errors(path):
            temporary.write_bytes(content.encode() if isinstance(content, str) else content)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically, indented for people."""
    write_atomic(path, json.dumps(content, indent=1, sort_keys=False, default=str) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        EquiregError: if the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EquiregError(f"{path}: no such file.") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise EquiregError(f"{path}: is not valid JSON ({error}). Restore or remove it.") from error
