"""Loose files to cases: files that are alike but for a channel's name or number belong together."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from equireg.layouts.base import STACKED
from equireg.layouts.channels import in_channel_order, meaning, split_channel
from equireg.layouts.files import stem_of
from equireg.layouts.nnunet import NUMBERED

Scheme = Literal["contrast", "number", "single"]

_MOST_CHANNELS = 16  # a case_0000 to case_0199 counts cases


@dataclass(frozen=True)
class Group:
    """The files of one case."""

    name: str
    """Name of the case."""
    files: Mapping[str, Path]
    """Channel name to file, or ``STACKED`` to the only one."""
    contrast: str | None = None
    """Known channel that the name of the only file ends with."""
    twice: Path | None = None
    """A second file for a channel that has one already."""

    def names(self) -> list[str]:
        """Return the names that a mask of this case may have, the likeliest first."""
        stems = [stem_of(file) for file in self.files.values()]
        split = split_channel(stems[0])
        return [self.name, *stems, *([split[0]] if split and split[0] else [])]


def choose_scheme(files: Sequence[Path], masks: Collection[str], channel_count: int | None = None) -> Scheme:
    """Say how the files of a folder make up cases.

    Args:
        files: scans.
        masks: names of masks; a mask for each of ``x_0000`` and ``x_0001`` shows that these are cases.
        channel_count: channels of a case, where it is known.
    """
    contrasts: defaultdict[tuple[Path, str], set[str]] = defaultdict(set)
    numbers: defaultdict[tuple[Path, str], set[int]] = defaultdict(set)
    for file in files:
        stem = stem_of(file)
        split = split_channel(stem)
        if split:
            contrasts[file.parent, split[0]].add(split[1])
        match = NUMBERED.fullmatch(stem)
        if match:
            numbers[file.parent, match[1]].add(int(match[2]))
    if any(len(several) > 1 for several in contrasts.values()):
        return "contrast"
    own_mask = any(NUMBERED.fullmatch(stem_of(file)) and stem_of(file) in masks for file in files)
    most = max((max(several) for several in numbers.values()), default=_MOST_CHANNELS)
    begun = sum(0 in several for several in numbers.values())
    if own_mask or most >= (channel_count or _MOST_CHANNELS) or 2 * begun < len(numbers):
        return "single"
    return "number"


def group_files(files: Sequence[Path], scheme: Scheme) -> list[Group]:
    """Group scans of one folder into cases."""
    groups: defaultdict[str, dict[str, Path]] = defaultdict(dict)
    alone: list[Group] = []
    twice: dict[str, Path] = {}
    for file in files:
        key = _key(stem_of(file), scheme)
        if key is None:
            alone.append(single(file))
        elif key[1] in groups[key[0]]:
            twice[key[0]] = file
        else:
            groups[key[0]][key[1]] = file
    return [*alone, *(Group(name, several, twice=twice.get(name)) for name, several in groups.items())]


def single(file: Path) -> Group:
    """Return the case that a file is by itself, under its own name."""
    split = split_channel(stem_of(file))
    return Group(stem_of(file), {STACKED: file}, split[1] if split else None)


def _key(stem: str, scheme: Scheme) -> tuple[str, str] | None:
    """Return the case and channel of a file that is one of several; None for one that stands alone."""
    if scheme == "contrast":
        return split_channel(stem)
    match = NUMBERED.fullmatch(stem) if scheme == "number" else None
    return (match[1], f"channel_{int(match[2])}") if match else None


def group_folders(folders: Mapping[Path, Sequence[Path]], channel_count: int | None = None) -> list[Group]:
    """Group scans that lie in folders below: a folder a case, or a folder of many cases.

    A folder is a case if it has one scan, or scans that are alike but for a channel, or scans whose names
    recur in other folders (``a/pre, a/post, b/pre, b/post``); those names are the channels then.
    """
    rests = {folder: {_rest(folder, file): file for file in files} for folder, files in folders.items()}
    count: defaultdict[str, int] = defaultdict(int)
    for names in rests.values():
        for name in names:
            count[name] += 1
    groups: list[Group] = []
    for folder, files in folders.items():
        found = group_files(files, choose_scheme(files, (), channel_count))
        recurring = all(count[name] > 1 and name and not name.isdigit() for name in rests[folder])
        name = _folder_name(folder, folders)
        if len(found) == 1:
            groups.append(Group(name, found[0].files, found[0].contrast, found[0].twice))
        elif recurring:
            groups.append(Group(name, {meaning(rest) or rest: file for rest, file in rests[folder].items()}))
        else:
            groups += found
    return groups


def _rest(folder: Path, file: Path) -> str:
    """Return a file's stem without its folder's name in front."""
    return stem_of(file).removeprefix(folder.name).strip("_-. ").lower()


def _folder_name(folder: Path, folders: Collection[Path]) -> str:
    """Name a case by its folder, and by the one above too where two folders are called alike."""
    alike = sum(other.name == folder.name for other in folders)
    return folder.name if alike == 1 else f"{folder.parent.name}_{folder.name}"


def common_channels(groups: Sequence[Group]) -> tuple[str, ...]:
    """Return the channels that at least half of the cases have; none where most cases are single files."""
    named = [group for group in groups if STACKED not in group.files]
    if 2 * len(named) < len(groups):
        return ()
    counts: defaultdict[str, int] = defaultdict(int)
    for group in named:
        for channel in group.files:
            counts[channel] += 1
    return in_channel_order({channel for channel, number in counts.items() if 2 * number >= len(named)})
