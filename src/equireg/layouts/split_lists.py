"""Lists of cases beside scans (``ImageSets/Segmentation/val.txt`` of VOC, ``test.list``): whom they hold out."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from equireg.disk import read_errors
from equireg.errors import some_of
from equireg.imaging.formats import composed
from equireg.layouts.base import RawCase, RawDataset
from equireg.layouts.files import folders_below, stem_of

_LIST = re.compile(
    r"(?P<training>train|training|labell?ed)|(?P<unlabelled>unlabell?ed)|(?P<held_out>val|valid|validation|test|testing)"
)
_ENDINGS = (".txt", ".list")
_MOST_BYTES = 2**24
_GIVE = "Give --split FILE.json with the lists train, val and test of case names, if they matter."


@dataclass(frozen=True)
class _CaseList:
    path: Path
    kind: str
    """A group of ``_LIST``."""
    names: frozenset[str]
    """Cases that it names."""


def with_lists(dataset: RawDataset) -> RawDataset:
    """Return a data set in which the cases are held out that lists of validation and test cases name.

    They count where a list of training cases is there too, and none contradicts another or divides a patient's scans;
    else a warning says that they are not read.

    Raises:
        EquiregError: if a list cannot be read.
    """
    lists = list(_found(dataset))
    listed = {kind: {name for one in lists if one.kind == kind for name in one.names} for kind in _LIST.groupindex}
    training, held_out = listed["training"] | listed["unlabelled"], listed["held_out"]
    masked = {case.name for case in dataset.cases if case.label is not None}
    new = {case.name for case in dataset.cases if case.name in held_out and not case.held_out}
    if why := _why_not(dataset.cases, training, held_out) if new or not masked <= training | held_out else None:
        return _told(dataset, f"{lists[0].path}: lists of cases such as this one are not read, because {why}. {_GIVE}")
    if unused := sorted(listed["unlabelled"] & masked - held_out):
        file = next(one.path for one in lists if one.kind == "unlabelled")
        dataset = _told(
            dataset,
            f"{file}: names {len(unused)} cases with a mask as unlabelled, and they train with it: "
            f"{some_of(unused, 3)}. Take their masks away to train without them.",
        )
    if not new:
        return dataset
    first = next(one.path for one in lists if one.kind == "held_out")
    note = (
        f"held out: {len(new)} cases that lists such as {first} name for validation or test, as if their folder was "
        "called so; --split FILE.json says otherwise"
    )
    cases = tuple(replace(case, held_out=case.held_out or case.name in new) for case in dataset.cases)
    return replace(dataset, cases=cases, notes=(*dataset.notes, note))


def _told(dataset: RawDataset, line: str) -> RawDataset:
    return replace(dataset, warnings=(*dataset.warnings, line))


def _why_not(cases: Sequence[RawCase], training: set[str], held_out: set[str]) -> str | None:
    """Return why lists do not count; None where they do, or where there are none."""
    if not training and not held_out:
        return None
    if not training or not held_out:
        return f"there is none of {'training' if held_out else 'validation or test'} cases"
    if both := sorted(training & held_out):
        return f"some name {both[0]} for training and others for validation or test"
    patient = {case.name: case.patient for case in cases}
    if divided := sorted({patient[name] for name in training} & {patient[name] for name in held_out}):
        return f"they divide the scans of the patient {divided[0]}"
    return None


def _found(dataset: RawDataset) -> Iterator[_CaseList]:
    """Yield the files that are called as lists, and most of whose lines name cases."""
    known: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for case in dataset.cases:
        for file in case.images:
            for name in (case.name, stem_of(file)):
                known[file.parent.name, name].add(case.name)
                known["", name].add(case.name)
    for folder, names in folders_below(dataset.root):
        for name in sorted(names):
            match = _LIST.fullmatch(Path(name).stem.lower())
            if match is None or match.lastgroup is None or not name.lower().endswith(_ENDINGS):
                continue
            lines = _lines(folder / name)
            meant = [found for line in lines if len(found := _named(line, known)) == 1]
            if meant and 2 * len(meant) >= len(lines):
                yield _CaseList(folder / name, match.lastgroup, frozenset[str]().union(*meant))


def _lines(path: Path) -> list[str]:
    with read_errors(path), path.open("rb") as file:
        text = composed(file.read(_MOST_BYTES).decode("utf-8-sig", "replace"))
    return [line for line in map(str.strip, text.splitlines()) if line]


def _named(line: str, known: defaultdict[tuple[str, str], set[str]]) -> set[str]:
    """Return the cases that a line may mean: a name or path, alone or ahead of that of its mask."""
    for text in (line, re.split(r"[\s,;]", line)[0]):
        file = PurePosixPath(text.replace("\\", "/"))
        found = known.get((file.parent.name, stem_of(Path(file.name)) if file.name else ""))
        if found:
            return found
    return set()
