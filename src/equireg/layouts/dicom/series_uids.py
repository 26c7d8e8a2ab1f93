"""Series whose UIDs an anonymiser changed: one for all patients, or one for each slice."""

from collections.abc import Sequence
from dataclasses import replace

from equireg.imaging.dicom.heads import Head
from equireg.imaging.dicom.identity import digest
from equireg.imaging.dicom.planes import SeriesError
from equireg.imaging.dicom.series import series_of
from equireg.layouts.by_key import by_key

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
        patients = by_key(heads, lambda head: head.patient_id)
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
    single = [heads[0] for heads in images.values() if len(heads) == heads[0].frames == 1]
    numbered = (head for head in single if head.series_number is not None)
    alike = by_key(numbered, lambda head: (head.patient_id, head.study_uid, head.series_number, head.description))
    examples: list[str] = []
    for heads in filter(is_stack, alike.values()):
        study, uid = heads[0].study_uid, min(head.series_uid for head in heads)
        for head in heads:
            del images[study, head.series_uid]
        images[study, uid] = [replace(head, series_uid=uid) for head in heads]
        examples.append(str(heads[0].path))
    return examples
