"""The file `labels.json`, which says what label values mean; read strictly."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from equireg import disk
from equireg.errors import EquiregError
from equireg.folders.schema import SchemaError, strict
from equireg.imaging.colours import read_colours
from equireg.imaging.labels import LabelTable


@dataclass(frozen=True)
class _Labels:
    labels: Mapping[str, int]
    regions: Mapping[str, tuple[int, ...]]
    ignore: int | None
    colours: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)


def label_table(content: Any) -> LabelTable:
    """Return the table that ``LabelTable.as_dict`` wrote.

    Raises:
        SchemaError: if a value is missing or of another kind, or the parts do not fit each other.
    """
    found = strict(_Labels, content, "labels")
    unknown = {value for values in found.regions.values() for value in values} - set(found.labels.values())
    if unknown:
        raise SchemaError(f"a region names the label value {min(unknown)}, which no label has")
    if not all(0 <= part <= 255 for colour in found.colours.values() for part in colour):
        raise SchemaError("a colour is beyond 0 to 255")
    try:
        return LabelTable.from_dict(content)
    except (EquiregError, ValueError) as error:
        raise SchemaError(str(error)) from error


def read_colour_labels(path: Path) -> LabelTable:
    """Read a file of colours (``imaging.colours``) as labels; a row named ``ignore`` is what nobody annotated.

    Raises:
        EquiregError: if the file is no table of colours.
    """
    table, names = read_colours(path)
    ignored = {value for value, name in names.items() if name.lower() == "ignore"}
    values = sorted({value for _, value in table.rows} - ignored)
    called = tuple(names.get(value, f"label {value}" if value else "background") for value in values)
    try:
        return LabelTable(tuple(values), called, ignore=min(ignored, default=None), colours=table.colours())
    except EquiregError as error:
        raise EquiregError(f"{path}: {error} Correct it.") from error


def read_label_table(path: Path, remedy: str) -> LabelTable:
    """Read a file of labels.

    Raises:
        EquiregError: if the file is missing or damaged; names it.
    """
    try:
        return label_table(disk.read_json(path, remedy))
    except SchemaError as error:
        raise EquiregError(
            f"{path}: is not a table of labels ({error}); expected the keys labels, regions and ignore. {remedy}"
        ) from error
