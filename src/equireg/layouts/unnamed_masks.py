"""Masks whose names do not say so (``laendo`` beside ``lgemri``, ``c1_tumour`` beside ``c1``): told by their voxels.

Only files that recur under one name beside other scans are opened, two of each name.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from equireg.imaging.pictures import is_picture
from equireg.layouts.by_key import by_key
from equireg.layouts.channels import NUMBERED, split_channel
from equireg.layouts.files import MARKS, shorter, stem_of, up_to
from equireg.layouts.folder_words import may_be_target_domain, sounds_like_masks, words_of
from equireg.layouts.label_maps import hold_labels, hold_scans
from equireg.layouts.masks import core_of, is_brain_mask, split_mask

_FOLDERS = 30
"""Folders beside each other, with fewer files in each than there are folders, that are rather cases than kinds."""

_NO_LABELS = {"fov", "valid", "ignore", "body"}
"""Words of masks that say where to look, and are nobody's label."""


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
    found: set[Path] = set()
    for several in by_key(scans, lambda folder: folder.parent).values():
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
        cases = _before_one_ending(stems, lambda name, folder=folder: bool(homes.get(name, set()) - {folder}))
        others = [homes[name] - {folder} for name in cases if name in homes]
        missing = len(files) - sum(map(bool, others))
        if 2 * missing > len(files) or not hold_labels(files):
            continue
        if not any(hold_labels(scans[home]) for home in set().union(*others)):
            found |= dict(zip(files, cases, strict=True))
    return found


def with_one_ending(scans: Mapping[Path, Sequence[Path]], homes: Iterable[Sequence[Path]]) -> dict[Path, str]:
    """Return masks whose names are those of scans and one ending that all have, with the scans' part of their names.

    All masks of a home must be so, each of a scan of its own, and none of them may fit a scan by its name. Scans may
    have an ending too that all in their folder have (``images/c1_rgb`` and ``masks/c1_ids``). A scan that a mask of
    another home fits by its name is left to that one.

    Args:
        scans: folder to the scans in it.
        homes: the masks of each place.
    """
    stems = {stem_of(file) for files in scans.values() for file in files}
    known = stems | {name for stem in stems for name in _other_names(stem)} | {folder.name for folder in scans}
    owners = _without_common_endings(scans) | {stem: stem for stem in stems}
    places = [[file for file in home if not is_brain_mask(file)] for home in homes]
    claimed = [{owners[name] for file in files for name in _names(file) if name in owners} for files in places]
    claims = Counter(scan for several in claimed for scan in several)
    found: dict[Path, str] = {}
    for files, own in zip(places, claimed, strict=True):
        names = [stem_of(file) for file in files]
        if len(files) < 2 or any(known & _names(file) for file in files):
            continue
        cases = _before_one_ending(names, owners.__contains__) or names
        one_to_one = len(set(cases)) == len(files) and owners.keys() >= {*cases}
        ending = names[0].removeprefix(cases[0])
        if one_to_one and not _NO_LABELS & words_of(ending) and hold_labels(files, any_background=True):
            pairs = zip(files, map(owners.__getitem__, cases), strict=True)
            found |= {file: scan for file, scan in pairs if claims[scan] == (scan in own)}
    return found


def _without_common_endings(scans: Mapping[Path, Sequence[Path]]) -> dict[str, str]:
    """Return names of scans less what all names in their folder end with from a mark on, to the whole names.

    What other scans begin with too is left out: it is a case's name, and these are its channels or times.
    """
    every = {stem_of(file) for files in scans.values() for file in files}
    beginning = by_key(((name, stem) for stem in every for name in shorter(stem)), lambda pair: pair[0])
    owners: defaultdict[str, set[str]] = defaultdict(set)
    for stems in ([*map(stem_of, files)] for files in scans.values() if len(files) > 1):
        endings = [stems[0].removeprefix(name) for name in reversed(shorter(stems[0]))]  # the longest first
        ending = next((rest for rest in endings if all(stem.endswith(rest) for stem in stems)), "")
        if NUMBERED.fullmatch(f"x{ending}"):
            continue  # nnU-Net's number of a channel: scans go by the name without it already
        for name in (stem.removesuffix(ending) for stem in stems if ending):
            others = {stem for _, stem in beginning[name] if not stem.endswith(ending)}
            owners[name] |= {name + ending, *others}
    return {name: min(several) for name, several in owners.items() if len(several) == 1}


def _before_one_ending(names: Sequence[str], is_scan: Callable[[str], bool]) -> list[str]:
    """Return what stands before the one ending that masks have behind the names of scans (``c1_L``, ``c2_L``).

    Nothing is returned where they end unlike, or with a number.
    """
    case = next(filter(is_scan, shorter(names[0])), names[0])
    rest = names[0].removeprefix(case)
    alike = len(names) > 1 and rest and all(name.endswith(rest) and name != rest for name in names)
    return [name.removesuffix(rest) for name in names] if alike and not rest.strip(MARKS).isdigit() else []


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


def target_domains(root: Path, found: Sequence[tuple[Path, Sequence[Path]]]) -> set[Path]:
    """Return folders called ``target`` of a set that hold scans: no labels, and no names of scans elsewhere."""
    places = {place for folder, _ in found for place in up_to(root, folder)}
    domains: set[Path] = set()
    for place in filter(lambda place: may_be_target_domain(place.name), places):
        inside = [file for folder, files in found if folder.is_relative_to(place) for file in files]
        beside = {stem_of(file) for folder, files in found if not folder.is_relative_to(place) for file in files}
        plain = beside.isdisjoint(map(stem_of, inside)) and not any(split_mask(stem_of(file)) for file in inside)
        if plain and hold_scans(inside):
            domains.add(place)
    return domains


def _names(mask: Path) -> set[str]:
    stem = stem_of(mask)
    return {stem, *_other_names(stem)}


def _other_names(stem: str) -> set[str]:
    """Return the names that a scan or a mask goes by beside its own."""
    channel = split_channel(stem)
    parts = (split_mask(stem), core_of(stem), channel[0] if channel else None)
    return {part.strip(MARKS) for part in parts if part}
