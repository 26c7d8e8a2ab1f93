"""The layout of DICOM: a series a case, or a study a case whose series are its channels."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from equireg.config import DicomOptions
from equireg.config.dicom import ALL_SERIES
from equireg.imaging.dicom.heads import Head
from equireg.imaging.dicom.mask_heads import MaskHead
from equireg.imaging.dicom.series import Series
from equireg.layouts.base import FoundCase, FoundSet, LayoutMismatchError, Refusal
from equireg.layouts.channels import meaning, modality_of
from equireg.layouts.dicom.channels import Grouping, broken, group, told_descriptions
from equireg.layouts.dicom.files import Files, read_files, read_these
from equireg.layouts.dicom.masks import Masks, Names, drawn_alone, label_table, match
from equireg.layouts.dicom.scans import Scan
from equireg.layouts.held_out import is_held_out

_COMPUTED = ("adc",)
"""Contrasts of which no original can exist."""
Owner = TypeVar("Owner", str, tuple[str, str])


def find(root: Path, options: DicomOptions = ALL_SERIES, wanted: Sequence[str] = ()) -> FoundSet:
    """Find the DICOM series below a folder, or in one file.

    Args:
        root: the folder, or the file.
        options: how series become cases.
        wanted: names of the channels that a model takes; none where that is open.

    Raises:
        LayoutMismatchError: if there is no DICOM.
        EquiregError: if a file or folder cannot be opened, or pydicom is missing and there is DICOM.
    """
    files = read_these(root.parent, [root]) if root.is_file() else read_files(root)
    if not files.paths:
        raise LayoutMismatchError(f"{root}: has no DICOM files; expected series of slices.")
    scans = _scans(files, options)
    masks = match(files.masks, scans, options)
    kept, notes = _without_derived(sorted(scans, key=lambda scan: str(scan.path)), masks, options, wanted)
    grouping = group(kept, options, wanted)
    used = [mask for _, series in grouping.cases for mask in _masks_of(series, masks)]
    table = label_table(used, options)
    names = None if table is None else Names(used, table)
    described = told_descriptions(grouping.cases)
    cases: list[FoundCase] = []
    refused = [*files.refused, *masks.refused, *grouping.refused]
    for name, series in grouping.cases:
        error = broken(series)
        if error is not None:
            refused.append(Refusal(name, error.reason, error.remedy))
        else:
            cases.append(_case(root, name, series, _masks_of(series, masks), names))
    return FoundSet(
        layout="dicom",
        channels=grouping.channels,
        modality=_modality(grouping),
        labels=table,
        cases=tuple(cases),
        refused=tuple(refused),
        notes=(*files.notes, *notes, *masks.notes(), *grouping.notes, *described, *(names.notes() if names else ())),
        warnings=(*grouping.warnings, *_said_of(names), *drawn_alone(used), *_one_patient(kept)),
        private=files.paths,
    )


def cases_of_masks(
    root: Path, heads: Sequence[Head], options: DicomOptions, *, own: bool = False
) -> tuple[dict[Path, str], Masks]:
    """Find the cases of masks that came later, by the series that they refer to.

    Args:
        root: the raw folder with the series.
        heads: of the masks, wherever these lie.
        options: how the series became cases.
        own: whether predictions of equireg, as it drew them, count.

    Returns:
        Mask file to the name of its case, and the masks as they were matched with series; one whose series became no
        case is in neither.

    Raises:
        LayoutMismatchError: if the folder has no DICOM.
    """
    files = read_files(root)
    if not files.images:
        raise LayoutMismatchError(f"{root}: has no DICOM series; expected those that the masks were drawn on.")
    scans = _scans(files, options)
    found = match(heads, scans, replace(options, mask_series=None), own=own)
    before = match(files.masks, scans, options)
    kept, _ = _without_derived(sorted(scans, key=lambda scan: str(scan.path)), before, options, ())
    owners = {mask.path: name for name, series in group(kept, options, ()).cases for mask in _masks_of(series, found)}
    return owners, found


def _scans(files: Files, options: DicomOptions) -> list[Scan]:
    """Return the series, each with the patient that it names, or that other series of its study name."""
    firsts = [heads[0] for heads in files.images.values()]
    ids = _one_said((head.study_uid, head.patient_id) for head in firsts)
    of_studies = _one_said(((head.study_uid, head.patient_id), head.issuer) for head in firsts)
    issuers = _one_said((head.patient_id, head.issuer) for head in firsts)
    scans: list[Scan] = []
    for first, heads in zip(firsts, files.images.values(), strict=True):
        patient = first.patient_id or ids.get(first.study_uid, "")
        issuer = first.issuer or of_studies.get((first.study_uid, patient)) or issuers.get(patient, "")
        scans.append(Scan(sorted(heads, key=lambda head: str(head.path)), options.keep_names, patient, issuer))
    return scans


def _one_said(pairs: Iterable[tuple[Owner, str]]) -> dict[Owner, str]:
    """Return the one thing that is said of each named owner; owners of whom several things are said are left out."""
    said: defaultdict[Owner, set[str]] = defaultdict(set)
    for owner, word in pairs:
        if owner and word:
            said[owner].add(word)
    return {owner: words.pop() for owner, words in said.items() if len(words) == 1}


def _without_derived(
    scans: Sequence[Scan], masks: Masks, options: DicomOptions, wanted: Sequence[str]
) -> tuple[list[Scan], list[str]]:
    """Leave out series that were computed from others, unless a mask or a pattern means them, or all are such.

    Some channels are always computed, such as ADC: those that a model takes stay where their study has no original.
    """
    originals: defaultdict[tuple[str, str], set[str | None]] = defaultdict(set)
    for scan in scans:
        if not scan.derived:
            originals[scan.study].add(scan.contrast)
    patterns = options.patterns.values()
    channels = set() if patterns else {meaning(name) for name in wanted}
    others = [
        scan
        for scan in scans
        if scan.derived
        and scan.study in originals
        and scan.key not in masks.of
        and not any(pattern.search(scan.description) for pattern in patterns)
    ]
    only = {
        scan.key: scan.path
        for scan in others
        if scan.contrast in channels - originals[scan.study]
        and (len(channels) > 1 or scan.contrast in _COMPUTED or None not in originals[scan.study])
    }
    left = {scan.key: scan.path for scan in others if scan.key not in only}
    notes: list[str] = []
    if only:
        first = next(iter(only.values()))
        notes.append(
            f"used: {len(only)} derived series, whose studies have no original of the channel, such as {first}"
        )
    if left:
        first = next(iter(left.values()))
        notes.append(
            f"left out: {len(left)} derived series (reformats, projections, maps), such as {first}; a series that a "
            "mask is of, or that --channel NAME=PATTERN fits, is used all the same"
        )
    return [scan for scan in scans if scan.key not in left], notes


def _masks_of(series: Mapping[str, Scan], masks: Masks) -> list[MaskHead]:
    return [mask for scan in series.values() for mask in masks.of.get(scan.key, [])]


def _case(
    root: Path, name: str, scans: Mapping[str, Scan], masks: Sequence[MaskHead], names: Names | None
) -> FoundCase:
    """Return the case of some series, with its mask or with the reason why there is none."""
    series = {channel: scan.found for channel, scan in scans.items() if isinstance(scan.found, Series)}
    first = next(iter(scans.values()))
    problem = _mask_problem(masks, names)
    values = names.values(masks[0]) if masks and names is not None and problem is None else {}
    return FoundCase(
        name=name,
        files={channel: one.files[0] for channel, one in series.items()},
        label=masks[0].path if values else None,
        held_out=not root.is_file() and is_held_out(first.path.parent, root),
        contrast=first.contrast if len(scans) == 1 else None,
        patient=first.patient,
        label_problem=problem[0] if problem else None,
        label_remedy=problem[1] if problem else "",
        series=series,
        segments=values,
    )


def _mask_problem(masks: Sequence[MaskHead], names: Names | None) -> tuple[str, str] | None:
    """Return why none of the masks of a case can be used, and the remedy."""
    if not masks or names is None:
        error = masks[0].problem if masks else None
        return (error.reason, error.remedy) if error else None
    first = masks[0]
    if len(masks) > 1:
        others = ", ".join(str(mask.path) for mask in masks[1:4])
        reason = f"{first.path}: is one of {len(masks)} masks of its series (also {others}); expected one."
        return reason, "Keep one, or choose it by its description with --mask_series PATTERN."
    if first.problem is not None:
        return first.problem.reason, first.problem.remedy
    if not names.values(first):
        own = ", ".join(repr(name) for _, name in first.names)
        comma = any("," in name for _, name in first.names)
        remedy = "Name its segments too" + (r"; a comma in a name is written \x2c." if comma else ".")
        return f"{first.path}: has the segments {own}; expected one of --segments.", remedy
    return None


def _said_of(names: Names | None) -> list[str]:
    """Return what looks wrong about the names of the segments."""
    remedy = "If they were not drawn, draw them, or leave the labels out: --segments takes those that it names alone."
    return [*names.warnings(), *names.not_listed(remedy)] if names else []


def _modality(grouping: Grouping) -> str:
    modalities = {scan.modality for _, series in grouping.cases for scan in series.values()}
    return modality_of(grouping.channels, "mri" if modalities == {"MR"} else "other")


_MANY = 5


def _one_patient(scans: Sequence[Scan]) -> list[str]:
    """Warn of many studies with one PatientID, as careless removal of identities leaves them."""
    studies = {scan.study: scan.patient for scan in scans}
    if len(studies) < _MANY or len(set(studies.values())) > 1:
        return []
    return [
        f"all {len(studies)} studies have one PatientID and count as one patient, so they share a split. If they are "
        "of different patients, say so by --patients FILE.csv."
    ]
