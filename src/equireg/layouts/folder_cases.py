"""Folders below the root to cases: a folder a case, or a folder of many cases."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from equireg.layouts.by_key import by_key
from equireg.layouts.channels import is_known, meaning
from equireg.layouts.files import MARKS, stem_of
from equireg.layouts.grouping import Group, choose_scheme, group_files, single, take, without_word_for_scan
from equireg.layouts.patients import differ_by_time, is_time_point, is_visit

_NUMBER = re.compile(r"^\d+(?=[_\-. ])|\d+$")  # not that of a contrast, as in t1_brain and t2_brain


@dataclass
class FolderCases:
    """The cases that folders hold."""

    groups: list[Group] = field(default_factory=list)
    unclear: list[Group] = field(default_factory=list)
    """Several time points of a patient beside one mask that does not say whose it is."""


def group_folders(
    root: Path,
    folders: Mapping[Path, Sequence[Path]],
    has_mask: Callable[[Path, str], bool],
    mask_count: Callable[[Path], int],
    channel_count: int | None,
) -> FolderCases:
    """Group scans that lie in folders below.

    A folder is a case if it has one scan, or scans that differ only in a channel, or scans whose names recur in
    other folders (``a/adc, a/dwi, b/adc, b/dwi``); those names are the channels then. Scans with masks of their own
    and time points are cases of their own.

    Args:
        root: a folder above them all.
        folders: folder to the scans directly inside.
        has_mask: whether a folder's scan has a mask under a name.
        mask_count: how many masks lie beside a folder's scans.
        channel_count: channels of a case, where it is known.
    """
    rests = {folder: [_rest(folder, file) for file in files] for folder, files in folders.items()}
    count = Counter(name for names in rests.values() for name in set(names))
    result, called = FolderCases(), folder_names(folders, root)
    across = _across_folders(root, folders)
    result.groups += across
    done = {file for group in across for file in group.files.values()}
    for folder, files in folders.items():
        if done.issuperset(files):
            continue
        named = _channels_after_folder(folder, files)
        if named is not None:
            result.groups.append(Group(called[folder], named))
            continue
        owned = _with_own_mask(folder, files, has_mask)
        found = group_files(files, choose_scheme(files, owned.__contains__, channel_count))
        name = called[folder]
        words = [_rest_of(folder, group.name) for group in found]
        recurring = all(count[rest] > 1 and rest for rest in rests[folder]) and not any(map(str.isdigit, words))
        recurring = recurring and not (len(files) >= len(folders) and _are_numbered(words))
        if len(found) == 1:
            result.groups.append(replace(found[0], name=name))
        elif len(owned) > 1 or _are_times(words) or differ_by_time(words):
            cases = [_case_of_folder(group, name, folder, count) for group in found]
            shared = mask_count(folder) and not any(has_mask(folder, name) for group in found for name in group.names())
            (result.unclear if shared else result.groups).extend(cases)
        elif recurring:
            result.groups.append(_channels_by_name(name, folder, files))
        else:
            result.groups += found
    return result


def _across_folders(root: Path, folders: Mapping[Path, Sequence[Path]]) -> list[Group]:
    """Group scans where a folder is a channel (``T1/c1``, ``T2/c1``) or a time point (``baseline/c1``) of all cases.

    Folders of one scan each are channels of a case (``c1/T1/scan``, ``c1/FLAIR/scan``), unless they may be times.
    """
    siblings = by_key(folders, lambda folder: folder.parent)
    called = folder_names(siblings, root)
    groups: list[Group] = []
    for parent, several in siblings.items():
        names = [folder.name.lower() for folder in several]
        stems = [{stem_of(file) for file in folders[folder]} for folder in several]
        alone = max(map(len, stems)) < 2
        if len(several) < 2 or not set.intersection(*stems) or (alone and (_are_times(names) or parent == root)):
            continue
        contrasts = all(map(is_known, set.union(*stems)))  # then the folders T1 and T2 are times
        if len({meaning(name) for name in names}) == len(names) and all(map(is_known, names)) and not contrasts:
            every = by_key((file for folder in several for file in folders[folder]), stem_of)
            for stem, files in sorted(every.items()):
                channels = {meaning(file.parent.name): file for file in files}
                groups.append(Group(called[parent] if alone else stem, channels))
        elif (_are_times(names) or all(map(is_visit, names))) and len(siblings) == 1 and not contrasts and not alone:
            groups += [
                Group(f"{stem_of(file)}_{folder.name}", single(file).files)
                for folder in several
                for file in folders[folder]
            ]
    return groups


def _channels_after_folder(folder: Path, files: Sequence[Path]) -> dict[str, Path] | None:
    """Return channel to file where each name is its folder's and then a channel: ``P1/T2/P1_T2_FLAIR`` at time T2."""
    pattern = re.compile(rf"(?P<case>(?:.*[_\-. ])?{re.escape(folder.name)})[_\-. ]+(?P<rest>.+)", re.IGNORECASE)
    matches = {file: match for file in files if (match := pattern.match(stem_of(file)))}
    channels = {meaning(match["rest"]): file for file, match in matches.items() if is_known(match["rest"])}
    alone = len({match["case"] for match in matches.values()}) == 1
    return channels if alone and 1 < len(channels) == len(files) else None


