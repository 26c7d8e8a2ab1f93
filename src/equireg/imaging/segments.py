"""Segmentations of 3D Slicer (.seg.nrrd): which segment a number stands for, and which part of the scan they cover.

Slicer numbers the segments of each file by themselves, and may save another box than that of the scan. Labelme numbers
the classes of each picture by themselves too (``label_names``).
"""

import re
from collections import Counter
from collections.abc import Collection, Container, Iterable, Mapping
from pathlib import Path

import numpy as np

from equireg.errors import EquiregError
from equireg.imaging.alignment import warn_once
from equireg.imaging.boxes import Box
from equireg.imaging.geometry import Geometry
from equireg.imaging.label_names import read_label_names
from equireg.imaging.labels import LabelTable, distinct, smallest_integer
from equireg.imaging.text_headers import read_notes
from equireg.imaging.turning import part_of

_PART = "Segmentation_ReferenceImageExtentOffset"
"""Key of a file that may hold a part of its scan."""
_SHOWN = 5
"""Labels that a message names."""
_UNNAMED = re.compile(r"(?:label|class|l)? ?\d+")
"""Name of a label that has none but its value."""
IGNORE = "ignore"
"""What a segment of voxels is called that nobody annotated."""
_NAMED_BY_ITSELF = re.compile(r"segment[_ ]?\d*", re.IGNORECASE)

Numbers = tuple[tuple[str, int], ...]
"""Plain name of a segment, and its label value."""


def plain(name: str) -> str:
    """Return a segment's name without what people write in several ways: capitals, blanks and other marks."""
    return " ".join(re.split(r"[\s_-]+", name.strip(" \t\n_-"))).casefold().replace("\\", "/")


def is_named(label: str) -> bool:
    """Whether a label has a name beside its value."""
    return _UNNAMED.fullmatch(plain(label)) is None


def is_made_up(segment: str) -> bool:
    """Whether Slicer has named a segment by itself."""
    return _NAMED_BY_ITSELF.fullmatch(" ".join(segment.split())) is not None


def held_apart(files: Iterable[Iterable[str]]) -> frozenset[str]:
    """Return the plain names that some file, by the names of its segments, gives to two of them in two spellings."""
    apart: set[str] = set()
    for names in files:
        count = Counter(plain(name) for name in set(names))
        apart |= {name for name, spellings in count.items() if spellings > 1}
    return frozenset(apart)


def label_of(name: str, labels: Iterable[str], apart: Container[str] = ()) -> str | None:
    """Return the label that a segment's name means: the same name, else the only one that differs in spelling alone.

    ``apart`` are plain names whose spelling makes a difference.
    """
    alike = [label for label in labels if plain(label) == plain(name)]
    if name in alike:
        return name
    return alike[0] if len(alike) == 1 and plain(name) not in apart else None


def told_spellings(meant: Iterable[tuple[str, str]]) -> str | None:
    """Return one line on labels with names of segments that are other spellings of them; None where there is none."""
    others: dict[str, set[str]] = {}
    for label, name in meant:
        if name != label:
            others.setdefault(label, set()).add(name)
    if not others:
        return None
    some = "; ".join(f"{label} (also {', '.join(sorted(names))})" for label, names in sorted(others.items())[:_SHOWN])
    more = f"; and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    return f"names of segments that differ in capitals or blanks alone are one label: {some}{more}"


def told_apart(files: Mapping[Path, Iterable[str]], effect: str) -> str | None:
    """Return a warning of files with segments whose names differ in spelling alone; None where there is none.

    ``effect`` says what becomes of these segments.
    """
    found = {path: apart for path, names in files.items() if (apart := held_apart([names]))}
    if not found:
        return None
    path, apart = next(iter(found.items()))
    names = ", ".join(sorted({name for name in files[path] if plain(name) in apart}))
    return (
        f"{len(found)} of {len(files)} masks have segments whose names differ in capitals or blanks alone, such as "
        f"{path} ({names}); {effect}. Rename them, or unite those that mean the same"
    )


def numbers_of(table: LabelTable) -> Numbers:
    """Return the label values of a table's names."""
    named = [(plain(name), value) for name, value in zip(table.names[1:], table.values[1:], strict=True)]
    return tuple(named if table.ignore is None else [*named, (IGNORE, table.ignore)])


