"""Files and folders that are written completely or not at all."""

import json
import math
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from equireg.disk.faults import disk_errors, read_errors
from equireg.disk.leftovers import partial_name
from equireg.disk.locks import IN_FOLDER, locked_folder
from equireg.errors import EquiregError


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
    if path.is_file() or (path.is_dir() and any(item.name != IN_FOLDER for item in path.iterdir())):
        raise EquiregError(f"{path}: the output folder exists already. {remedy}")
    return path


@contextmanager
def staged_folder(path: Path | str) -> Iterator[Path]:
    """Yield a hidden folder beside ``path`` that becomes ``path`` only when the block ends well.

    ``path`` is locked meanwhile. A link to an empty folder, or to where none is yet, stays one.

    Raises:
        EquiregError: if something is there already, another process makes it, or the disk is full.
    """
    path = refuse_existing(path).absolute()
    path = path.resolve() if path.is_symlink() else path
    staging = partial_name(path)
    with locked_folder(path), disk_errors(path):
        refuse_existing(path)  # another process may have finished it while this one waited for the lock
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        try:
            yield staging
            if path.is_dir():
                (path / IN_FOLDER).unlink(missing_ok=True)
                path.rmdir()
            staging.rename(path)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def staged_file(path: Path, ending: str = "") -> Iterator[Path]:
    """Yield the hidden name of a file beside ``path`` that becomes ``path`` only when the block ends well.

    Args:
        path: the file.
        ending: of the name, which the hidden one keeps.

    Raises:
        EquiregError: if the disk is full or not writable.
    """
    temporary = partial_name(path, ending)
    try:
        with disk_errors(path):
            yield temporary
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def second_name(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the disk has no such links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def write_atomic(path: Path, content: str | bytes) -> None:
    """Write a file such that a reader sees the old content or the new, never a part of it."""
    with staged_file(path) as temporary:
        temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically, indented for people.

    Raises:
        ValueError: if a number is NaN or infinite, which JSON does not know.
    """
    write_atomic(path, json.dumps(content, indent=1, sort_keys=False, default=str, allow_nan=False) + "\n")


def read_json(path: Path, remedy: str = "Restore it, or make the folder again.") -> Any:
    """Read a JSON file as ``parse_json`` does.

    Args:
        path: the file.
        remedy: how to mend a damaged file, for the error.

    Raises:
        EquiregError: if the file is missing, cannot be read or is not JSON.
    """
    path = Path(path)
    try:
        with read_errors(path):
            content = path.read_bytes()
        read = parse_json(content.decode("utf-8-sig"))
        if b"\\ud" in content.lower():  # half a letter can be escaped, and written nowhere
            json.dumps(read, ensure_ascii=False).encode()
        return read
    except RecursionError as error:
        raise EquiregError(f"{path}: is not valid JSON (nested too deeply). {remedy}") from error
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError are of this kind
        raise EquiregError(f"{path}: is not valid JSON ({' '.join(str(error).split())}). {remedy}") from error


def parse_json(text: str) -> Any:
    """Read JSON of finite numbers only, and of objects with no key for two values, of which the last would count.

    Raises:
        ValueError: if it is none.
        RecursionError: if it is nested too deeply.
    """
    return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_without_repeats)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found and found[key] != value:
            raise ValueError(f"the key {key[:80]!r} is there twice, with two values")
        found[key] = value
    return found


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number that JSON knows")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is too large a number")
    return value
