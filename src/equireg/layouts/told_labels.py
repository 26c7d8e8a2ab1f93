"""What files beside the masks of a raw folder say of their label values: ``labels.json`` and ``dataset.json``."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from equireg.disk import read_json
from equireg.errors import EquiregError
from equireg.folders.predictions import LABELS
from equireg.imaging.labels import LabelTable
from equireg.imaging.segments import IGNORE, is_named, plain
from equireg.layouts.base import FoundSet
from equireg.layouts.files import folders_below
from equireg.layouts.masks import places_beside, read_beside

_EITHER = "Correct or remove one of the two, or prepare each as a data set of its own."


def with_labels_beside(root: Path, found: FoundSet) -> tuple[FoundSet, frozenset[Path]]:
    """Return what was found with the labels that are said beside its masks, and the files that say them.

    Where the layout itself declares labels, these count.

    Args:
        root: the raw folder; what lies above it says nothing.
        found: what its layout found.

    Raises:
        EquiregError: if one label has two values, two files say different labels, or a table of labels is damaged.
    """
    told, damaged, places = {}, [], _places(root, found)
    for path in places:
        try:
            table = read_beside(path)
        except EquiregError as error:
            if _says_labels(path):
                raise
            damaged += [f"{error} Until then its labels do not count."] if path.name == LABELS else []
            continue
        if table is not None:
            told[path] = table
    warnings = [*damaged, *_unread(root, found, places)]
    if told and found.labels is None and not found.label_names:
        (path, table), *others = told.items()
        for other, theirs in others:
            if differ := _difference(_names(table), _names(theirs)):
                raise EquiregError(f"{other}: says {differ[1]}, and {path} {differ[0]}; expected the same. {_EITHER}")
        note = f"labels are called as {path} says: {', '.join(table.names[1:])}"
        found = replace(found, labels=table, notes=(*found.notes, note))
    else:
        ours = found.label_names if found.labels is None else _names(found.labels)
        warnings += [line for path, table in told.items() if (line := _other_labels(path, table, ours, found.layout))]
    return replace(found, warnings=(*found.warnings, *warnings)), frozenset(told)


def _places(root: Path, found: FoundSet) -> list[Path]:
    """Return the files that may say what the label values of the masks mean, what counts first in front."""
    numbered = (case for case in found.cases if not case.parts and not case.segments)  # by what lies in their files
    homes = dict.fromkeys(mask.parent for case in numbered for mask in case.masks)
    inside = {home: home == root or root in home.parents for home in homes}
    several = [places_beside(home, None if home == root else home.parent) for home in homes if inside[home]]
    return list(dict.fromkeys(path for paths in several for path in paths))


def _names(table: LabelTable) -> dict[int, str]:
    named = dict(zip(table.values[1:], table.names[1:], strict=True))
    return named if table.ignore is None else {**named, table.ignore: IGNORE}


def _differ(one: str, other: str) -> bool:
    """Whether two names of a label mean other things; one that is its value alone agrees with any."""
    return plain(one) != plain(other) and is_named(one) and is_named(other)


def _difference(ours: Mapping[int, str], theirs: Mapping[int, str]) -> tuple[str, str] | None:
    """Return what two tables say of the first value of which they say something else; None where there is none."""
    for value in sorted({*ours, *theirs}):
        one, other = ours.get(value), theirs.get(value)
        if one is None or other is None or _differ(one, other):
            return f"that {value} is {one or 'no label'}", f"that {value} is {other or 'no label'}"
    return None


def _other_labels(path: Path, table: LabelTable, declared: Mapping[int, str], layout: str) -> str | None:
    """Return a warning where a file says other labels than a layout; None where they agree.

    Raises:
        EquiregError: if a label has another value in the file.
    """
    theirs = _names(table)
    values = {plain(name): value for value, name in declared.items() if is_named(name)}
    there = ((name, value, values.get(plain(name), value)) for value, name in theirs.items())
    moved = [f"{name} {value}, not {ours}" for name, value, ours in there if ours != value]
    if moved:
        raise EquiregError(
            f"{path}: says {moved[0]} as the layout {layout} does; expected one value a label. Correct the file, or "
            "remove it if the masks do not follow it."
        )
    differ = _difference(declared, theirs)
    return f"{path} says {differ[1]}; the layout {layout} says {differ[0]}, which counts." if differ else None


def _unread(root: Path, found: FoundSet, read: Iterable[Path]) -> list[str]:
    """Tell of files ``labels.json`` that say labels and lie elsewhere than beside the masks."""
    home = next((mask.parent for case in found.cases for mask in case.masks), None)
    files = {folder / LABELS for folder, names in folders_below(root) if home is not None and LABELS in names}
    return [
        f"{path} was not read: its names of labels do not count. Move it to {home}, beside the masks, or remove it."
        for path in sorted(files - {*read})
        if _says_labels(path)
    ]


def _says_labels(path: Path) -> bool:
    """Whether a file has the key of a table of labels, which files of other programs have otherwise."""
    with suppress(EquiregError):
        content = read_json(path)
        return isinstance(content, dict) and isinstance(content.get("labels"), dict)
    return False