def segment_names(path: Path) -> dict[int, str]:
    """Return label value to segment name, as a file says; empty unless it names all its segments, each otherwise.

    Names that Slicer made up (``Segment_1``) say nothing.
    """
    found = stated_names(path)
    return found if are_distinct(found.values()) else {}


def are_distinct(names: Collection[str]) -> bool:
    """Whether names tell segments from each other and from the background, whatever their spelling."""
    return len({plain(name) for name in names} - {"", "background"}) == len(names)


def stated_names(path: Path) -> dict[int, str]:
    """Return label value to segment name as it stands in a file, or in labelme's beside it; empty unless all have one.

    Raises:
        EquiregError: if labelme's file cannot be read.
    """
    notes = read_notes(path)
    if not notes:
        return read_label_names(path)
    found: dict[int, str] = {}
    for key, text in notes.items():
        match = re.fullmatch(r"(Segment\d{1,4}_)Name", key)
        if match is None:
            continue
        value, name = notes.get(f"{match[1]}LabelValue", ""), " ".join(text.split())
        made_up = notes.get(f"{match[1]}NameAutoGenerated") == "1" or is_made_up(name)
        if made_up or not name.isprintable() or not re.fullmatch(r"[1-9]\d{0,8}", value, re.ASCII):
            return {}
        found[int(value)] = name
    return found


def common_numbers(named: Iterable[Mapping[int, str]]) -> dict[str, int]:
    """Return one label value for each segment of several files, each label value to name.

    Where it can be, it is that of the first file with the segment.
    """
    numbers: dict[str, int] = {}
    later: dict[str, None] = {}
    for names in named:
        for value, name in sorted(names.items()):
            if plain(name) in numbers:
                continue
            if value in numbers.values():
                later[plain(name)] = None
            else:
                numbers[plain(name)] = value
                later.pop(plain(name), None)
    for name in later:
        numbers[name] = max(numbers.values()) + 1
    return numbers


def renumbered(values: np.ndarray, path: Path, numbers: Numbers) -> np.ndarray:
    """Return a mask [X, Y, Z] with the label values that its segments' names have in a data set.

    A file that names no segment stays as it is, and so does one with other names where the labels have none but their
    values, or one in which two names differ in spelling alone. Of a single label it is told that a file calls it
    otherwise.

    Raises:
        EquiregError: if the mask shows a segment that no label is called as; its number may be that of another.
    """
    known, names = dict(numbers), stated_names(path)
    if not names or held_apart([names.values()]):
        return values
    if all(map(_UNNAMED.fullmatch, known)) and not {plain(name) for name in names.values()} <= known.keys():
        return values
    meant = {value: known[plain(name)] for value, name in names.items() if plain(name) in known}
    shown = [value for value in distinct(values) if value]
    odd = [value for value in shown if value not in meant]
    labels = [name for name in known if name != IGNORE]
    if odd and len(labels) == 1 and known[labels[0]] not in meant.values():
        own = names.get(odd[0], odd[0])
        warn_once(f"masks call a segment {own!r}, the only label is {labels[0]!r}; its number is used.")
        meant |= {value: value for value in odd}
    elif odd:
        raise EquiregError(
            f"{path}: shows the segment {names.get(odd[0], odd[0])!r}; expected some of {', '.join(known)}. Rename or "
            "remove the segment."
        )
    return by_numbers(values, {value: meant[value] for value in shown})


def by_numbers(values: np.ndarray, meant: Mapping[int, int]) -> np.ndarray:
    """Return a mask with other label values; those that ``meant`` lacks become 0."""
    turned = np.zeros(values.shape, dtype=smallest_integer(0, max(meant.values(), default=0)))
    for value, other in meant.items():
        turned[values == value] = other
    return turned


def place_in(path: Path, found: Geometry, expected: Geometry) -> tuple[Box, Box] | None:
    """Return which box of a segmentation lies in its scan, and where, if it covers another part; None for any other.

    Slicer may save the box around the segments alone, or one that reaches beyond the scan.
    """
    if found.shape == expected.shape or _PART not in read_notes(path):
        return None
    return part_of(found, expected)