def _are_numbered(names: Sequence[str]) -> bool:
    """Whether names differ by a number alone, as those of cases do: ``001_image`` and ``002_image``."""
    return len(names) > 1 and len({_NUMBER.sub("", name, count=1) for name in names}) == 1


def _with_own_mask(folder: Path, files: Sequence[Path], has_mask: Callable[[Path, str], bool]) -> set[str]:
    """Return the scans with a mask of their own, such as ``c1_label`` of ``c1_image`` where no ``c1_raw`` is."""
    plain = {stem: without_word_for_scan(stem) for stem in map(stem_of, files)}
    count = Counter(plain.values())
    return {
        stem for stem, name in plain.items() if has_mask(folder, stem) or (count[name] == 1 and has_mask(folder, name))
    }


def _are_times(words: Sequence[str]) -> bool:
    """Whether all words name time points; T1 and T2 alone are contrasts, pre and post those of contrast agents."""
    if set(words) <= {"t1", "t2"} or any(word in ("pre", "post") for word in words):
        return False
    return all(is_time_point(word) for word in words)


def _case_of_folder(group: Group, name: str, folder: Path, count: Mapping[str, int]) -> Group:
    """Name one of several cases in a folder, with the folder's name where its own is found elsewhere too."""
    word = _rest_of(folder, group.name)
    own = group.name.lower().startswith(folder.name.lower()) or (count.get(word, 0) < 2 and not is_time_point(word))
    return group if own else replace(group, name=f"{name}_{group.name}")


def _channels_by_name(name: str, folder: Path, files: Sequence[Path]) -> Group:
    channels: dict[str, Path] = {}
    twice = None
    for file in files:
        rest = _rest(folder, file)
        channel = meaning(rest) or rest
        twice = take(channels, channel, file) or twice
    return Group(name, channels, twice=twice) if len(channels) > 1 else Group(name, single(files[0]).files, twice=twice)


def _rest(folder: Path, file: Path) -> str:
    return _rest_of(folder, stem_of(file))


def _rest_of(folder: Path, stem: str) -> str:
    """Return a stem without its folder's name in front."""
    return stem.lower().removeprefix(folder.name.lower()).strip(MARKS)


def folder_names(folders: Iterable[Path], root: Path) -> dict[Path, str]:
    """Name cases by their folders, with as many folders above as distinguish each from the others and its patient.

    Args:
        folders: of the cases; one that holds several is there several times.
        root: a folder above them all.
    """
    parts = [(folder, folder.relative_to(root).parts) for folder in folders]
    ends = Counter(names[place:] for _, names in parts for place in range(len(names)))
    return {folder: _distinct_end(names, ends) for folder, names in parts}


def _distinct_end(names: tuple[str, ...], ends: Mapping[tuple[str, ...], int]) -> str:
    for place in reversed(range(len(names))):
        if ends[names[place:]] == 1 and not is_time_point(names[place]):
            return "_".join(names[place:])
    return "_".join(names)
