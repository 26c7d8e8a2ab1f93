"""The ``dataset.json`` of Decathlon and nnU-Net: what both say of channels and labels."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from equireg.disk import read_json
from equireg.errors import EquiregError
from equireg.imaging.labels import LabelTable

NAME = "dataset.json"


def read_description(root: Path) -> dict[str, Any] | None:
    """Read a folder's ``dataset.json``; None where it has none.

    Raises:
        EquiregError: if the file is not a JSON object.
    """
    path = root / NAME
    if not path.is_file():
        return None
    content = read_json(path)
    if not isinstance(content, dict):
        raise EquiregError(f"{path}: is a JSON {type(content).__name__}; expected an object. Restore it.")
    return content


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
        named = {int(number): str(name) for number, name in entry.items()}
    except (AttributeError, TypeError, ValueError):
        named = {}
    if not named or sorted(named) != list(range(len(named))):
        raise EquiregError(f'{path}: has the channels {entry!r}; expected {{"0": NAME, "1": NAME, ...}}. Correct it.')
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
            if isinstance(value, str):
                named[_unused(value, named)] = (int(key),)
            else:
                named[key] = tuple(int(item) for item in (value if isinstance(value, list) else [value]))
    except (AttributeError, TypeError, ValueError):
        named = {}
    values = {value for several in named.values() for value in several}
    if not named or min(values, default=0) < 0 or () in named.values():
        raise EquiregError(
            f'{path}: has the labels {entry!r}; expected {{"0": NAME, ...}} or '
            f"{{NAME: value or [values], ...}}, "
            "none below 0. Correct it."
        )
    return _table(named, values)


def _unused(name: str, taken: Mapping[str, Any]) -> str:
    """Return the name, numbered if it is taken: two label values may be called alike."""
    return name if name not in taken else _unused(f"{name}_{len(taken)}", taken)


def _table(named: Mapping[str, tuple[int, ...]], values: set[int]) -> LabelTable:
    ignored = {value for name, several in named.items() if name.lower() == "ignore" for value in several}
    single = {several[0]: name for name, several in named.items() if len(several) == 1}
    ordered = [0, *sorted(values - ignored - {0})]
    names = [single.get(value, "background" if value == 0 else f"label_{value}") for value in ordered]
    regions = {}
    if any(len(several) > 1 for several in named.values()):
        regions = {
            name: several
            for name, several in named.items()
            if several != (0,) and name.lower() not in ("background", "ignore")
        }
    return LabelTable(tuple(ordered), tuple(names), regions, min(ignored, default=None))
