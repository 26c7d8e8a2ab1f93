"""Which case each new mask is of, and whether it fits."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from equireg import folders
from equireg.config import AdoptConfig
from equireg.errors import EquiregError
from equireg.folders.predictions import prediction_file
from equireg.folders.prepared import CaseRecord, PreparedSet
from equireg.folders.suggestions import DRAFTS, MASKS
from equireg.imaging.formats import extension_of
from equireg.imaging.limits import LIMITS, Limits
from equireg.imaging.volume import Geometry, read_label

_ENDING = re.compile(r"[_\-. ](?:seg|segmentation|mask|label|labels|gt|corrected)$", re.IGNORECASE)
"""What tools put behind a scan's name for its mask."""
_DETAILS = 5


@dataclass(frozen=True)
class NewMask:
    """A mask and the case that it is of."""

    case: str
    path: Path
    geometry: Geometry
    """of the case's scan"""
    draft: Path | None
    """what a model drew, where that is known"""
    limits: Limits = LIMITS
    """what the files may claim, and what their colours mean"""

    def read(self, path: Path) -> np.ndarray:
        """Read the label values [X, Y, Z] of the mask, or of another file of the case."""
        return read_label(path, self.geometry, self.limits)


def find_masks(data: PreparedSet, paths: Sequence[Path], config: AdoptConfig) -> list[NewMask]:
    """Find the masks and check each against its case.

    Args:
        data: the prepared folder.
        paths: files or folders.
        config: where the drafts are.

    Raises:
        EquiregError: if one does not fit, or there is none; names all that do not.
    """
    found: dict[str, NewMask] = {}
    problems: list[str] = []
    limits = replace(LIMITS, colours=data.manifest.labels.colour_table())
    for path in _files(paths):
        try:
            record = _case_of(data, path)
            draft = _draft(path, record.name, config)
            mask = NewMask(record.name, path, record.working_grid().native, draft, limits)
            if record.name in found:
                raise EquiregError(
                    f"{path}: is a second mask of {record.name}, beside {found[record.name].path.name}. Give one."
                )
            _check(data, mask)
            found[record.name] = mask
        except EquiregError as error:
            problems.append(str(error))
    if problems:
        more = f" And {len(problems) - _DETAILS} more." if len(problems) > _DETAILS else ""
        raise EquiregError(f"{' '.join(problems[:_DETAILS])}{more} No mask was adopted.")
    return list(found.values())


def _files(paths: Iterable[Path]) -> list[Path]:
    """Return the files that were given, and those of the folders."""
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if not file.name.startswith(".") and extension_of(file))
            if not inside:
                raise EquiregError(f"{path}: holds no mask; expected files named as their cases, such as CASE.nii.gz.")
            files += inside
        elif path.is_file():
            files.append(path)
        else:
            raise EquiregError(f"{path}: no such file or folder; expected masks. Check the path.")
    return files


def _case_of(data: PreparedSet, path: Path) -> CaseRecord:
    """Find the case of a mask by its name.

    Raises:
        EquiregError: if there is none, or it does not train.
    """
    stem = path.name[: -len(extension_of(path) or path.suffix)]
    record = data.by_name.get(stem) or data.by_name.get(_ENDING.sub("", stem))
    if record is None:
        known = ", ".join(sorted(data.by_name)[:3])
        raise EquiregError(f"{path}: no case is named {stem[:80]!r}; expected the name of a case, such as {known}.")
    if record.split != "train":
        what = {"val": "validates", "test": "tests"}[record.split]
        raise EquiregError(
            f"{path}: the patient {record.patient} {what}, and stays there, so its mask is not adopted. Leave it out."
        )
    return record


def _draft(path: Path, case: str, config: AdoptConfig) -> Path | None:
    """Return the draft of a case: in the folder given, or beside the masks of `equireg suggest`."""
    beside = path.parent.parent
    folder = Path(config.drafts) if config.drafts is not None else beside / DRAFTS
    if config.drafts is None and (path.parent.name != MASKS or folders.made_by(beside) != "suggest"):
        return None
    draft = prediction_file(folder, case)
    return draft if draft.is_file() else None


def _check(data: PreparedSet, mask: NewMask) -> None:
    values = mask.read(mask.path)
    if data.manifest.labels.classes > 1:
        try:
            data.manifest.labels.to_classes(values)
        except EquiregError as error:
            raise EquiregError(f"{mask.path}: {error} Correct the mask.") from error
