"""Masks by the names of their scans and more behind them (``masks/c1_L`` of ``c1``), where no mask fits by its name."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from equireg.layouts.channels import split_channel
from equireg.layouts.files import MARKS, stem_of
from equireg.layouts.folder_words import words_of
from equireg.layouts.masks import core_of, is_brain_mask, split_mask
from equireg.layouts.unnamed_masks import before_one_ending, hold_labels

_NO_LABELS = {"fov", "valid", "ignore", "body"}
"""Words of masks that say where to look, and are nobody's label."""


def find(scans: Mapping[Path, Sequence[Path]], homes: Iterable[Sequence[Path]]) -> dict[Path, str]:
    """Return masks whose names are those of scans and one ending that all have, with the scans' part of their names.

    All masks of a home must be so, each of a scan of its own, and none of them may fit a scan by its name.

    Args:
        scans: folder to the scans in it.
        homes: the masks of each place.
    """
    stems = {stem_of(file) for files in scans.values() for file in files}
    known = stems | {name for stem in stems for name in _names(stem)} | {folder.name for folder in scans}
    found: dict[Path, str] = {}
    for home in homes:
        files = [file for file in home if not is_brain_mask(file)]
        names = [stem_of(file) for file in files]
        if len(files) < 2 or any(known & {name, *_names(name)} for name in names):
            continue
        cases = before_one_ending(names, stems.__contains__)
        one_to_one = len(set(cases)) == len(files) and stems.issuperset(cases)
        ending = names[0].removeprefix(cases[0]) if cases else ""
        if one_to_one and not _NO_LABELS & words_of(ending) and hold_labels(files, any_background=True):
            found |= dict(zip(files, cases, strict=True))
    return found


def _names(stem: str) -> set[str]:
    """Return the names that a scan or a mask goes by beside its own."""
    channel = split_channel(stem)
    parts = (split_mask(stem), core_of(stem), channel[0] if channel else None)
    return {part.strip(MARKS) for part in parts if part}
