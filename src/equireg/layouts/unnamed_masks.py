"""Masks whose names do not say so (``laendo`` beside ``lgemri``, ``c1_tumour`` beside ``c1``): told by their voxels.

Only files that recur under one name beside other scans are opened, two of each name.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from equireg.errors import EquiregError
from equireg.imaging.formats import read_header
from equireg.imaging.labels import distinct
from equireg.imaging.limits import LIMITS
from equireg.imaging.masks import read_label_values
from equireg.imaging.pictures import CHANNELS, is_picture, picture_slabs
from equireg.layouts.channels import split_channel
from equireg.layouts.files import MARKS, may_be_target_domain, sounds_like_masks, stem_of
from equireg.layouts.masks import split_mask

_MOST_VALUES = 256
_LEAST_VOXELS = 512
_BACKGROUND = 0.3
"""Fraction of voxels that are 0, at least."""
_PATCHES = 0.5
"""Fraction of neighbours inside that are equal, at least; noise leaves scans few."""
_COLOURS = 16
_COVER = 0.9
"""Fraction of the pixels inside that so many colours have, at least: smooth edges add others, a photograph has more."""
_FOLDERS = 30
"""Folders beside each other, with fewer files in each than there are folders, that are rather cases than kinds."""
_OPENED = 3
"""Files of a name that are opened; an empty one says nothing."""


def find(scans: Mapping[Path, Sequence[Path]]) -> dict[Path, str]:
    """Return the files among scans that are masks, with the case's part of their names.

    Args:
        scans: folder to the files in it that no word calls a mask.
    """
    groups: defaultdict[str, list[tuple[Path, str]]] = defaultdict(list)
    above = {place for folder in scans for place in folder.parents}
    for folder, files in scans.items():
        if len(files) == 1 and folder not in above:
            continue
        stems = sorted(map(stem_of, files))
        known = set(stems)
        for file in files:
            for case, rest in _parts(folder, stem_of(file), stems, known):
                groups[rest].append((file, case))
    chosen: dict[Path, str] = {}
    for rest, several in groups.items():
        if rest and len(several) > 1 and hold_labels([file for file, _ in several]):
            chosen |= {file: case for file, case in several if file not in chosen}
    with_scans = {
        place
        for folder, files in scans.items()
        if not all(file in chosen for file in files)
        for place in (folder, *folder.parents)
    }
    return {file: case for file, case in chosen.items() if file.parent in with_scans}


def below_their_scan(scans: Mapping[Path, Sequence[Path]]) -> dict[Path, str]:
    """Return masks in a folder that is called as a scan beside it (``c1.nii`` and ``c1/liver.nii``), with that name."""
    found: dict[Path, str] = {}
    for folder, files in scans.items():
        beside = {stem_of(file) for file in scans.get(folder.parent, ()) if folder.parent != folder}
        if folder.name in beside:
            found |= dict.fromkeys(files, folder.name)
    return found if hold_labels(list(found)) else {}


def folders(scans: Mapping[Path, Sequence[Path]]) -> set[Path]:
    """Return the folders that hold a mask for scans of the same names in a folder beside (``ct/c1``, ``organ/c1``)."""
    siblings: defaultdict[Path, list[Path]] = defaultdict(list)
    for folder in scans:
        siblings[folder.parent].append(folder)
    found: set[Path] = set()
    for several in siblings.values():
        if len(several) > max(_FOLDERS, *(len(scans[folder]) for folder in several)):
            continue
        stems = {folder: {stem_of(file) for file in scans[folder]} for folder in several}
        alike = [
            folder
            for folder in several
            if any(len(stems[folder] & stems[other]) > 1 for other in several if other != folder)
        ]
        masks = {folder for folder in alike if hold_labels(scans[folder])}
        if len(masks) < len(alike):
            found |= masks
    return found


def called_masks(root: Path, scans: Mapping[Path, Sequence[Path]]) -> dict[Path, list[Path]]:
    """Return the topmost folders that hold no other pictures than masks, with the folders of these.

    A name there ends or begins with a word for masks (``Cup_Masks/a/c1``), and the pixels agree, on any background.
    """
    told = {
        folder
        for folder, files in scans.items()
        if any(map(sounds_like_masks, folder.relative_to(root).parts))
        and all(map(is_picture, files))
        and hold_labels(files, any_background=True)
    }
    others = {place for folder in scans if folder not in told for place in (folder, *folder.parents)}
    found: defaultdict[Path, list[Path]] = defaultdict(list)
    for folder in sorted(told) if others else ():
        above = [place for place in folder.parents if place not in others]
        found[above[-1] if above else folder].append(folder)
    return found


def behind_scans(scans: Mapping[Path, Sequence[Path]]) -> dict[Path, str]:
    """Return masks with the names of their scans, which lie in another folder (``raw/c1``, ``drawn/c1_L``).

    The names of all files in a folder of masks end alike; up to half of their scans may be missing.
    """
    homes: defaultdict[str, set[Path]] = defaultdict(set)
    for folder, files in scans.items():
        for file in files:
            homes[stem_of(file)].add(folder)
    found: dict[Path, str] = {}
    for folder, files in scans.items():
        stems = [stem_of(file) for file in files]
        case = next((name for name in shorter(stems[0]) if homes.get(name, {folder}) != {folder}), None)
        rest = stems[0].removeprefix(case or stems[0])
        alike = len(files) > 1 and all(stem.endswith(rest) and stem != rest for stem in stems)
        if case is None or not alike or rest.strip(MARKS).isdigit():
            continue
        cases = [stem.removesuffix(rest) for stem in stems]
        others = [homes[name] - {folder} for name in cases if name in homes]
        missing = len(files) - sum(map(bool, others))
        if 2 * missing > len(files) or not hold_labels(files):
            continue
        if not any(hold_labels(scans[home]) for home in set().union(*others)):
            found |= dict(zip(files, cases, strict=True))
    return found


def shorter(stem: str) -> list[str]:
    """Return what stands before each mark in a stem, the longest first."""
    return [stem[:index] for index in range(len(stem) - 1, 0, -1) if stem[index] in MARKS]


def _parts(folder: Path, stem: str, stems: Sequence[str], known: set[str]) -> list[tuple[str, str]]:
    """Return how a name may split into case and what the file is: by a scan beside it, by its folder, by its words.

    Args:
        folder: where the file lies.
        stem: its name without its ending.
        stems: sorted, those of all files there, its own among them.
        known: the same as a set.
    """
    if split_channel(stem) is not None:
        return []
    beside = [name for name in shorter(stem) if name in known]
    if beside:
        case = beside[-1]
    elif stem.lower().startswith(folder.name.lower()) and len(stem) > len(folder.name) and len(stems) > 1:
        case = stem[: len(folder.name)]
    else:
        case = stem[: max(0, *(stem.rfind(mark) for mark in MARKS))]
        second = bisect_left(stems, case) + 1  # what begins alike lies side by side, the stem among it
        if second == len(stems) or not stems[second].startswith(case):
            case = ""
    rest = stem[len(case) :].strip(MARKS).lower()
    return [] if rest.isdigit() else [(case, rest)]


def hold_labels(files: Sequence[Path], *, any_background: bool = False) -> bool:
    """Whether the first files hold labels, all but those that are empty; most of pictures, as edges may be smooth."""
    opened = files[:_OPENED]
    found = [holds_labels(file, any_background=any_background) for file in opened]
    odd = found.count(False)
    return found.count(True) > odd and (odd == 0 or all(map(is_picture, opened)))


def target_domains(root: Path, found: Sequence[tuple[Path, Sequence[Path]]]) -> set[Path]:
    """Return folders called ``target`` of a set that hold scans: no labels, and no names of scans elsewhere."""
    places = {place for folder, _ in found for place in (folder, *folder.parents) if root in place.parents}
    domains: set[Path] = set()
    for place in filter(lambda place: may_be_target_domain(place.name), places):
        inside = [file for folder, files in found if folder.is_relative_to(place) for file in files]
        beside = {stem_of(file) for folder, files in found if not folder.is_relative_to(place) for file in files}
        plain = beside.isdisjoint(map(stem_of, inside)) and not any(split_mask(stem_of(file)) for file in inside)
        if plain and hold_scans(inside):
            domains.add(place)
    return domains


def hold_scans(files: Sequence[Path]) -> bool:
    """Whether no file of the first holds labels, and one at least is no empty mask."""
    found = [holds_labels(file, any_background=True) for file in files[:_OPENED]]
    return False in found and True not in found


def holds_labels(path: Path, *, any_background: bool = False) -> bool | None:
    """Whether a file's voxels are whole numbers, few different ones, in patches, on a background.

    Args:
        path: the file.
        any_background: whether the background may be another number than 0: the most frequent one.

    Returns:
        None where nothing tells: every voxel is background, which is an empty mask or no scan, there are few voxels,
        or the file cannot be read.
    """
    if not path.exists():  # a link to nothing
        return None
    state = path.stat()
    return _judged(path, state.st_size, state.st_mtime_ns, any_background)


@cache
def _judged(path: Path, size: int, time: int, any_background: bool) -> bool | None:
    """Judge a file in the state of that size and time; one without whole numbers holds no labels."""
    try:
        header = read_header(path)
    except EquiregError:
        return None
    try:
        coloured = header.channels == len(CHANNELS) and is_picture(path)
        if header.scale is not None or (header.channels != 1 and not coloured):
            return False
        values = _colours(path) if coloured else read_label_values(path)[0]
    except (EquiregError, ValueError):
        return False
    background = _most_frequent(values) if any_background else 0
    if values.size < _LEAST_VOXELS or (values == background).all():
        return None
    if not (_few_colours(values) if coloured else _few_values(values)):
        return False
    first, second = values[:-1], values[1:]
    inside = (first != background) | (second != background)
    return bool(np.mean(values == background) > _BACKGROUND and np.mean(first[inside] == second[inside]) > _PATCHES)


def _most_frequent(values: np.ndarray) -> int:
    found, counts = np.unique(values, return_counts=True)
    return int(found[counts.argmax()])


def _colours(path: Path) -> np.ndarray:
    """Return a number for the colour of each pixel of a picture, [X, Y, 1]; black is 0."""
    with picture_slabs(path, LIMITS) as (_, slabs):
        red, green, blue = next(iter(slabs)).values.astype(np.int32)
    return red << 16 | green << 8 | blue


def _few_values(values: np.ndarray) -> bool:
    different = len(distinct(values))
    return different <= _MOST_VALUES and different**2 <= values.size


def _few_colours(colours: np.ndarray) -> bool:
    counts = np.sort(np.unique(colours[colours != 0], return_counts=True)[1])[::-1]
    return bool(counts[:_COLOURS].sum() >= _COVER * counts.sum())
