"""Loose files to cases: files that differ only in a channel's name or number belong together."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from equireg.imaging.pictures import CHANNELS, is_picture
from equireg.layouts.base import STACKED
from equireg.layouts.base import channel_count as channels_in
from equireg.layouts.channels import NUMBERED, goes_first, in_channel_order, split_channel
from equireg.layouts.files import MARKS, stem_of
from equireg.layouts.patients import split_time

Scheme = Literal["contrast", "number", "single"]

_MOST_CHANNELS = 16  # a case_0000 to case_0199 counts cases
_MOST_UNPROVEN_CHANNELS = 6
"""Channels by number that are believed where no mask shows what a case is."""


_SCAN_LAST = re.compile(r"[_\-. ](?:image|img|im|scan|volume|vol|orig|original|raw|input|mri|mr)$", re.IGNORECASE)
"""Last words of a scan's name that its mask has another word for: ``c1_image`` and ``c1_label``."""


@dataclass(frozen=True)
class Group:
    """The files of one case."""

    name: str
    """Name of the case."""
    files: Mapping[str, Path]
    """Channel name to file, or ``STACKED`` to the only one."""
    contrast: str | None = None
    """Known channel that the name of the only file ends with."""
    twice: tuple[Path, Path] | None = None
    """Two files for one channel."""

    @property
    def scan(self) -> Path:
        """The first of its files."""
        return next(iter(self.files.values()))

    @property
    def folder(self) -> Path:
        """The folder that holds the case's files."""
        return self.scan.parent

    @property
    def place(self) -> Path:
        """The folder that holds the case's files, or the folders of its channels."""
        folders = {file.parent for file in self.files.values()}
        above = {folder.parent for folder in folders}
        return next(iter(above)) if len(folders) > 1 and len(above) == 1 else self.folder

    def names(self) -> list[str]:
        """Return the names that a mask of this case may have, the likeliest first."""
        stems = [stem_of(file) for file in self.files.values()]
        split = split_channel(stems[0])
        plain = without_word_for_scan(stems[0])
        return [self.name, *stems, *([split[0]] if split and split[0] else []), *([plain] if plain != stems[0] else [])]


def without_word_for_scan(stem: str) -> str:
    """Return a stem without a last word such as ``image``."""
    return _SCAN_LAST.sub("", stem)


