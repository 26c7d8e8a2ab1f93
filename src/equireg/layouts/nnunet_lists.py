"""What the lists of an nnU-Net ``dataset.json`` say of the cases that lie in its folders."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from equireg.errors import some_of
from equireg.imaging.formats import extension_of
from equireg.layouts.base import FoundCase
from equireg.layouts.channels import NUMBERED
from equireg.layouts.dataset_json import LISTS, is_there, listed_file
from equireg.layouts.files import stem_of


@dataclass(frozen=True)
class AsListed:
    """The cases of the folders, as the lists have them."""

    cases: tuple[FoundCase, ...]
    listed: frozenset[int]
    """Places of the cases that a list names."""
    warnings: tuple[str, ...]


def as_listed(path: Path, description: Mapping[str, Any], cases: Sequence[FoundCase]) -> AsListed:
    """Hold out the cases that a list other than ``training`` names, and give each the mask that its list names.

    Args:
        path: of ``dataset.json``.
        description: what it holds.
        cases: those of the folders.
    """
    places = _Places(cases)
    lists: defaultdict[int, list[str]] = defaultdict(list)
    found = list(cases)
    other: list[str] = []
    for key in LISTS:
        entries = description.get(key)
        for entry in entries if isinstance(entries, list) else ():
            place = next((place for image in _texts(entry, "image") if (place := places.of(image)) is not None), None)
            if place is None:
                continue
            if not lists[place]:
                mask = _mask(path, entry, cases[place])
                if mask is not None:
                    found[place] = replace(cases[place], label=mask, label_problem=None)
                    other += [cases[place].name] if cases[place].label is not None else []
            lists[place].append(key)
    twice = [cases[place].name for place, keys in lists.items() if "training" in keys and {*keys} != {"training"}]
    for place, keys in lists.items():
        found[place] = replace(found[place], held_out=cases[place].held_out or "training" not in keys)
    warnings = []
    if other:
        warnings.append(
            f"{path} lists masks elsewhere than under the names of their scans, which are used: {some_of(other)}. "
            "Correct the list if these are not the right ones."
        )
    if twice:
        warnings.append(
            f'{path} lists cases both under "training" and elsewhere, which are used for training: {some_of(twice)}. '
            "Take them out of one of the lists."
        )
    return AsListed(tuple(found), frozenset(lists), tuple(warnings))


class _Places:
    """Which case a listed scan is, by the last folder and the name; with or without the number of a channel."""

    def __init__(self, cases: Sequence[FoundCase]) -> None:
        self._by_name: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
        self._by_file: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
        for place, case in enumerate(cases):
            for file in case.files.values():
                for folder in (file.parent.name, ""):
                    self._by_name[folder, case.name].add(place)
                    self._by_file[folder, stem_of(file)].add(place)

    def of(self, image: str) -> int | None:
        """Return the place of the case; None where there is none, or not one alone."""
        file = PurePosixPath(image.replace("\\", "/"))
        folder, stem = file.parent.name, stem_of(Path(file.name))
        match = NUMBERED.fullmatch(stem)
        keys = [(self._by_name, stem), (self._by_file, stem), *([(self._by_name, match[1])] if match else [])]
        found = next((known[folder, name] for known, name in keys if (folder, name) in known), set[int]())
        return min(found) if len(found) == 1 else None


def _texts(entry: Any, key: str) -> list[str]:
    """Return the files that an entry names; it may be a plain file name."""
    value = entry.get(key) if isinstance(entry, dict) else entry if key == "image" else None
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str) and one.strip()]


def _mask(path: Path, entry: Any, case: FoundCase) -> Path | None:
    """Return the mask that an entry names, if it is there and another than that which the case has."""
    named = _texts(entry, "label")
    file = listed_file(path, named[0]) if len(named) == 1 else None
    if file is None or not is_there(file) or extension_of(file) is None:
        return None
    own = {mine.resolve() for mine in (*case.files.values(), case.label) if mine is not None}
    return None if file.resolve() in own else file
