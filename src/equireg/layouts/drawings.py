"""Pictures that only show another one (``c1_superpixels``, ``label_viz``): neither scans nor masks."""

import re
from collections.abc import Sequence
from pathlib import Path

from equireg.imaging.pictures import is_picture
from equireg.layouts.files import stem_of
from equireg.layouts.folder_words import mask_part
from equireg.layouts.label_maps import hold_labels
from equireg.layouts.masks import split_mask

_DRAWING = re.compile(r"(?P<of>.+)[_\-. ](?:super[_\-]?pixels?|overlay|viz|visuali[sz]ation)", re.IGNORECASE)

_Folders = list[tuple[Path, list[Path]]]


def set_apart(root: Path, found: _Folders) -> tuple[_Folders, list[Path]]:
    """Take out the pictures that show another of their folder; a drawing of a scan that holds labels may be its mask.

    Args:
        root: the folder of the data set.
        found: folder to the images in it.

    Returns:
        The rest, and the drawings.
    """
    drawings: set[Path] = set()
    for folder, files in found:
        stems = {stem_of(file) for file in files if is_picture(file)}
        of = {
            file: match["of"]
            for file in files
            if is_picture(file) and (match := _DRAWING.fullmatch(stem_of(file))) and match["of"] in stems
        }
        masks = any(mask_part(name) is not None for name in folder.relative_to(root).parts)
        of_scans = [file for file, name in of.items() if not masks and split_mask(name) is None]
        kept = of_scans if of_scans and hold_labels(of_scans) else []
        drawings |= of.keys() - kept
    rest = [(folder, [file for file in files if file not in drawings]) for folder, files in found]
    return rest, sorted(drawings)


def told(drawings: Sequence[Path]) -> tuple[str, ...]:
    """Return a note on the drawings that were left aside; none without one."""
    if not drawings:
        return ()
    return (
        f"left aside: {len(drawings)} pictures such as {drawings[0]}, because their names say that they only show "
        "another picture beside them. If they are scans or masks, call them otherwise.",
    )
