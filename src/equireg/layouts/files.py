"""Files of a raw folder: which are images, what they are called, which folders hold scans and which masks."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from equireg.folders import UNDERWAY, is_signed
from equireg.imaging.formats import extension_of

_DEPTH = 5  # folders below the root; a data set nests no deeper, and a link to a parent would never end
_SCANS = r"(?:images?|scans?|imgs?|volumes?)"
_MASKS = r"(?:labels?|masks?|segmentations?|segs?|annotations?)"
_PART = r"[_\- ]?(tr|train|training|ts|test|testing|val|va|valid|validation|un|unlabell?ed|)"
_HELD_OUT = ("ts", "test", "testing", "val", "va", "valid", "validation")
_TRAINING = ("", "tr", "train", "training")
_MASK_NAME = re.compile(
    r"(.*?)(?:^|[_\-. ])(?:seg|segm|segmentation|masks?|msk|labels?|lbl|gt|annotation)", re.IGNORECASE
)


@dataclass(frozen=True)
class FolderPair:
    """A folder of scans and the folder with their masks."""

    images: Path
    labels: Path | None
    held_out: bool
    """Whether its name says test or validation."""


def image_files(folder: Path) -> list[Path]:
    """List the images directly in a folder by name; hidden files (``._x``, ``.DS_Store``) are none."""
    return sorted(file for file in folder.iterdir() if is_image(file))


def is_image(file: Path) -> bool:
    """Whether a path is a file with the ending of an image, and not hidden."""
    return not file.name.startswith(".") and extension_of(file) is not None and file.is_file()


def stem_of(file: Path) -> str:
    """Return an image's file name without its ending."""
    return file.name[: len(file.name) - len(extension_of(file) or "")]


def folders_with_images(root: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Walk over the root and the folders below, save hidden ones; yield those with images and the images."""
    for folder, below, _ in os.walk(root, followlinks=True):
        here = Path(folder)
        deep = len(here.relative_to(root).parts) >= _DEPTH
        below[:] = [] if deep else sorted(name for name in below if not name.startswith("."))
        if here != root and (is_signed(here) or (here / UNDERWAY).exists()):
            below[:] = []  # an output of equireg inside the raw folder
            continue
        files = image_files(here)
        if files:
            yield here, files


def split_mask(stem: str) -> str | None:
    """Return what stands before the ending that makes a stem a mask's (``_seg``, ``-mask``), or None."""
    match = _MASK_NAME.fullmatch(stem)
    return match[1] if match else None


def folder_pairs(root: Path) -> list[FolderPair]:
    """Find folders such as ``images`` and ``labels``, ``imagesTr`` and ``labelsTr``, ``imagesTs``."""
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    masks = {part: folder for folder in folders if (part := _part(folder, _MASKS)) is not None}
    pairs = []
    for folder in folders:
        part = _part(folder, _SCANS)
        if part is None:
            continue
        # `images` beside `labelsTr`: names of training folders stand for one another.
        alike = _TRAINING if part in _TRAINING else (part,)
        labels = masks.get(part) or next((masks[other] for other in alike if other in masks), None)
        pairs.append(FolderPair(folder, labels, part in _HELD_OUT))
    return pairs


def _part(folder: Path, kind: str) -> str | None:
    match = re.fullmatch(kind + _PART, folder.name, re.IGNORECASE)
    return match[1].lower() if match else None
