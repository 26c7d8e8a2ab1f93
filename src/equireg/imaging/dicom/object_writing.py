"""A new DICOM object that refers to a series, made from the headers of its files."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

from equireg.disk import write_atomic
from equireg.errors import EquiregError
from equireg.imaging.dicom.elements import numbers, optional
from equireg.imaging.dicom.heads import read_dataset
from equireg.imaging.dicom.library import pydicom, quietly
from equireg.imaging.dicom.series import Series

_MUST = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
    *("AccessionNumber", "ReferringPhysicianName"),
)
"""Elements that must be there, also where they are empty."""
_SEXES = ("M", "F", "O")
_UNKNOWN_MODALITY = "OT"
_UNICODE = "ISO_IR 192"


def write_object(path: Path, series: Series, what: str, make: Callable[[list[Any]], Any]) -> None:
    """Write the object that ``make`` gives from the headers of a series' files; completely or not at all.

    ``what`` it is called in an error.

    Raises:
        EquiregError: if the source lacks what the object must copy, or the disk is full.
    """
    try:
        with quietly():
            sources = [_source(file) for file in series.files]
            for source in sources:  # slices of one stack lie in one frame of reference, though some files differ
                source.FrameOfReferenceUID = sources[0].FrameOfReferenceUID
            made = make(sources)
            made.SpecificCharacterSet = _UNICODE
            buffer = io.BytesIO()
            made.save_as(buffer, enforce_file_format=True)
    except EquiregError:
        raise
    except Exception as error:  # a header is foreign, and the libraries raise whatever their parts do
        raise EquiregError(f"{series.files[0]}: {what} of this series cannot be written{_reason(error)}") from error
    write_atomic(path, buffer.getvalue())


def _source(file: Path) -> Any:
    """Return a header with what an object copies, its texts in Unicode: labels stand beside names in any script.

    A series that states no frame of reference has one of its own. A date, time or sex that is none, as the removal of
    identities leaves them, is empty.
    """
    source = read_dataset(file)
    source.decode()
    for name in ("SliceThickness", "SeriesNumber", "InstanceNumber"):
        if name in source and optional(source, name, lambda value: numbers([value], 1)) is None:
            del source[name]
    source.SpecificCharacterSet = _UNICODE
    for name in (*_MUST, "SliceThickness"):
        if name not in source or not _is_valid(name, source[name].value):
            setattr(source, name, None)
    source.Modality = source.get("Modality") or _UNKNOWN_MODALITY
    if not source.get("FrameOfReferenceUID"):
        source.FrameOfReferenceUID = pydicom().uid.generate_uid(entropy_srcs=[str(source.get("SeriesInstanceUID"))])
    return source


def _is_valid(name: str, value: Any) -> bool:
    """Whether an element's value is what its kind allows, where that is a date, a time or a code."""
    kinds = pydicom().valuerep
    kind = pydicom().datadict.dictionary_VR(name)
    if not value or kind not in ("DA", "TM", "CS"):
        return True
    if kind == "CS":
        return value in _SEXES
    try:
        getattr(kinds, kind)(value)
    except (ValueError, TypeError, OverflowError):
        return False
    return True


def _reason(error: Exception) -> str:
    """Return why an object cannot be made, and the remedy, to the end of the sentence."""
    name = error.name if isinstance(error, AttributeError) else None
    if name and pydicom().datadict.tag_for_keyword(name) is not None:
        return (
            f", because its header has no {name}: it may have been removed with the patient's identity. Give --format "
            "nifti, or add the element to all files of the series."
        )
    words = " ".join(str(error).split())[:200].rstrip(".")
    return f" ({type(error).__name__}: {words}). Give --format nifti."
