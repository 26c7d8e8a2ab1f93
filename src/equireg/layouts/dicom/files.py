"""The DICOM files of a folder: slices by series, masks, and what is left out with the reason."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from equireg.imaging.dicom.heads import CAPTURES, DIRECTORY, MOSAICS, Head, Unreadable, is_dicom, read_heads
from equireg.imaging.dicom.identity import digest
from equireg.imaging.formats import extension_of
from equireg.layouts.base import Refusal
from equireg.layouts.by_key import by_key
from equireg.layouts.dicom.copies import Copies
from equireg.layouts.dicom.series_uids import Images, is_stack, put_right
from equireg.layouts.files import folders_below
from equireg.processes.progress import track

_MOST_BESIDE = 1000


@dataclass
class Files:
    """What a folder holds."""

    images: Images = field(default_factory=dict)
    masks: list[Head] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    paths: frozenset[str] = frozenset()
    """All DICOM files and their folders."""


def read_files(root: Path) -> Files:
    """Read the headers of all DICOM files below a folder; other files are left aside.

    Raises:
        EquiregError: if a folder cannot be read, or pydicom is missing and there is DICOM.
    """
    candidates = list(_candidates(root))
    paths = [path for path in candidates if is_dicom(path)]
    found = read_these(root, paths)
    others = len(candidates) - len(paths)
    if paths and others:
        known = set(paths)
        example = next(path for path in candidates if path not in known)
        found.notes.append(f"not used: {others} files that are no DICOM, such as {example}")
    return found


def read_these(root: Path, paths: list[Path]) -> Files:
    """Read the headers of some files.

    Args:
        root: the folder that they lie below.
        paths: DICOM files.
    """
    found = Files(paths=frozenset(_told(root, paths)))
    if not paths:
        return found
    aside: defaultdict[str, list[Head]] = defaultdict(list)
    copies = Copies()
    for head in track(read_heads(paths), len(paths), "DICOM headers", "file"):
        if isinstance(head, Unreadable):
            found.refused.append(_unreadable(root, head))
        elif head is None:
            continue
        elif head.aside not in (None, CAPTURES):
            aside[head.aside].append(head)
        elif copies.is_one(head):
            aside["copies of other files"].append(head)
        elif head.aside is not None:
            aside[head.aside].append(head)
        elif head.kind == "image":
            found.images.setdefault((head.study_uid, head.series_uid), []).append(head)
        else:
            found.masks.append(head)
    aside[CAPTURES] = _without_slices(aside[CAPTURES], found.images, lambda _: True)
    aside[MOSAICS] = _without_slices(aside[MOSAICS], found.images, is_stack)
    found.notes += put_right(found.images)
    for words, heads in sorted(aside.items()):
        if heads:
            count = f"{len(heads)} file{'s' * (len(heads) != 1)}"
            found.notes.append(f"left out: {count} of {words}, such as {heads[0].path}")
    return found


def _without_slices(heads: Sequence[Head], images: Images, fits: Callable[[Sequence[Head]], bool]) -> list[Head]:
    """Add files that are slices to the images, where their series has no others and fits; return the rest."""
    series = by_key(heads, lambda head: (head.study_uid, head.series_uid))
    slices = {key: several for key, several in series.items() if key not in images and fits(several)}
    images.update(slices)
    return [head for key, several in series.items() if key not in slices for head in several]


def count_beside(path: Path) -> int:
    """Return how many other files of its series lie in the folder of a single slice, of the first 1,000 there."""
    (own,) = read_heads([path])
    if not isinstance(own, Head) or own.kind != "image" or own.frames > 1:
        return 0
    others = [
        other
        for other in islice(path.parent.iterdir(), _MOST_BESIDE)
        if other != path and other.is_file() and is_dicom(other)
    ]
    return sum(isinstance(head, Head) and head.series_uid == own.series_uid for head in read_heads(others))


def _candidates(root: Path) -> Iterator[Path]:
    """Yield the files that may be DICOM: all that no ending says to be something else."""
    for folder, names in folders_below(root):
        for name in sorted(names):
            if not name.startswith(".") and extension_of(name) is None and name.upper() != DIRECTORY:
                yield folder / name


def _told(root: Path, paths: Iterable[Path]) -> Iterator[str]:
    """Yield the paths of files and of the folders between them and the root: each may be named after a patient."""
    for path in paths:
        yield str(path)
    for folder in {path.parent for path in paths} - {root}:
        yield str(folder)


def _unreadable(root: Path, file: Unreadable) -> Refusal:
    name = f"file_{digest(os.path.relpath(file.path, root), 8)}"
    return Refusal(name, f"{file.path}: {file.finding}.", "Export it again unencrypted, or remove it.")
