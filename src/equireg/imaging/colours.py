"""Tables that say what the colours of a picture mean: colour to label value and name."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equireg.imaging.row_files import RowFile

RGB = tuple[int, int, int]

_HEX = re.compile(r"#?([0-9a-fA-F]{6})")
_EXPECTED = "expected rows of colour, value and name, such as #ff0000,1,tumour"


@dataclass(frozen=True)
class ColourTable:
    """What each colour means. Several colours may mean one value; the first of them is drawn."""

    rows: tuple[tuple[RGB, int], ...]
    """Colours, 0 to 255, with the label value that each means."""

    def value_of(self) -> dict[RGB, int]:
        """Return colour to label value."""
        return dict(self.rows)

    def colours(self) -> dict[int, RGB]:
        """Return label value to the colour that it is drawn in."""
        found: dict[int, RGB] = {}
        for colour, value in self.rows:
            found.setdefault(value, colour)
        return found

    @classmethod
    def of(cls, colours: Mapping[int, RGB]) -> "ColourTable | None":
        """Return the table of label values with a colour each; None of none."""
        return cls(tuple((colour, value) for value, colour in colours.items())) if colours else None


def hex_of(colour: Iterable[int]) -> str:
    """Write a colour as people know it, such as ``#ff0000``."""
    return "#" + "".join(f"{part:02x}" for part in colour)


def read_colours(path: Path | str) -> tuple[ColourTable, dict[int, str]]:
    """Read a file of colours: CSV with the columns colour, value and name, or the same rows as JSON.

    A colour is ``#rrggbb``, or three numbers from 0 to 255 (in CSV also as columns r, g and b). JSON may also map each
    colour to its value, or to ``{"value": .., "name": ..}``. Black is the background, with the value 0, unless the file
    says otherwise.

    Returns:
        The table, and the names of those label values that have one.

    Raises:
        EquiregError: if the file cannot be read, or a row is incomplete or contradicts another.
    """
    return RowFile("colours", "--colours", _EXPECTED, _json_rows).read(Path(path), _table)


def _json_rows(content: Any) -> list[dict[str, Any]]:
    if isinstance(content, dict):
        content = [
            {"colour": colour, **(entry if isinstance(entry, dict) else {"value": entry})}
            for colour, entry in content.items()
        ]
    if not isinstance(content, list) or not all(isinstance(row, dict) for row in content):
        raise ValueError("it is neither a list of rows nor colours with their values")
    return [{str(key).lower(): value for key, value in row.items()} for row in content]


def _table(rows: list[dict[str, Any]]) -> tuple[ColourTable, dict[int, str]]:
    found: dict[RGB, int] = {}
    names: dict[int, str] = {}
    for number, row in enumerate(rows, start=1):
        colour, value = _colour(row, number), _whole(row.get("value"), f"value of row {number}")
        if found.setdefault(colour, value) != value:
            raise ValueError(f"{hex_of(colour)} has the values {found[colour]} and {value}")
        name = str(row.get("name") or "").strip()
        if name and (not name.isprintable() or names.setdefault(value, name) != name):
            raise ValueError(f"the value {value} has the names {names.get(value)!r} and {name!r}")
    if not found:
        raise ValueError("it has no row")
    if min(found.values()) < 0:
        raise ValueError("a value is below 0")
    if 0 not in found.values() and (0, 0, 0) not in found:
        found = {(0, 0, 0): 0, **found}
    if 0 not in found.values():
        raise ValueError("no colour has the value 0, which is the background's")
    elsewhere = [value for value, name in names.items() if value and name.lower() == "background"]
    if elsewhere:
        raise ValueError(f"the value {elsewhere[0]} has the name background, which is for 0 alone")
    if len(set(names.values())) < len(names):
        raise ValueError("a name stands for two values")
    return ColourTable(tuple(sorted(found.items(), key=lambda item: item[1]))), names


def _colour(row: Mapping[str, Any], number: int) -> RGB:
    given = row.get("colour", row.get("color", row.get("rgb")))
    if given is None and {"r", "g", "b"} <= set(row):
        given = [row["r"], row["g"], row["b"]]
    if isinstance(given, str) and (match := _HEX.fullmatch(given.strip())):
        given = list(bytes.fromhex(match[1]))
    elif isinstance(given, str):
        given = re.split(r"[,; ]+", given.strip(" ()[]"))
    if not isinstance(given, list) or len(given) != 3:
        raise ValueError(f"row {number} has no colour")
    r, g, b = (_whole(part, f"colour of row {number}") for part in given)
    if not all(0 <= part <= 255 for part in (r, g, b)):
        raise ValueError(f"the colour of row {number} is beyond 0 to 255")
    return r, g, b


def _whole(value: Any, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(f"the {what} is {value!r}")
    try:
        return int(value)
    except ValueError:
        raise ValueError(f"the {what} is {value!r}") from None
