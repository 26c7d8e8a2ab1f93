"""Which case each new mask is of, and whether it fits."""

import logging
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np

from equireg import folders
from equireg.annotation.dicom_masks import DicomMask, find_dicom_masks
from equireg.annotation.held_out import movable
from equireg.annotation.labels import are_open, are_open_by_name
from equireg.annotation.other_numbers import other_numbers
from equireg.config import AdoptConfig
from equireg.errors import EquiregError
from equireg.folders.predictions import prediction_file
from equireg.folders.prepared import CaseRecord, PreparedSet
from equireg.folders.suggestions import DRAFTS, MASKS
from equireg.imaging.alignment import one_line_a_remark
from equireg.imaging.dicom.heads import Head, is_dicom
from equireg.imaging.dicom.identity import advice_on_names
from equireg.imaging.dicom.masks import read_mask
from equireg.imaging.formats import composed, extension_of
from equireg.imaging.grey import check_labels
from equireg.imaging.labels import distinct
from equireg.imaging.limits import LIMITS, Limits
from equireg.imaging.segments import by_numbers, common_numbers, numbers_of, plain, segment_names, stated_names
from equireg.imaging.volume import Geometry, read_label
from equireg.layouts.dicom.files import Files, read_files, read_these
from equireg.layouts.files import folders_below, is_image, stem_of
from equireg.layouts.masks import case_names, without_probabilities
from equireg.layouts.unread import scans_of_other_kinds, why_nothing_is_found

log = logging.getLogger("equireg")

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
    dicom: DicomMask | None = None
    """what its segments are, where it is DICOM"""
    brings: Mapping[int, str] = field(default_factory=dict)
    """label value to name of the labels that it names and the data set lacks"""
    numbers: Mapping[int, int] = field(default_factory=dict)
    """label value in the file, and the data set's; none where all stay as they are"""

    @property
    def names(self) -> Mapping[int, str]:
        """Label value to the name that the mask itself gives it."""
        return self.brings if self.dicom is None else self.dicom.names

    @property
    def told(self) -> str:
        """What is recorded of where it came from."""
        return self.path.name if self.dicom is None else self.dicom.kind

    def read(self, path: Path) -> np.ndarray:
        """Read the label values [X, Y, Z] of the mask, or of another file of the case."""
        if self.dicom is not None and path == self.path:
            return read_mask(path, self.dicom.values, self.geometry, self.limits)
        values = read_label(path, self.geometry, self.limits)
        return by_numbers(values, self.numbers) if self.numbers and path == self.path else values


def find_masks(
    data: PreparedSet, paths: Sequence[Path], config: AdoptConfig, names: Mapping[int, str] | None = None
) -> list[NewMask]:
    """Find the masks and check each against its case.

    Args:
        data: the prepared folder.
        paths: files or folders.
        config: where the drafts are.
        names: label value to name of the labels that the data set lacks, of masks whose files name none.

    Raises:
        EquiregError: if one does not fit, or there is none; names all that do not.
    """
    found: dict[str, NewMask] = {}
    given = _files(paths)
    known = {composed(name): record for name, record in data.by_name.items()}
    named = {head.path: record.name for head in given.heads if (record := _named(known, head.path))}
    dicom, problems = find_dicom_masks(data, given.heads, named, config)
    problems = [*given.problems, *problems]
    free = movable(data)
    labels, open_, by_name = data.manifest.labels, are_open(data), are_open_by_name(data)
    called = dict(zip(labels.values[1:], labels.names[1:], strict=True))
    numbers = common_numbers([called, *map(segment_names, given.files)]) if by_name else {}
    limits = replace(data.limits, segments=tuple(numbers.items()) or numbers_of(labels))
    others = cache(lambda folder: other_numbers(folder, labels))
    with one_line_a_remark():
        for path in [*given.files, *dicom]:
            try:
                own = dicom.get(path)
                record = _case_of(known, path, None if own is None else own.case, free)
                draft = _draft(path, record.name, config)
                stated = {numbers[plain(name)]: name for name in segment_names(path).values()} if by_name else {}
                brings = {value: name for value, name in (stated or names or {}).items() if value not in labels.values}
                mask = NewMask(record.name, path, record.working_grid().native, draft, limits, own, brings)
                values = mask.read(mask.path)
                other = None if open_ or own or stated_names(path) else others(path.parent)
                if other is not None:
                    mask = replace(mask, numbers=other.meant(path, distinct(values)))
                    values = mask.read(mask.path)
                if open_:
                    check_labels(str(path), values, distinct(values))
                else:
                    _check(data, mask, values)
                found[record.name] = _corrected(found[record.name], mask) if record.name in found else mask
            except EquiregError as error:
                problems.append(str(error))
    if problems:
        more = f" And {len(problems) - _DETAILS} more." if len(problems) > _DETAILS else ""
        advice = "" if found else advice_on_names(data.by_name, "prepare")
        raise EquiregError(f"{' '.join(problems[:_DETAILS])}{more} No mask was adopted.{advice}")
    return list(found.values())


