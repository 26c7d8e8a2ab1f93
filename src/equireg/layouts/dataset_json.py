"""The ``dataset.json`` of Decathlon and nnU-Net: read, checked, and what both say of channels and labels."""

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from equireg.disk import read_errors, read_json
from equireg.errors import EquiregError
from equireg.imaging.formats import VOLUMES, extension_of
from equireg.imaging.labels import LabelTable
from equireg.imaging.segments import IGNORE
from equireg.layouts.files import stem_of

NAME = "dataset.json"
LISTS = ("training", "validation", "test", "testing")
"""Keys of the lists of cases; all but the first are held out."""
_MOST_BYTES = 64 * 2**20
_MOST_CHANNELS = 256
_LARGEST_LABEL = 2**53
"""Readers hold label values as 64-bit floating point numbers, which are exact up to here."""
_LONGEST_NAME = 200
_SHOWN = 200


def read_description(root: Path) -> dict[str, Any] | None:
    """Read a folder's ``dataset.json``; None where it has none.

    Raises:
        EquiregError: if the file is not a JSON object.
    """
    path = root / NAME
    if not path.is_file():
        return None
    with read_errors(path):
        size = path.stat().st_size
    if size > _MOST_BYTES:
        raise EquiregError(f"{path}: has {size} bytes; expected a list of cases below {_MOST_BYTES}. Restore it.")
    content = read_json(path, "Correct it there, or restore it.")
    if not isinstance(content, dict):
        raise EquiregError(f"{path}: is a JSON {type(content).__name__}; expected an object. Restore it.")
    return content


def described_labels(folder: Path) -> LabelTable | None:
    """Read the labels of a folder's ``dataset.json``, if there is one and it has labels."""
    content = read_description(folder)
    return label_table(folder / NAME, content["labels"]) if content and "labels" in content else None


def listed_entries(path: Path, description: Mapping[str, Any], key: str) -> Sequence[Any]:
    """Return the list of cases under a key, empty where it is absent.

    Raises:
        EquiregError: if it is no list.
    """
    entries = description.get(key)
    if entries is None:
        return ()
    if not isinstance(entries, list):
        raise EquiregError(f'{path}: has a "{key}" that is no list; expected a list of cases. Correct it.')
    return entries


def listed_file(path: Path, entry: Any) -> Path:
    """Return the file that an entry of ``dataset.json`` names, relative to its folder.

    One that is not there may have been written on Windows, listed by its place on another machine, or be packed or
    unpacked since: then the file that is meant is returned, if it is there.

    Raises:
        EquiregError: if the entry cannot be the path of a file.
    """
    if not isinstance(entry, str) or not entry.strip() or not _is_path(entry):
        raise EquiregError(f"{path}: names the file {shown(entry)}; expected the path of an image. Correct it.")
    literal = path.parent / os.path.normpath(entry)
    if is_there(literal):
        return literal
    plain = os.path.normpath(entry.replace("\\", "/"))
    places = [path.parent / plain]
    if os.path.isabs(plain) or ":" in plain:
        places.append(path.parent.joinpath(*Path(plain).parts[-2:]))
    meant = (place.with_name(stem_of(place) + ending) for place in places for ending in _endings(place))
    return next((place for place in meant if is_there(place)), literal)


def _endings(file: Path) -> Sequence[str]:
    """Return a file's own ending and those that the same volume may have; none where it is no volume."""
    own = extension_of(file)
    return (own, *VOLUMES) if own in VOLUMES else (own,) if own else ()


def is_there(file: Path) -> bool:
    """Whether a listed file can be opened; a folder that may not be entered hides it."""
    try:
        return file.is_file()
    except OSError:
        return False


def _is_path(text: str) -> bool:
    """Whether a file system can take a text for a path."""
    try:
        encoded = text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    short = len(encoded) < 4096 and all(len(part) <= 255 for part in encoded.split(b"/"))
    return b"\0" not in encoded and short


def channel_names(path: Path, entry: Any) -> tuple[str, ...]:
    """Read names by number, as in ``{"0": "T1", "1": "FLAIR"}``.

    Raises:
        EquiregError: if the numbers are not 0, 1, ... or there is none.
    """
    if isinstance(entry, str):
        entry = [entry]
    if isinstance(entry, list):
        entry = dict(enumerate(entry))
    try:
        named = {int(number): _name(name) for number, name in entry.items()}
    except (AttributeError, TypeError, ValueError):
        named = {}
    if not named or len(named) > _MOST_CHANNELS or sorted(named) != list(range(len(named))):
        raise EquiregError(
            f'{path}: has the channels {shown(entry)}; expected {{"0": NAME, "1": NAME, ...}}. Correct it.'
        )
    names = [named[number] for number in range(len(named))]
    # Two channels of one name would be one channel in every table that follows.
    return tuple(name if names.count(name) == 1 else f"{name}_{index}" for index, name in enumerate(names))


