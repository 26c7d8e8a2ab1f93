"""Masks by the names of their scans and more behind them (``masks/c1_L`` of ``c1``), where no mask fits by its name."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from equireg.layouts.channels import split_channel
from equireg.layouts.files import MARKS, stem_of, words_of
from equireg.layouts.masks import core_of, is_brain_mask, split_mask
from equireg.layouts.unnamed_masks import hold_labels, shorter

_NO_LABELS = {"fov", "valid", "ignore", "body"}
"""Words of masks that say where to look, and are nobody's label."""


def find(scans: Mapping[Path, Sequence[Path]], homes: Iterable[Sequence[Path]]) -> dict[Path, str]:
    """Return masks whose names are those of scans and one ending that all have, with the scans' part of their names.

    All masks of a home must be so, each of a scan of its own, and none of them may fit a scan by its name. Scans may
    have an ending too that all in their folder have (``images/c1_rgb`` and ``masks/c1_ids``).

    Args:
        scans: folder to the scans in it.
        homes: the masks of each place.
    """
    stems = {stem_of(file) for files in scans.values() for file in files}
    known = stems | {name for stem in stems for name in _names(stem)} | {folder.name for folder in scans}
    owners = _without_common_endings(scans) | {stem: stem for stem in stems}
    found: dict[Path, str] = {}
    for home in homes:
        files = [file for file in home if not is_brain_mask(file)]
        names = [stem_of(file) for file in files]
        if len(files) < 2 or any(known & {name, *_names(name)} for name in names):
            continue
        case = next((name for name in shorter(names[0]) if name in owners), names[0])
        rest = names[0].removeprefix(case)
        cases = [name.removesuffix(rest) for name in names if name.endswith(rest)]
        one_to_one = len(set(cases)) == len(files) and owners.keys() >= {*cases} and not rest.strip(MARKS).isdigit()
        if one_to_one and not _NO_LABELS & words_of(rest) and hold_labels(files, any_background=True):
            found |= zip(files, (owners[case] for case in cases), strict=True)
    return found


def _without_common_endings(scans: Mapping[Path, Sequence[Path]]) -> dict[str, str]:
    """Return names of scans less what all names in their folder end with from a mark on, to the whole names."""
    owners: defaultdict[str, set[str]] = defaultdict(set)
    for stems in ([*map(stem_of, files)] for files in scans.values() if len(files) > 1):
        endings = [stems[0].removeprefix(name) for name in reversed(shorter(stems[0]))]  # the longest first
        ending = next((rest for rest in endings if all(stem.endswith(rest) for stem in stems)), "")
        for stem in stems:
            owners[stem.removesuffix(ending)].add(stem)
    return {name: min(several) for name, several in owners.items() if len(several) == 1}


def _names(stem: str) -> set[str]:
    """Return the names that a scan or a mask goes by beside its own."""
    channel = split_channel(stem)
    parts = (split_mask(stem), core_of(stem), channel[0] if channel else None)
    return {part.strip(MARKS) for part in parts if part}