@dataclass
class _Given:
    """Masks as they were given."""

    files: list[Path] = field(default_factory=list)
    """All but DICOM."""
    heads: list[Head] = field(default_factory=list)
    """Of DICOM masks."""
    problems: list[str] = field(default_factory=list)
    """DICOM files that cannot be read."""

    def add(self, found: Files) -> None:
        """Take the DICOM masks among some files."""
        self.heads += found.masks
        self.problems += [f"{one.reason} {one.remedy}" for one in found.refused]


def _files(paths: Sequence[Path]) -> _Given:
    """Return the files that were given, and those of the folders; DICOM of all folders below."""
    given = _Given()
    for path in paths:
        before = len(given.heads) + len(given.problems)
        if path.is_dir():
            inside = without_probabilities(
                sorted(file for file in path.iterdir() if not file.name.startswith(".") and extension_of(file))
            )
            given.files += inside
            given.add(read_files(path))
            below = _below(path, paths)
            if not inside and before == len(given.heads) + len(given.problems):
                raise EquiregError(
                    f"{path}: holds no mask; expected files named as their cases, such as CASE.nii.gz, or DICOM-SEG or "
                    f"RTSTRUCT. Check the path.{below or why_nothing_is_found(path)}"
                )
            if other := scans_of_other_kinds(path, packed=True):
                log.warning("%s", other)
            if below:
                log.warning("not used:%s", below)
        elif path.is_file() and extension_of(path) is None and is_dicom(path):
            given.add(read_these(path.parent, [path]))
            if before == len(given.heads) + len(given.problems):
                given.problems.append(f"{path}: is DICOM without a mask; expected a DICOM-SEG or an RTSTRUCT.")
        elif path.is_file():
            given.files.append(path)
        else:
            raise EquiregError(f"{path}: no such file or folder; expected masks. Check the path.")
    return given


def _below(path: Path, given: Sequence[Path]) -> str:
    """Say that images lie in folders below one, which are not looked through unless they are given; else nothing."""
    known = {folder.resolve() for folder in given}
    below = ((folder, names) for folder, names in folders_below(path) if folder.resolve() not in known)
    found = [file for folder, names in below for name in sorted(names) if is_image(file := folder / name)]
    if not found:
        return ""
    what = "1 image lies in a folder" if len(found) == 1 else f"{len(found)} images lie in folders"
    return f" {what} below {path}, such as {found[0]}. Give that folder too if these are masks."


def _stem(path: Path) -> str:
    return stem_of(path) if extension_of(path) else composed(path.stem)


def _named(known: Mapping[str, CaseRecord], path: Path) -> CaseRecord | None:
    """Return the case that a file is named after."""
    return next((known[name] for name in case_names(_stem(path)) if name in known), None)


def _case_of(known: Mapping[str, CaseRecord], path: Path, own: str | None, free: Container[str]) -> CaseRecord:
    """Find the case of a mask by its name.

    Args:
        known: composed name to case.
        path: of the mask.
        own: the name of its case, where the file says it itself.
        free: cases that do not train, and may.

    Raises:
        EquiregError: if there is none, or it does not train.
    """
    record = _named(known, path) if own is None else known.get(composed(own))
    if record is None:
        some, stem = ", ".join(sorted(known)[:3]), own or _stem(path)
        raise EquiregError(f"{path}: no case is named {stem[:80]!r}; expected the name of a case, such as {some}.")
    if record.split != "train" and record.name not in free:
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


def _corrected(first: NewMask, second: NewMask) -> NewMask:
    """Return that of two masks of a case beside which the other is the unchanged draft; log what is left aside.

    Raises:
        EquiregError: if it is not one of them that is.
    """
    drafts = [one for one in (first, second) if one.draft and np.array_equal(one.read(one.path), one.read(one.draft))]
    if len(drafts) != 1:
        raise EquiregError(f"{second.path}: is a second mask of {first.case}, beside {first.path.name}. Give one.")
    kept = second if drafts[0] is first else first
    log.info("%s: left aside, it is the unchanged draft beside %s.", drafts[0].path, kept.path.name)
    return kept


def _check(data: PreparedSet, mask: NewMask, values: np.ndarray) -> None:
    try:
        data.manifest.labels.to_classes(values)
    except EquiregError as error:
        raise EquiregError(f"{mask.path}: {error} Correct the mask.") from error
