"""What files beside the masks of a raw folder call their label values: ``labels.json`` and ``dataset.json``."""

from dataclasses import replace
from pathlib import Path

from equireg.errors import EquiregError
from equireg.folders.predictions import LABELS
from equireg.imaging.labels import LabelTable
from equireg.imaging.segments import plain
from equireg.layouts.base import FoundSet
from equireg.layouts.masks import places_beside, read_beside

_SHOWN = 5
"""Names that a note shows."""


def with_names_beside(root: Path, found: FoundSet) -> tuple[FoundSet, frozenset[Path]]:
    """Return what was found with the names that are said beside its masks, and the files that say them.

    They name values and change nothing else: which labels there are the masks say. Where the layout itself declares
    labels or names, these count alone. Files that are damaged, or that disagree, are told and do not count.

    Args:
        root: the raw folder; what lies above it says nothing.
        found: what its layout found.
    """
    if found.labels is not None or found.label_names:
        return found, frozenset()
    told, warnings = dict[Path, LabelTable](), []
    for path in _places(root, found):
        try:
            table = read_beside(path)
        except EquiregError as error:
            warnings += [f"{error} Until then its names of labels do not count."] if path.name == LABELS else []
            continue
        if table is None or {case.name for case in found.cases} & {*table.names}:  # a class a case
            continue
        told[path] = table
        if table.regions or table.ignore is not None:
            warnings.append(f"{path}: its names of labels count, its regions and its ignore label do not.")
    found = replace(found, warnings=(*found.warnings, *warnings))
    names, path = dict[int, str](), None
    for path, table in told.items():
        theirs = {value: name for value, name in zip(table.values, table.names, strict=True) if value != 0}
        differ = [value for value in names.keys() & theirs.keys() if plain(names[value]) != plain(theirs[value])]
        if differ or any(name.lower() == "background" for name in theirs.values()):
            why = (
                f"calls the value {differ[0]} otherwise than {next(iter(told))}"
                if differ
                else "gives background a value"
            )
            line = f"{path}: {why}, so no names of labels count. Correct or remove it."
            return replace(found, warnings=(*found.warnings, line)), frozenset()
        names |= theirs
    if not names:
        return found, frozenset()
    shown = ", ".join([*names.values()][:_SHOWN]) + ", ..." * (len(names) > _SHOWN)
    notes = (*found.notes, f"labels are called as {next(iter(told))} says: {shown}")
    return replace(found, label_names=names, notes=notes), frozenset(told)


def _places(root: Path, found: FoundSet) -> list[Path]:
    """Return the files that may say what the label values of the masks mean, what counts first in front."""
    numbered = (case for case in found.cases if not case.parts and not case.segments)  # by what lies in their files
    homes = dict.fromkeys(mask.parent for case in numbered for mask in case.masks)
    inside = [home for home in homes if home == root or root in home.parents]
    several = [places_beside(home, None if home == root else home.parent) for home in inside]
    return list(dict.fromkeys(path for paths in several for path in paths))