def choose_scheme(files: Sequence[Path], has_mask: Callable[[str], bool], channel_count: int | None) -> Scheme:
    """Say how the files of a folder make up cases.

    Args:
        files: scans.
        has_mask: whether there is a mask under a name; a mask for each of ``x_0000`` and ``x_0001`` shows that
            these are cases, and one for ``x`` that they are channels.
        channel_count: channels of a case, where it is known.
    """
    contrasts: defaultdict[tuple[Path, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    numbers: defaultdict[tuple[Path, str], set[int]] = defaultdict(set)
    for file in files:
        stem = stem_of(file)
        split = split_scan(stem)
        if split:
            contrasts[file.parent, split[0]][split[1]].add(stem)
        match = NUMBERED.fullmatch(stem)
        if match:
            numbers[file.parent, match[1]].add(int(match[2]))
    stems = {stem_of(file).lower() for file in files}
    if any(_are_channels(case, several, stems, has_mask) for (_, case), several in contrasts.items()):
        return "contrast"
    own = any(NUMBERED.fullmatch(stem_of(file)) and has_mask(stem_of(file)) for file in files)
    shared = any(has_mask(case) for _, case in numbers)
    if any(several != {0} for several in numbers.values()) and any(map(is_picture, files)):
        complete = channel_count and all(several == set(range(channel_count)) for several in numbers.values())
        proven = shared or (complete and channel_count != len(CHANNELS))
        if not proven or channels_in(files[0]) != 1:
            return "single"  # numbers of pictures are those of frames; a file holds all colours
    return "number" if not own and _count_channels(numbers.values(), shared, channel_count) else "single"


def _are_channels(
    case: str, contrasts: Mapping[str, Collection[str]], stems: Collection[str], has_mask: Callable[[str], bool]
) -> bool:
    """Whether files that differ only in a contrast are channels of one case.

    They are cases of their own where each has its own mask, and where T1 and T2 are the times t1 and t2, after t0
    or before t3.
    """
    if len(contrasts) < 2:
        return False
    if sum(any(has_mask(stem) for stem in several) for several in contrasts.values()) > 1:
        return False
    times = {f"{case}{mark}t{number}".lower() for mark in (MARKS if case else [""]) for number in (0, *range(3, 10))}
    return not (set(contrasts) <= {"t1", "t2"} and any(stem in times for stem in stems))


def _count_channels(numbers: Collection[set[int]], shared_mask: bool, channel_count: int | None) -> bool:
    """Whether the four digits at the end of names count channels, from 0 on, alike in most cases."""
    sets = Counter(frozenset(several) for several in numbers)
    if not sets:
        return False
    usual, times = sets.most_common(1)[0]
    most = max(map(max, numbers)) + 1
    if channel_count is not None:
        return most <= channel_count and 2 * sum(0 in several for several in numbers) >= len(numbers)
    if shared_mask:
        return most <= _MOST_CHANNELS and 2 * sum(0 in several for several in numbers) >= len(numbers)
    # Without a mask, ten scans of one name look as one scan of ten channels does: cases alike must show it.
    alike = 2 * times >= len(numbers) and usual == frozenset(range(len(usual)))
    return alike and most <= _MOST_UNPROVEN_CHANNELS and (len(numbers) > 1 or most == 1)


def split_scan(stem: str) -> tuple[str, str] | None:
    """Split a stem into case and channel, the time point of a scan on either side: ``p_flair_baseline`` too."""
    time = split_time(stem)
    inner = split_channel(time[0]) if time else None
    direct = split_channel(stem)
    # The words of "t1_post" are one channel's name; those of "flair_t1" are a channel and a time.
    if time is None or inner is None or (direct is not None and time[1].lower() not in ("t1", "t2")):
        return direct
    return "_".join(filter(None, (inner[0], time[1]))), inner[1]


def group_files(files: Sequence[Path], scheme: Scheme) -> list[Group]:
    """Group scans of one folder into cases."""
    groups: defaultdict[str, dict[str, Path]] = defaultdict(dict)
    alone: list[Group] = []
    twice: dict[str, tuple[Path, Path]] = {}
    for file in files:
        key = _key(stem_of(file), scheme)
        if key is None:
            alone.append(single(file))
        elif pair := take(groups[key[0]], key[1], file):
            twice[key[0]] = pair
    return [*alone, *(Group(name, several, twice=twice.get(name)) for name, several in groups.items())]


def take(files: dict[str, Path], channel: str, file: Path) -> tuple[Path, Path] | None:
    """Take a file for a channel; return both where it has one already and nothing tells which goes first."""
    other = files.setdefault(channel, file)
    if other == file:
        return None
    first = goes_first(stem_of(file), stem_of(other))
    if first:
        files[channel] = file
    return (other, file) if first is None else None


def single(file: Path) -> Group:
    """Return the case that a single file is, under its own name."""
    split = split_channel(stem_of(file))
    return Group(stem_of(file), {STACKED: file}, split[1] if split else None)


def _key(stem: str, scheme: Scheme) -> tuple[str, str] | None:
    """Return the case and channel of a file that is one of several; None for one that stands alone."""
    if scheme == "contrast":
        return split_scan(stem)
    match = NUMBERED.fullmatch(stem) if scheme == "number" else None
    return (match[1], f"channel_{int(match[2])}") if match else None


def common_channels(groups: Sequence[Group]) -> tuple[str, ...]:
    """Return the channels that at least half of the cases have; none where most cases are single files."""
    named = [group for group in groups if STACKED not in group.files]
    if 2 * len(named) < len(groups):
        return ()
    counts = Counter(channel for group in named for channel in group.files)
    return in_channel_order({channel for channel, number in counts.items() if 2 * number >= len(named)})
