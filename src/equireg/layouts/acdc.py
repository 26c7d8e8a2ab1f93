"""ACDC as downloaded: ``patient001/patient001_frame01.nii.gz`` with ``_frame01_gt`` and the whole series ``_4d``."""

import re
from pathlib import Path

from equireg.errors import EquiregError
from equireg.imaging.labels import LabelTable
from equireg.layouts.base import STACKED, FoundCase, FoundSet, LayoutMismatchError, left_aside
from equireg.layouts.files import folders_with_images, stem_of, up_to
from equireg.layouts.held_out import is_held_out
from equireg.layouts.masks import split_mask

_PATIENT = re.compile(r"patient[_-]?\d+", re.IGNORECASE)
_FRAME = re.compile(r".+_frame[_-]?\d+", re.IGNORECASE)
_SERIES = re.compile(r".+_(?:4d|cine|sax)", re.IGNORECASE)

LABELS = LabelTable((0, 1, 2, 3), ("background", "right ventricle", "myocardium", "left ventricle"))


def find(root: Path) -> FoundSet:
    """Find the annotated frames of each patient; ``testing`` beside ``training`` is held out.

    The series of all frames is left aside: two of its frames are the scans, and the others have no mask.

    Raises:
        LayoutMismatchError: if no folder of a patient holds a frame beside its mask or its series.
    """
    frames: dict[Path, str] = {}
    masks: dict[tuple[Path, str], Path] = {}
    series: list[Path] = []
    for folder, files in folders_with_images(root):
        home = _patient_folder(folder, root)
        for file in files if home is not None else ():
            stem = stem_of(file)
            frame = split_mask(stem)
            if _FRAME.fullmatch(stem):
                frames[file] = stem
            elif frame and _FRAME.fullmatch(frame):
                masks[home or folder, frame] = file
            elif _SERIES.fullmatch(stem):
                series.append(file)
    if series and not frames:
        raise EquiregError(
            f"{series[0]}: is a series of all frames, without patient001_frame01.nii.gz or the like beside it; "
            "expected the frames, which are scans of one time each. Add them, or cut them from the series."
        )
    if not frames or not (masks or series):
        raise LayoutMismatchError(
            f"{root}: has no patient001/patient001_frame01.nii.gz beside patient001_frame01_gt.nii.gz or "
            "patient001_4d.nii.gz; expected ACDC's names."
        )
    cases, used = [], set()
    for file, name in frames.items():
        home = _patient_folder(file.parent, root) or file.parent
        mask = masks.get((home, name))
        used.add(mask)
        cases.append(FoundCase(name, {STACKED: file}, mask, is_held_out(home, root), patient=home.name))
    return FoundSet(
        layout="acdc",
        channels=("MRI",),
        modality="mri",
        labels=LABELS,
        cases=tuple(cases),
        orphans=tuple(mask for mask in masks.values() if mask not in used),
        aside=tuple(series),
        notes=left_aside(series, "series of all frames"),
    )


def _patient_folder(folder: Path, root: Path) -> Path | None:
    """Return the patient's folder that a folder is or lies in, as Kaggle's copy has a folder around each file.

    It may be the root, because one patient's scans are a folder to predict, too.
    """
    return next((place for place in (*up_to(root, folder), root) if _PATIENT.fullmatch(place.name)), None)
