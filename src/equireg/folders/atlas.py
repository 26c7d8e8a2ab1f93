"""Masks that registration has carried over to scans: kept beside the prepared scans, and found again by what made them.

KEY.b2nd    class indices of one scan, uint8 [D, H, W]; ``IGNORED`` where no mask reaches
KEY.json    how alike the scans are, and the digest of KEY.b2nd; written last, so a mask without it is not finished

KEY is a digest of the scan, of the labelled scans and of how they are registered. So nothing has to be removed when
one of them changes; the whole folder may be removed at any time, and is then made again.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equireg import disk
from equireg.errors import EquiregError
from equireg.folders.digests import digest_of
from equireg.folders.prepared.writer import write_array
from equireg.folders.schema import strict

ATLAS = "atlas"
"""Name of the folder, in a prepared folder or, where that cannot be written, in a run's."""


@dataclass(frozen=True)
class Carried:
    """What is known of one scan's mask."""

    likeness: float
    """Correlation of the scan and the registered ones about the mask, -1 to 1; -1 where there is no mask."""
    dice: float | None
    """Dice of the mask and a known one, where that was asked for."""
    digest: str
    """Of the mask's file; empty where there is no mask."""


def mask_file(folder: Path, key: str) -> Path:
    """Return the path of a mask."""
    return folder / f"{key}.b2nd"


def find(folder: Path, key: str) -> Carried | None:
    """Return what is known of a mask; None where it was not made, or is damaged, so that it is made again."""
    try:
        found = strict(Carried, disk.read_json(_facts_file(folder, key)), "a mask of the atlas")
        whole = not found.digest or digest_of(mask_file(folder, key)) == found.digest
    except (EquiregError, OSError):
        return None
    return found if whole else None


def keep(folder: Path, key: str, likeness: float, dice: float | None, classes: np.ndarray | None) -> Carried:
    """Write a mask [D, H, W], or that there is none; return what ``find`` will.

    Raises:
        DiskError: if it cannot be written.
    """
    with disk.disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    digest = ""
    if classes is not None:
        with disk.staged_file(mask_file(folder, key)) as path:
            write_array(path, classes.astype(np.uint8))
            digest = digest_of(path)
    found = Carried(likeness, dice, digest)
    disk.write_json(_facts_file(folder, key), vars(found))
    return found


def _facts_file(folder: Path, key: str) -> Path:
    return folder / f"{key}.json"
