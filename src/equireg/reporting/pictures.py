"""The slices that an evaluation kept of its best, median and worst case."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equireg.errors import EquiregError

ROLES = ("best", "median", "worst")


@dataclass(frozen=True)
class Picture:
    """One slice of a case with both masks, rows from anterior to posterior."""

    case: str
    role: str
    """best, median or worst by mean Dice; several joined by a comma where cases are few"""
    scan: np.ndarray
    """float32 [C, h, w]; zeros with one channel where the evaluation had no scan"""
    reference: np.ndarray
    """label values [h, w]"""
    prediction: np.ndarray
    """label values [h, w]"""
    spacing_mm: tuple[float, float]
    """distance between rows and between columns"""
    dice: float
    """mean over the regions of the whole case, not of this slice; NaN if unknown"""
    channels: tuple[str, ...]
    """names of the scan's channels; empty if unknown"""


def read_pictures(folder: Path) -> tuple[Picture, ...]:
    """Read every picture of an evaluation, best case first.

    Raises:
        EquiregError: if a file is broken.
    """
    pictures = [_read_picture(path) for path in sorted(folder.glob("*.npz"))]
    return tuple(sorted(pictures, key=lambda picture: (_rank(picture.role), picture.case)))


def _rank(role: str) -> int:
    return next((rank for rank, name in enumerate(ROLES) if name in role), len(ROLES))


def _read_picture(path: Path) -> Picture:
    remedy = "Run `equireg evaluate` again, or remove the file."
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            content = {name: arrays[name] for name in arrays.files}
        picture = Picture(
            case=path.stem,
            role=", ".join(np.atleast_1d(content["role"]).astype(str)),
            scan=content.get("scan", np.zeros((1, *content["reference"].shape))).astype(np.float32),
            reference=content["reference"],
            prediction=content["prediction"],
            spacing_mm=(float(content["spacing_mm"][0]), float(content["spacing_mm"][1])),
            dice=float(content.get("mean_dice", np.nan)),
            channels=tuple(np.atleast_1d(content.get("channel_names", ())).astype(str)),
        )
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile) as error:
        raise EquiregError(f"{path}: is not a picture of a case ({error}). {remedy}") from error
    shapes = picture.scan.shape, picture.reference.shape, picture.prediction.shape
    if picture.scan.ndim != 3 or not shapes[0][1:] == shapes[1] == shapes[2]:
        raise EquiregError(
            f"{path}: scan, reference and prediction have the shapes {shapes}; "
            f"expected [C, h, w] and twice [h, w]. {remedy}"
        )
    return picture
