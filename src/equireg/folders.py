"""The folders by which the verbs talk to each other: made whole or not at all, and signed.

Each folder carries ``made_by.json``: verb, configuration, seed, versions, git commit, format version and
the folder that it came from.
"""

import errno
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from equireg._version import __version__
from equireg.errors import EquiregError

FORMAT_VERSION = 1
"""Version of every folder's layout; raised when an older reader would misread a newer folder."""

SIGNATURE = "made_by.json"
UNDERWAY = "underway.json"
"""Marks a folder that a verb has begun and not finished: it may be gone on with, and not be read."""
EQUIVARIANCE = "equivariance"
"""Where a folder of predictions keeps those of transformed scans."""


class DiskError(EquiregError):
    """The disk cannot take what is written: no case is to blame, and going on is of no use."""


_LIBRARIES = ("torch", "monai", "lightning", "numpy", "nibabel", "blosc2")


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


def sign(
    folder: Path,
    verb: str,
    config: Mapping[str, Any],
    *,
    seed: int | None = None,
    source: Path | str | None = None,
    **facts: Any,
) -> None:
    """Write ``made_by.json``, the mark by which the next verb knows a folder as whole.

    Args:
        folder: the folder to sign.
        verb: the verb that made it, such as ``"prepare"``.
        config: the verb's configuration, in plain values.
        seed: the seed of its chance, if it used any.
        source: the folder that it was made from.
        facts: further plain values that the next verb wants to read.
    """
    versions = {"equireg": __version__, "python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            versions[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            continue
    write_json(
        folder / SIGNATURE,
        {
            "verb": verb,
            "format_version": FORMAT_VERSION,
            "config": dict(config),
            "seed": seed,
            "versions": versions,
            "git_commit": _git_commit(),
            "source": None if source is None else str(Path(source).absolute()),
            **facts,
        },
    )


def read_signature(folder: Path | str, verb: str) -> dict[str, Any]:
    """Read ``made_by.json`` of a folder that ``verb`` must have made.

    Raises:
        EquiregError: if the folder is missing or unsigned, another verb made it, or its format is another.
    """
    folder = existing_folder(folder, f"the output of `equireg {verb}`")
    if not (folder / SIGNATURE).exists():
        raise EquiregError(
            f"{folder}: has no {SIGNATURE}, so it is not the finished output of `equireg {verb}`. Run that verb first."
        )
    signature = read_json(folder / SIGNATURE)
    found = signature.get("verb")
    if found != verb:
        raise EquiregError(f"{folder}: was made by `equireg {found}`; expected the output of `equireg {verb}`.")
    check_format(folder, signature.get("format_version"))
    return signature


def check_format(path: Path, found: Any) -> None:
    """Refuse a folder or file of another format version.

    Raises:
        EquiregError: if ``found`` is not the version that this equireg reads.
    """
    if found != FORMAT_VERSION:
        raise EquiregError(
            f"{path}: has format version {found}; this equireg {__version__} reads version {FORMAT_VERSION}. "
            "Make it again with this version."
        )


def is_signed(folder: Path) -> bool:
    """Whether a verb of equireg made a folder, and ended well."""
    return (folder / SIGNATURE).is_file()


def made_by(folder: Path | str) -> str | None:
    """Name the verb that made a folder, or None where it is unsigned."""
    path = Path(folder) / SIGNATURE
    return read_json(path).get("verb") if path.is_file() else None


def _git_commit() -> str | None:
    """Return the commit of the checkout that equireg runs from, or None outside one."""
    here = Path(__file__).resolve().parent
    try:
        command = ["git", "-C", str(here), "rev-parse", "--show-toplevel", "HEAD"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5)
    except (OSError, subprocess.SubprocessError):
        return None
    top, commit = done.stdout.split("\n")[:2]
    # An environment inside somebody else's repository must not sign with that one's commit.
    return commit if (Path(top) / "src" / "equireg").resolve() == here else None
