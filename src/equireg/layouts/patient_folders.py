"""Patients by the folders that their scans lie in, where the names of the cases do not hold the folder's."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from equireg.layouts.by_key import by_key
from equireg.layouts.dates import DATES
from equireg.layouts.folder_words import mask_part, scan_part_beside_masks, set_of
from equireg.layouts.patients import SCHEMES, has_number

_MOST_SCANS = 10
"""Scans in one folder, at most, that are believed to be of one patient where its name does not say so."""
_MANY = 10
"""Folders, from which on names without a number may be those of patients; a data set has fewer sites."""
_DATED = re.compile(rf"(?:{'|'.join(DATES)})(?!\d)", re.IGNORECASE)
"""The beginning of a study's name."""
_OTHERS = re.compile(
    r"(?:site|cent(?:er|re)|hospital|clinic|institut(?:e|ion)|fold|batch|part|split|(?:data)?set|group|cohort|scanner|"
    r"vendor|class|grade|type|task|version|v)[_\-. ]?[a-z0-9]*",
    re.IGNORECASE,
)
"""Names of folders that are not patients."""

Folder = tuple[str, ...]
"""Names below the root, those of sets and of folders of scans left out: ``train/P1`` and ``test/P1`` are one."""


def patients_of_folders(root: Path, files: Mapping[str, Path], patients: Mapping[str, str]) -> dict[str, str]:
    """Return the patient of each case whose folder is surely that of a patient, with several scans.

    It is called so (``patient3``, ``sub-01``), or all in it lies in folders that begin with a date. One that holds
    more than half of the cases is the data set. Cases elsewhere whose names tell the same patient go with it.

    Args:
        root: the raw folder.
        files: case name to a file of its scan.
        patients: case name to the patient that the name shows.
    """
    paths = {name: _place(root, file) for name, file in files.items()}
    members = by_key(files, patients.__getitem__)
    found: dict[str, str] = {}
    for folder, names in sorted(_folders(paths).items()):
        named = any((match := scheme.fullmatch(folder[-1])) and match["patient"] == folder[-1] for scheme in SCHEMES)
        if not named and not _holds_dates(folder, [paths[name] for name in names]):
            continue
        joined = set().union(*(members[patients[name]] for name in names))
        several = len({patients[name] for name in names}) > 1
        if several and len(joined) <= len(files) / 2 and found.keys().isdisjoint(joined):
            found |= dict.fromkeys(joined, "_".join(folder))
    return found


def like_patients(root: Path, files: Mapping[str, Path], patients: Mapping[str, str]) -> list[list[str]]:
    """Return groups of cases whose folders may be those of patients with several scans, and which were not grouped.

    Args:
        root: the raw folder.
        files: case name to a file of its scan.
        patients: case name to patient.
    """
    paths = {name: _place(root, file) for name, file in files.items()}
    folders = _folders(paths)
    nearest: defaultdict[Folder, list[str]] = defaultdict(list)
    for name, place in paths.items():
        above = (place[:depth] for depth in range(len(place), 0, -1))
        folder = next((folder for folder in above if len(folders[folder]) > 1), None)
        if folder is not None:
            nearest[folder].append(name)
    found = {
        folder: names
        for folder, names in nearest.items()
        if len(names) == len({patients[name] for name in names}) <= min(_MOST_SCANS, len(files) // 2)
        and not _OTHERS.fullmatch(folder[-1])
        and (len(nearest) >= _MANY or has_number(folder[-1]))
    }
    several = sorted(names for names in found.values() if len(names) > 1)
    return several if len(several) > 1 and 2 * sum(map(len, several)) >= len(files) else []


def _place(root: Path, file: Path) -> Folder:
    parts = file.parent.relative_to(root).parts if file.is_relative_to(root) else ()
    return tuple(part for part in parts if not _is_of_set(part))


def _is_of_set(name: str) -> bool:
    return scan_part_beside_masks(name) is not None or mask_part(name) is not None or set_of(name) is not None


def _folders(paths: Mapping[str, Folder]) -> dict[Folder, list[str]]:
    """Return the cases that lie in each folder or below it."""
    found: defaultdict[Folder, list[str]] = defaultdict(list)
    for name, place in paths.items():
        for depth in range(1, len(place) + 1):
            found[place[:depth]].append(name)
    return found


def _holds_dates(folder: Folder, below: Sequence[Folder]) -> bool:
    """Whether a folder with a number in its name holds nothing but a few folders that begin with a date."""
    studies = {place[len(folder)] if len(place) > len(folder) else "" for place in below}
    numbered = has_number(folder[-1]) and not _OTHERS.fullmatch(folder[-1])
    return numbered and len(studies) <= _MOST_SCANS and all(map(_DATED.match, studies))
