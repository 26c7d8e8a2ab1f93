"""Which DICOM files are copies of others, also where a copy was made anonymous and kept its UIDs."""

from dataclasses import replace
from pathlib import Path

from equireg.imaging.dicom.heads import Head
from equireg.imaging.dicom.library import pydicom, quietly


class Copies:
    """The files so far, of which later ones may be copies."""

    def __init__(self) -> None:
        self._first: dict[tuple[object, ...], Head] = {}
        self._slices: dict[tuple[object, ...], Head] = {}
        self._same: dict[tuple[str, ...], bool] = {}
        """Study, series and two names of a patient to whether their pixels are the same, by their first files."""

    def is_one(self, head: Head) -> bool:
        """Whether a file is a copy of an earlier one.

        The UID alone is not always one's own (filters, anonymisers). Where only the patient differs, pixels decide:
        some anonymisers number the studies of all patients from 1.
        """
        key = head.study_uid, head.series_uid, head.sop_uid, head.plane.position, head.instance
        first = self._first.setdefault(key, head)
        if first is head:
            return self._is_sent_again(head)
        if first.patient_id == head.patient_id:
            return True
        names = (*key[:2], first.patient_id, head.patient_id)
        if names not in self._same:
            self._same[names] = _pixels(first.path) == _pixels(head.path)
        return self._same[names]

    def _is_sent_again(self, head: Head) -> bool:
        """Whether a slice is in its series already under another UID: same place, number and pixels."""
        if head.kind != "image" or head.frames > 1:
            return False
        place = replace(head.plane, path=Path())
        first = self._slices.setdefault((head.study_uid, head.series_uid, head.patient_id, place, head.instance), head)
        if first is head:
            return False
        pixels = _pixels(first.path)
        return pixels is not None and pixels == _pixels(head.path)


def _pixels(path: Path) -> object:
    """Return the pixels as they are stored, or what is equal to nothing else where they cannot be read."""
    try:
        with quietly():
            return pydicom().dcmread(path, force=True, specific_tags=["PixelData"]).get("PixelData")
    except Exception:  # a file is foreign, and pydicom raises whatever its parts do
        return object()
