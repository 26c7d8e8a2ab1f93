"""Lists of cases beside scans (``ImageSets/Segmentation/val.txt`` of VOC, ``test.list``): what they say is told."""

import re
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from equireg.errors import some_of
from equireg.imaging.formats import composed
from equireg.layouts.base import RawDataset
from equireg.layouts.files import folders_below, stem_of

_HELD_OUT = re.compile(r"(?:(?:val|valid|validation|test|testing)|(unlabell?ed))(?:[_-]?list)?")
_ENDINGS = (".txt", ".list")
_MOST_BYTES = 2**24
_FEW = 3
"""Lines that name cases from which on a file is a list, whatever its other lines say."""

_Known = dict[tuple[str, str], set[str]]
"""Name of a folder (empty: any) and of a file in it to the cases that they may mean."""


def unread_lists(dataset: RawDataset) -> str | None:
    """Warn of lists whose cases train though they are named for validation or test, or with masks as unlabelled.

    Lists of one folder are often of several tasks or folds, so they set nothing aside by themselves; ``--split`` does.
    """
    known, masked = _known(dataset), {case.name for case in dataset.cases if case.label is not None}
    aside = {case.name for case in dataset.cases if case.held_out}
    told = []
    for folder, names in folders_below(dataset.root):
        for name in sorted(names):
            match = _HELD_OUT.fullmatch(Path(name).stem.lower())
            if match is None or not name.lower().endswith(_ENDINGS):
                continue
            named = _cases_in(folder / name, known)
            if match[1] is None and (drawn := sorted(named - aside)):
                told.append(f"{folder / name} names {_counted(drawn)} for validation or test")
            elif match[1] is not None and (with_mask := sorted(named & masked)):
                told.append(f"{folder / name} names {_counted(with_mask)} as unlabelled, and a mask is there")
    if not told:
        return None
    return (
        f"lists of cases are not read: {some_of(told, 2)}. If they matter, give --split FILE.json with the lists "
        "train, val and test, and take masks of unlabelled cases away."
    )


def _counted(names: Sequence[str]) -> str:
    return f"{len(names)} case{'s' * (len(names) != 1)} ({some_of(names, 2)})"


def _known(dataset: RawDataset) -> _Known:
    known = defaultdict[tuple[str, str], set[str]](set)
    for case in dataset.cases:
        for file in case.images:
            for name in (case.name, stem_of(file)):
                known[file.parent.name, name].add(case.name)
                known["", name].add(case.name)
    return dict(known)


def _cases_in(path: Path, known: _Known) -> set[str]:
    """Return the cases that a file lists; none if it is no list, or cannot be read."""
    lines: list[str] = []
    with suppress(OSError), path.open("rb") as file:
        text = composed(file.read(_MOST_BYTES).decode("utf-8-sig", "replace"))
        lines = [line for line in map(str.strip, text.splitlines()) if line]
    meant = [found for line in lines if len(found := _named(line, known)) == 1]
    return set[str]().union(*meant) if len(meant) >= min(_FEW, len(lines) / 2) else set()


def _named(line: str, known: _Known) -> set[str]:
    """Return the cases that a line may mean: a name or path, alone or ahead of that of its mask."""
    for text in (line, re.split(r"[\s,;]", line)[0]):
        file = PurePosixPath(text.replace("\\", "/"))
        if text != line and file.name.isdigit():
            continue  # a number in a table
        found = known.get((file.parent.name, stem_of(Path(file.name)) if file.name else ""))
        if found:
            return found
    return set()
