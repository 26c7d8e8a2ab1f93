"""Series whose UIDs an anonymiser changed: one for all patients, or one for each slice."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from equireg.imaging.dicom.heads import Head
from equireg.imaging.dicom.identity import digest
from equireg.imaging.dicom.planes import SeriesError
from equireg.imaging.dicom.series import series_of

Images = dict[tuple[str, str], list[Head]]
"""Study and series to the slices."""


def is_stack(heads: Sequence[Head]) -> bool:
    """Whether files lie as slices do; mosaics of a series lie in one place."""
    try:
        return len(heads) > 2 and series_of(heads).geometry.shape[2] == len(heads)
    except SeriesError:
        return False


def put_right(images: Images) -> list[str]:
    """Part series of several patients and join those of one slice each, in place, where that gives whole stacks.

    Returns:
        What was done, in a line of each kind.
    """
    parted, joined = _part(images), _join(images)
    notes: list[str] = []
    if parted:
        notes.append(f"parted by PatientID: {len(parted)} series whose UID several patients have, such as {parted[0]}")
    if joined:
        notes.append(
            f"joined: {len(joined)} series whose slices have a SeriesInstanceUID each, and one number and description, "
            f"such as {joined[0]}"
        )
    return notes


def _part(images: Images) -> list[str]:
    """Part series where the slices of each PatientID are a stack, and all together are none."""
    examples: list[str] = []
    for (study, series), heads in list(images.items()):
        patients: defaultdict[str, list[Head]] = defaultdict(list)
        for head in heads:
            patients[head.patient_id].append(head)
        if len(patients) < 2 or "" in patients or is_stack(heads) or not all(map(is_stack, patients.values())):
            continue
        del images[study, series]
        for patient, own in patients.items():
            uid = f"{series}.{digest(patient, 8)}"
            images[study, uid] = [replace(head, series_uid=uid) for head in own]
        examples.append(str(heads[0].path))
    return examples


def _join(images: Images) -> list[str]:
    """Join series of one slice each that have one number and description in their study and are a stack together."""
    alone: defaultdict[tuple[object, ...], list[Head]] = defaultdict(list)
    for heads in images.values():
        first = heads[0]
        if len(heads) == first.frames == 1 and first.series_number is not None:
            alone[first.patient_id, first.study_uid, first.series_number, first.description].append(first)
    examples: list[str] = []
    for heads in filter(is_stack, alone.values()):
        study, uid = heads[0].study_uid, min(head.series_uid for head in heads)
        for head in heads:
            del images[study, head.series_uid]
        images[study, uid] = [replace(head, series_uid=uid) for head in heads]
        examples.append(str(heads[0].path))
    return examples
