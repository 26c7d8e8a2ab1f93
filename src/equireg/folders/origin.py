"""Where a folder came from, in words that may travel: names, and no path that leads to a person.

A folder's signature, manifest and log are read by others. They hold the name of the folder that they were made from.
The way to it is kept only where both lie in one folder, relative to that, and where no part of it is a user's name.
"""

import getpass
import os
import re
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

SOURCE = "source"
"""Key of the source's name in a signature."""
WAY = "source_path"
"""Key of the path to the source: relative to the signed folder, or absolute where paths were to be recorded."""

_LEAST_USER = 1000
"""Lowest number of a person's account, usually; below are those of services, with names such as ``mail``."""
_ABSOLUTE = re.compile(r"~?[/\\]|~|[A-Za-z]:[/\\]")
_IN_TEXT = re.compile(r"(?<![\w.~/\\-])(?:~|[A-Za-z]:)?[/\\](?:[^\s/\\:;,'\"()]+[/\\])+")
"""The folders of an absolute path in a sentence; what follows them is the file's name."""


def way_to(folder: Path, source: Path | str | None) -> str | None:
    """Return the path from a folder to its source, with slashes, or None where it may not be told.

    It is told where the two lie in one folder below the root and below all homes, and no part is a user's name.
    """
    if source is None:
        return None
    here, there = os.path.abspath(folder), os.path.abspath(source)
    try:
        shared = Path(os.path.commonpath([here, there]))
        way = os.path.relpath(there, here)
    except ValueError:  # on two drives
        return None
    parts = [part for part in Path(way).parts if part != os.pardir]
    if way == os.curdir or shared == Path(shared.anchor) or shared in Path.home().parents or any(map(is_user, parts)):
        return None
    return Path(way).as_posix()


def source_of(folder: Path, signature: Mapping[str, Any]) -> Path | None:
    """Return the folder from which another was made, where its signature leads to it and it is still there.

    Args:
        folder: the signed folder, where it lies now.
        signature: content of its ``made_by.json``; those of earlier versions hold the absolute path as the source.
    """
    recorded = signature.get(WAY) or signature.get(SOURCE)
    if not isinstance(recorded, str) or (WAY not in signature and not os.path.isabs(recorded)):
        return None
    for here in (os.path.abspath(folder), os.path.realpath(folder)):  # the folder may be a link
        found = Path(os.path.normpath(os.path.join(here, recorded)))
        if found.is_dir():
            return found
    return None


def name_of(path: Path | str) -> str:
    """Return the name of a folder or file; ``data`` where that is the name of this user."""
    name = Path(os.path.realpath(path)).name
    return "data" if name in own_names() else name


def names_only(value: Any) -> Any:
    """Copy plain values (dict, list, str, number, None) with the names in place of paths that lead out of here."""
    if isinstance(value, Mapping):
        return {names_only(str(key)): names_only(content) for key, content in value.items()}
    if isinstance(value, list | tuple):
        return [names_only(content) for content in value]
    if isinstance(value, str) and ("/" in value or "\\" in value):
        parts = value.replace("\\", "/").split("/")
        if _ABSOLUTE.match(value) or parts[0] == os.pardir or any(map(is_user, parts)):
            return next((part for part in reversed(parts) if part), "")
    return value


def in_text(text: str, roots: Iterable[Path | str] = ()) -> str:
    """Return a sentence with the names of files in place of their absolute paths.

    Args:
        text: such as an error's message.
        roots: folders that the text may name; what lies in them is named from there.
    """
    if "/" not in text and "\\" not in text:
        return text
    known = {form for root in roots for form in (str(root), os.path.abspath(root), os.path.realpath(root))}
    for form in sorted(known, key=len, reverse=True):
        if "/" in form or "\\" in form:
            text = re.sub(rf"(?<![\w.~/\\-]){re.escape(form)}(?![\w.-])", lambda _, form=form: name_of(form), text)
    text = text.replace(str(Path.home()), "~")
    return _IN_TEXT.sub("", text)


def without_paths(text: str, private: Collection[str]) -> str:
    """Return a sentence with ``FILE`` in place of paths that may tell who a patient is.

    Args:
        text: such as an error's message.
        private: the paths.
    """
    for path in sorted((path for path in private if path in text), key=len, reverse=True):
        text = text.replace(path, "FILE")
    return text


def is_user(name: str) -> bool:
    """Whether a folder of this name probably is a person's: this user's, or that of another account here."""
    return name in own_names() or _is_account(name)


@lru_cache(maxsize=4096)
def _is_account(name: str) -> bool:
    try:
        import pwd

        return pwd.getpwnam(name).pw_uid >= _LEAST_USER
    except (ImportError, KeyError, OSError, ValueError):
        return False


def own_names() -> set[str]:
    """Return what this user is called: the account, and the name of the home folder."""
    names = {Path.home().name}
    with suppress(ImportError, KeyError, OSError):  # in a container, a user may have a number alone
        names.add(getpass.getuser())
    return names - {""}