def label_table(path: Path, entry: Any) -> LabelTable:
    """Read labels, as ``{"1": "tumour"}`` (Decathlon) or ``{"tumour": 1, "whole": [1, 2]}`` (nnU-Net).

    As soon as one entry unites several values, all of them are regions, as nnU-Net has it. A value without a
    name of its own is called ``label_VALUE``.

    Raises:
        EquiregError: if an entry is neither.
    """
    named: dict[str, tuple[int, ...]] = {}
    try:
        for key, value in entry.items():
            name, values = (value, [int(key)]) if isinstance(value, str) else (key, value)
            found = tuple(_value(item) for item in (values if isinstance(values, list) else [values]))
            if _name(name).lower() == IGNORE:
                named[IGNORE] = (*named.get(IGNORE, ()), *found)
            else:
                named[_unused(_name(name), named)] = found
    except (AttributeError, TypeError, ValueError, OverflowError):
        named = {}
    values = {value for several in named.values() for value in several}
    if not named or min(values, default=0) < 0 or () in named.values():
        raise EquiregError(
            f'{path}: has the labels {shown(entry)}; expected {{"0": NAME, ...}} or '
            f"{{NAME: value or [values], ...}}, whole numbers from 0 on. Correct it."
        )
    single = [several[0] for several in named.values() if len(set(several)) == 1]
    twice = sorted({value for value in single if single.count(value) > 1})
    if twice:
        raise EquiregError(f"{path}: gives the label values {twice} two names each; expected one a value. Correct it.")
    try:
        return _table(named, values)
    except EquiregError as error:
        raise EquiregError(f"{path}: {error} Correct it.") from error


def _name(name: Any) -> str:
    """Return a name of a channel or label that can be shown.

    Raises:
        ValueError: if it is none.
    """
    text = str(name) if isinstance(name, (str, int, float)) and not isinstance(name, bool) else ""
    if not text.strip() or len(text) > _LONGEST_NAME or not text.isprintable():
        raise ValueError("not a name")
    return text


def _value(number: Any) -> int:
    """Return a label value.

    Raises:
        ValueError: if it is not a whole number that a file can hold.
    """
    if isinstance(number, bool) or not isinstance(number, (int, float)) or number != int(number):
        raise ValueError("not a whole number")
    if abs(number) > _LARGEST_LABEL:
        raise ValueError("too large")
    return int(number)


def _unused(name: str, taken: Collection[str]) -> str:
    """Return the name, numbered if it is taken: two label values may have the same name."""
    number = len(taken)
    candidate = name
    while candidate in taken:
        candidate, number = f"{name}_{number}", number + 1
    return candidate


def shown(entry: Any) -> str:
    """Return an entry as it stands in the file, cut where it is long, for a message."""
    try:
        text = ascii(entry)
    except RecursionError:
        text = "a value nested too deeply"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _table(every: Mapping[str, tuple[int, ...]], values: set[int]) -> LabelTable:
    named = {name: several for name, several in every.items() if name != IGNORE}
    ignored = set(every.get(IGNORE, ()))
    if len(ignored) > 1:
        raise EquiregError(f"gives the ignore label the values {sorted(ignored)}; expected one, also in the masks.")
    elsewhere = [several for name, several in named.items() if name.lower() == "background" and set(several) != {0}]
    if elsewhere:
        raise EquiregError(
            f"calls the label values {sorted(elsewhere[0])} background; expected that name for 0 alone, which is "
            "learnt as the background."
        )
    single = {several[0]: name for name, several in named.items() if len(several) == 1}
    ordered = [0, *sorted(values - ignored - {0})]
    names: list[str] = []
    for value in ordered:
        made_up = f"label_{value}" if value else "background"
        names.append(single.get(value) or _unused(made_up, {*named, *names}))
    regions = {}
    if any(len(several) > 1 for several in named.values()):
        regions = {name: several for name, several in named.items() if several != (0,) and name.lower() != "background"}
    return LabelTable(tuple(ordered), tuple(names), regions, min(ignored, default=None))
