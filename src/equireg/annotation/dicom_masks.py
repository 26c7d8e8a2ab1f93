"""DICOM-SEG and RTSTRUCT as new masks: which case each is of, and which labels its segments are."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from equireg import folders
from equireg.config import AdoptConfig, DicomOptions
from equireg.errors import EquiregError, UsageError
from equireg.folders.prepared import PreparedSet
from equireg.imaging.dicom.heads import Head
from equireg.imaging.dicom.mask_heads import MaskHead, read_mask_head
from equireg.imaging.dicom.planes import SeriesError
from equireg.imaging.labels import LabelTable
from equireg.imaging.segments import label_of
from equireg.layouts import dicom
from equireg.layouts.dicom.masks import Names, label_table

log = logging.getLogger("equireg")


@dataclass(frozen=True)
class DicomMask:
    """What a DICOM mask says of itself."""

    kind: str
    """DICOM-SEG or RTSTRUCT"""
    case: str
    """Name of the case that it is of."""
    values: Mapping[int, int]
    """Number to label value of the segments that are used."""
    names: Mapping[int, str]
    """Label value to the segment's name."""


def find_dicom_masks(
    data: PreparedSet, heads: Sequence[Head], named: Mapping[Path, str], config: AdoptConfig
) -> tuple[dict[Path, DicomMask], list[str]]:
    """Find the case of each mask, by its file's name or by the series that it refers to, and its segments' labels.

    Segments are found by their names among the labels of the data set. Where it has none yet, they become its labels.

    Args:
        data: the prepared folder.
        heads: of the masks.
        named: mask file to the case that it is named after; the raw folder is not looked at for these.
        config: where the scans are, and which segments are meant.

    Returns:
        The masks by file, and what is wrong with the others.

    Raises:
        UsageError: if --segments names what is no label of the data set.
    """
    if not heads:
        return {}, []
    options = _options(data, config)
    read, problems = _read(heads)
    owners, matched, unmatched = _owners(
        data, [head for head in heads if head.path in read and head.path not in named], config
    )
    read |= {mask.path: mask for mask in matched}
    known = data.manifest.labels
    table = known if known.classes > 1 else label_table(list(read.values()), options)
    meant = None if table is None else Names(list(read.values()), table)
    if meant is not None:
        meant.tell()
        for warning in meant.not_listed("If they were not drawn, draw them, and adopt the masks again."):
            log.warning("%s", warning)
    found: dict[Path, DicomMask] = {}
    cases = {path: case for path in read if (case := named.get(path) or owners.get(path)) is not None}
    corrected = {case for path, case in cases.items() if not read[path].own}
    _tell_own([path for path, case in cases.items() if read[path].own and case not in corrected])
    for head in heads:
        case = cases.get(head.path)
        if case is None or table is None or meant is None or (read[head.path].own and case in corrected):
            continue
        try:
            values = _values(read[head.path], table, meant, options)
        except EquiregError as error:
            problems.append(str(error))
            continue
        kind = "DICOM-SEG" if head.kind == "segmentation" else "RTSTRUCT"
        names = dict(zip(table.values, table.names, strict=True))
        found[head.path] = DicomMask(kind, case, values, {value: names[value] for value in values.values()})
    return found, [*problems, *unmatched]


def _tell_own(paths: Sequence[Path]) -> None:
    """Warn of predictions that come back as equireg drew them, by what they say of themselves."""
    if paths:
        some = f"{', '.join(map(str, paths[:5]))}{', ...' if len(paths) > 5 else ''}"
        log.warning(
            "DICOM masks that equireg drew and nobody corrected count as true now: %s (%d in all). Correct those that "
            "nobody has looked at, and adopt them again.",
            some,
            len(paths),
        )


def _options(data: PreparedSet, config: AdoptConfig) -> DicomOptions:
    """Return how the series became cases, and which segments are labels.

    Raises:
        UsageError: if --segments names what is no label.
    """
    recorded = DicomOptions.recorded([folders.read_signature(data.root, "prepare")])
    labels = data.manifest.labels
    if labels.classes < 2:
        return replace(recorded, segments=config.segments or recorded.segments)
    chosen = {name: label_of(name, labels.names[1:]) for name in config.segments}
    unknown = [name for name, label in chosen.items() if label is None]
    if unknown:
        raise UsageError(f"--segments is {unknown[0]}; expected labels of the data set: {', '.join(labels.names[1:])}.")
    return replace(recorded, segments=tuple(label for label in chosen.values() if label) or recorded.segments)


def _read(heads: Sequence[Head]) -> tuple[dict[Path, MaskHead], list[str]]:
    """Read whole headers; what cannot be taken for labels is a problem."""
    read: dict[Path, MaskHead] = {}
    problems: list[str] = []
    for head in heads:
        try:
            mask = read_mask_head(head)
            if mask.problem is not None:
                raise mask.problem
            read[head.path] = mask
        except SeriesError as error:
            problems.append(str(error))
    return read, problems


def _owners(
    data: PreparedSet, heads: Sequence[Head], config: AdoptConfig
) -> tuple[dict[Path, str], list[MaskHead], list[str]]:
    """Find the cases of masks by the series that they refer to, in the raw folder; the masks with what is of these."""
    root = data.source if config.scans is None else Path(config.scans)
    if not heads:
        return {}, [], []
    if root is None:
        finding = "refers to a series, and the raw folder is not where it was. Give it as --scans, or name the file"
        return {}, [], [f"{head.path}: {finding} after its case (CASE.dcm)." for head in heads]
    recorded = DicomOptions.recorded([folders.read_signature(data.root, "prepare")])
    try:
        owners, masks = dicom.cases_of_masks(root, heads, recorded, own=True)
    except EquiregError as error:
        return {}, [], [f"{heads[0].path}: is not named after a case, and its series is not found: {error}"]
    matched = [mask for several in masks.of.values() for mask in several]
    strays = sorted({mask.path for mask in matched} - set(owners))
    stray = [f"{path}: is of a series that is no case. Leave it out." for path in strays]
    return (
        owners,
        [mask for mask in matched if mask.path in owners],
        [*(f"{one.reason} {one.remedy}" for one in masks.refused), *stray],
    )


def _values(mask: MaskHead, table: LabelTable, meant: Names, options: DicomOptions) -> dict[int, int]:
    """Return number to label value of the segments that are used.

    Raises:
        EquiregError: if a segment is no label, or none is used.
    """
    values = meant.values(mask)
    if options.segments:
        chosen = {number for number, name in mask.names if meant.label(name) in options.segments}
        values = {number: value for number, value in values.items() if number in chosen}
    unknown = sorted({name for number, name in mask.names if number not in values})
    if unknown and not (options.segments and values):
        expected = options.segments or table.names[1:]
        raise EquiregError(
            f"{mask.path}: has the segment {unknown[0]!r}; expected some of {', '.join(expected)}. Rename the segment, "
            "or choose segments by --segments."
        )
    return values
