"""Masks that no place leads to their scan: found by the whole name, or told apart from scans by their voxels."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from equireg.imaging.pictures import is_picture
from equireg.layouts.by_key import by_key
from equireg.layouts.files import stem_of
from equireg.layouts.folder_words import says_unlabelled
from equireg.layouts.grouping import Group
from equireg.layouts.label_maps import hold_labels
from equireg.layouts.masks import split_mask
from equireg.layouts.serving import Case, is_unlabelled

_MAY_BE_MASK = re.compile(r"seg|mask|label|lesion|gtv|tumou?r|annot", re.IGNORECASE)
"""Parts of names that masks have (``1-LesionSeg-Flair``); their voxels decide."""
_MAY_HOLD_MASKS = re.compile(r"seg|mask|label|annot|ground[_\-. ]?truth", re.IGNORECASE)
"""Parts of names that folders of masks have where these are pictures; their pixels decide."""


def by_whole_name(groups: Iterable[Group], orphans: Sequence[Path], cases: Sequence[Case] = ()) -> Mapping[Path, Group]:
    """Return the masks, wherever they lie, whose names are those of one scan without a mask and a word for masks.

    A folder that holds masks of other scans may hold those of another set too, without a word (``train_labels`` of
    ``train`` and ``val``), where the names of scans do not begin anew in each set.

    Args:
        groups: scans without a mask.
        orphans: masks without a scan.
        cases: all scans, with their masks.
    """
    owners: defaultdict[str, list[Group]] = defaultdict(list)
    for group in groups:
        for name in dict.fromkeys(group.names()):
            owners[name].append(group)
    taken = {name for group, found, _ in cases if found for name in group.names()}
    serving = {mask.parent for _, found, _ in cases for mask in found} if taken.isdisjoint(owners) else set[Path]()

    def name_of(mask: Path) -> str | None:
        stem = stem_of(mask)
        bare = stem if mask.parent in serving and not any(map(_is_unlabelled, owners.get(stem, ()))) else None
        return split_mask(stem) or bare

    masks = by_key(orphans, name_of)
    return {
        several[0]: owners[name][0]
        for name, several in masks.items()
        if name and len(several) == len(owners.get(name, ())) == 1
    }


def look_like_masks(groups: Sequence[Group], cases: int) -> list[Group]:
    """Return scans without a mask that are masks by a part of their names (pictures: of their folders) and by voxels.

    Of names that differ in numbers alone the first few are opened. Where all of the ``cases`` are so, nothing tells
    masks from scans, and none is returned.
    """
    files = (file for group in groups for file in group.files.values() if _may_be_mask(file))
    kinds = {kind for kind, several in by_key(files, _kind).items() if hold_labels(several)}
    found = [group for group in groups if all(_kind(file) in kinds for file in group.files.values())]
    return [] if len(found) == cases else found


def _is_unlabelled(group: Group) -> bool:
    return any(map(is_unlabelled, group.files.values()))


def _kind(file: Path) -> str:
    return re.sub(r"\d+", "", stem_of(file))


def _may_be_mask(file: Path) -> bool:
    if not is_picture(file):
        return _MAY_BE_MASK.search(stem_of(file)) is not None
    return _MAY_HOLD_MASKS.search(file.parent.name) is not None and not says_unlabelled(file.parent.name)
