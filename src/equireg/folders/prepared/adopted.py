"""Masks that a prepared folder took in after it was made, and where each came from.

adopted/CASE.nii.gz     the mask in the scan's own geometry; `equireg prepare` reads it in place of the raw folder's
adopted/adopted.json    case to the list of its masks so far, the last one counts
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unicodedata import normalize

from equireg import disk
from equireg.errors import EquiregError
from equireg.folders.digests import digest_of
from equireg.folders.prepared.names import LONGEST
from equireg.folders.schema import SchemaError, strict
from equireg.imaging.formats import composed

ADOPTED = "adopted"
_HISTORY = "adopted.json"
_REMEDY = "Adopt the masks again, or restore the file."


@dataclass(frozen=True)
class Adoption:
    """One mask that was taken in."""

    file: str
    """Name of the file that it came as; of DICOM, whose files may be named after a patient, what it was."""
    when: str
    """Date and time, UTC."""
    digest: str
    """Of the mask's bytes as they lie in the prepared folder."""
    by: str | None = None
    """Who drew or corrected it, where that was said."""
    corrects: str | None = None
    """``draft`` of a model, or the ``mask`` that the case had before; None where it had neither."""
    dice: Mapping[str, float] | None = None
    """Region to the Dice of what it corrects with it; regions that neither shows are left out."""
    changed_voxels: int | None = None
    """Voxels at which the two differ."""
    names: Mapping[str, str] | None = None
    """Label value to the name that the mask gave it, of DICOM and of labels that it brought; else None."""


def adopted_file(root: Path, case: str) -> Path:
    """Return where the adopted mask of a case lies; earlier versions left the letters of its name apart."""
    path, apart = (root / ADOPTED / f"{name}.nii.gz" for name in (case, normalize("NFD", case)))
    return apart if apart.is_file() and not path.is_file() else path


def read_history(root: Path) -> dict[str, list[Adoption]]:
    """Read all masks that were taken in, by case; empty where there is none.

    Raises:
        EquiregError: if the record is damaged.
    """
    path = root / ADOPTED / _HISTORY
    if not path.is_file():
        return {}
    content: Any = disk.read_json(path, _REMEDY)
    try:
        listed = strict(Mapping[str, tuple[Adoption, ...]], content, "its content")
    except SchemaError as error:
        raise EquiregError(f"{path}: is damaged ({error}). {_REMEDY}") from error
    if any(not entries or "/" in case or "\\" in case or len(case) > LONGEST for case, entries in listed.items()):
        raise EquiregError(f"{path}: is damaged (an entry is empty or has no fit name). {_REMEDY}")
    return {composed(case): list(entries) for case, entries in listed.items()}


def write_history(root: Path, history: Mapping[str, list[Adoption]]) -> None:
    """Write the record of all masks that were taken in."""
    plain = {case: [dict(vars(one)) for one in entries] for case, entries in history.items()}
    disk.write_json(root / ADOPTED / _HISTORY, plain)


def adopted_masks(root: Path) -> dict[str, Path]:
    """Return case to the mask that was last adopted.

    Raises:
        EquiregError: if one is missing or is not the one that was adopted.
    """
    found = {}
    for case, entries in read_history(root).items():
        path = adopted_file(root, case)
        if not path.is_file() or digest_of(path) != entries[-1].digest:
            raise EquiregError(f"{path}: is missing or is not the mask that was adopted. {_REMEDY}")
        found[case] = path
    return found


def adopted_names(root: Path) -> dict[int, str]:
    """Return label value to its name, as adopted masks gave it.

    Raises:
        EquiregError: if the record is damaged.
    """
    entries = [entry for several in read_history(root).values() for entry in several]
    return {int(value): name for entry in entries for value, name in (entry.names or {}).items()}
