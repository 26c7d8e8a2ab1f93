"""What label values of BIDS masks are called: ``dseg.tsv`` beside the masks, or in a folder above them."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from equireg.errors import EquiregError
from equireg.imaging.row_files import RowFile, Rows
from equireg.layouts.files import folders_below

_ENTITY = re.compile(r"([a-z]+)-([a-z0-9+]+)", re.IGNORECASE)
_SUFFIX = "dseg"
_ENDING = ".tsv"


def split_name(stem: str) -> tuple[dict[str, str], str]:
    """Split a name into entities, such as ``{"sub": "01", "run": "1"}``, and the suffix that follows them."""
    entities: dict[str, str] = {}
    rest = []
    for part in stem.split("_"):
        match = _ENTITY.fullmatch(part)
        if match and not rest:
            entities[match[1].lower()] = match[2]
        else:
            rest.append(part)
    return entities, "_".join(rest)


def label_names(
    root: Path, masks: Iterable[tuple[Path, Mapping[str, str]]]
) -> tuple[dict[int, str], list[Path], list[str]]:
    """Return label value to its name as the tables of some masks say, these tables, and what is wrong with others.

    A table is of the masks in its folder and below whose names have all entities that its own name has; of several,
    the nearest one. Tables list all that a pipeline knows, so the masks say which values there are. A name of several
    values has the value behind it.

    Args:
        root: the raw folder.
        masks: path and entities of each mask that is used.

    Raises:
        EquiregError: if two tables call one value differently.
    """
    tables: defaultdict[Path, list[tuple[Path, Mapping[str, str]]]] = defaultdict(list)
    for folder, names in folders_below(root):
        for name in sorted(names):
            entities, suffix = split_name(name.removesuffix(_ENDING))
            if name.endswith(_ENDING) and suffix == _SUFFIX:
                tables[folder].append((folder / name, entities))
    used: dict[Path, None] = {}
    for mask, entities in masks if tables else ():
        above = (tables.get(folder, ()) for folder in mask.parents)
        fitting = ([path for path, own in found if own.items() <= entities.items()] for found in above)
        used |= dict.fromkeys(next(filter(None, fitting), ()))
    called: dict[int, tuple[str, Path]] = {}
    damaged: dict[Path, str] = {}
    for path in used:
        try:
            named = _TABLE.read(path, _names)
        except EquiregError as error:
            damaged[path] = f"{error} Until then its labels have no names."
            continue
        for value, name in named.items():
            other, before = called.setdefault(value, (name, path))
            if other != name:
                raise EquiregError(
                    f"{path}: calls the label value {value} {name!r}, and {before} {other!r}; expected one name a "
                    "value. Correct one of the two, or prepare each as a data set of its own."
                )
    count = Counter(("background", *(name for name, _ in called.values())))
    names = {value: name if count[name] == 1 else f"{name} {value}" for value, (name, _) in called.items()}
    wrong = [
        f"{path}: calls the label value {value} {name!r}, and 0 is learnt as the background. Correct one of the two"
        for value, (name, path) in called.items()
        if name.lower() == "background"
    ]
    return names, [path for path in used if path not in damaged], [*damaged.values(), *wrong]


def _names(rows: Rows) -> dict[int, str]:
    """Return value to name of the rows but the background; ValueError: one is wrong."""
    named = {int(row["index"]): row["name"] for row in rows if {"index", "name"} <= set(row)}
    if not rows or len(named) < len(rows):
        raise ValueError("rows without index or name, or with an index that is there twice")
    if not all(name and name.isprintable() for name in named.values()):
        raise ValueError("a name is empty or cannot be shown")
    return {value: name for value, name in named.items() if value != 0}


_TABLE = RowFile("labels", "the file", "expected the columns index and name, and a row a label value", list)
