"""Masks among scans by their names, where nothing else about a file says that it is a scan (``lesion_1``, ``roi1``)."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from equireg.imaging.pictures import is_picture
from equireg.layouts.by_key import by_key
from equireg.layouts.files import shorter, stem_of
from equireg.layouts.folder_words import mask_part, scan_part
from equireg.layouts.label_maps import hold_labels, hold_scans, show_no_labels
from equireg.layouts.masks import core_of, split_mask

IF_A_SCAN = (
    "If it is a scan, give it and its folder names without a word for masks, such as images/1.png; else mend the mask."
)
"""How to mend a scan that its name calls a mask."""


def find(found: Mapping[Path, Sequence[Path]]) -> dict[Path, list[Path]]:
    """Return the masks of each folder, which may be none.

    A word for masks in a name is not enough, as scans have it too. A file is a mask if the scan that it names lies
    beside, or if others of its kind have theirs so. Of the rest, files in ``images/`` beside ``labels/`` and files
    that show a scan are none. A kind is what names have in common that differ in numbers and cases.

    Args:
        found: folder to the files in it, for folders that are not called those of masks.
    """
    masks = {
        folder: [file for file in files if split_mask(stem_of(file)) is not None] for folder, files in found.items()
    }
    without = {folder: _without_scan(files, masks[folder]) for folder, files in found.items()}
    kinds = {_kind(file) for folder in found for file in {*masks[folder]}.difference(without[folder])}
    """Those of masks whose scans lie beside them."""
    unsure: defaultdict[str, list[list[Path]]] = defaultdict(list)
    for folder, files in found.items():
        alike = by_key(files, _kind) if without[folder] else {}
        for kind in set(map(_kind, without[folder])) - kinds:
            unsure[kind].append(alike[kind])  # lesion_10, which no rule calls a mask, goes with lesion_1
    show: dict[Path, bool] = {}
    """File to whether it shows labels; those that may show either are left out."""
    for of_folders in unsure.values():
        everywhere = [file for several in of_folders for file in several]
        a_case_each = len(of_folders) > max(map(len, of_folders))
        for several in [everywhere] if a_case_each else of_folders:
            scans = hold_scans(several)
            if scans or hold_labels(several, any_background=True):
                show |= dict.fromkeys(several, not scans)
    for folder, files in without.items():
        if files and _is_beside_masks(folder) and (files == found[folder] or not any(show.get(file) for file in files)):
            show |= dict.fromkeys(files, False)
    named = {file for several in masks.values() for file in several}
    return {folder: [file for file in files if show.get(file, file in named)] for folder, files in found.items()}


def without_labels(masks: Sequence[Path]) -> list[Path]:
    """Return the masks that are so by their names or folders alone: the first of their kind there show no labels."""
    alike = by_key(masks, lambda mask: (mask.parent, _kind(mask))).values()
    return [mask for several in alike if show_no_labels(several) for mask in several]


def _without_scan(files: Sequence[Path], masks: Sequence[Path]) -> list[Path]:
    """Return the masks among the files of a folder whose scans are not among them."""
    kinds, named = set(map(_kind, masks)), set(masks)
    scans = [file for file in files if file not in named and _kind(file) not in kinds]
    stems = set(map(stem_of, scans))
    names = stems | {name for stem in stems for name in (*shorter(stem), core_of(stem))}
    lone = len(masks) == 1 and bool(scans) and (len(scans) == 1 or not is_picture(masks[0]))
    if lone and not split_mask(stem_of(masks[0])):
        return []  # ``seg`` in the folder of one case
    return [file for file in masks if split_mask(stem_of(file)) not in names]


def _kind(file: Path) -> str:
    """Return a name without its case and without numbers."""
    stem = stem_of(file)
    return re.sub(r"\d+", "", stem.replace(split_mask(stem) or "", "", 1))


def _is_beside_masks(folder: Path) -> bool:
    """Whether a folder is called one of scans, and one of masks lies beside it."""
    return scan_part(folder.name) is not None and has_mask_folder(folder)


def has_mask_folder(folder: Path) -> bool:
    """Whether a folder of masks lies beside a folder of scans."""
    return any(other.is_dir() and mask_part(other.name) is not None for other in folder.parent.iterdir())
