"""KiTS of all years: ``case_00000/imaging.nii.gz`` with ``segmentation.nii.gz``."""

import re
from pathlib import Path

from equireg.layouts.base import STACKED, FoundCase, FoundSet, LayoutMismatchError, left_aside
from equireg.layouts.files import folders_with_images, stem_of
from equireg.layouts.held_out import is_held_out

_CASE = re.compile(r"case_\d+", re.IGNORECASE)
_IMAGE = re.compile(r"(?:imaging|image)", re.IGNORECASE)
_MASK = re.compile(r"segmentation", re.IGNORECASE)
_VOTE = re.compile(r"aggregated_maj_seg", re.IGNORECASE)
"""KiTS21's own choice among the three annotations: the majority of each voxel."""


def find(root: Path) -> FoundSet:
    """Find the cases; other annotations of the same organs (``instances/``, ``aggregated_OR_seg``) are left aside.

    The masks say which labels there are: kidney 1 and tumour 2, and cyst 3 from 2021 on.

    Raises:
        LayoutMismatchError: if no folder ``case_NUMBER`` holds ``imaging``.
    """
    cases: list[FoundCase] = []
    left: list[Path] = []
    for folder, files in folders_with_images(root):
        if not _CASE.fullmatch(folder.name):
            left += files if any(_CASE.fullmatch(place.name) for place in folder.parents) else []
            continue
        image = next((file for file in files if _IMAGE.fullmatch(stem_of(file))), None)
        masks = [file for pattern in (_MASK, _VOTE) for file in files if pattern.fullmatch(stem_of(file))]
        if image is not None:
            mask = masks[0] if masks else None
            left += [file for file in files if file not in (image, mask)]
            cases.append(FoundCase(folder.name, {STACKED: image}, mask, is_held_out(folder.parent, root)))
    if not cases:
        raise LayoutMismatchError(f"{root}: has no folder case_00000 with imaging.nii.gz; expected KiTS' names.")
    return FoundSet(
        layout="kits",
        channels=("CT",),
        modality="ct",
        labels=None,
        cases=tuple(cases),
        aside=tuple(left),
        notes=left_aside(left, "further images in the cases' folders"),
    )
