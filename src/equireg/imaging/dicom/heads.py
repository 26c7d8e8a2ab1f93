"""What the header of a DICOM file says, read without its pixels: 10,000 files must take seconds."""

import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from equireg.imaging.dicom.elements import entries, number, numbers, optional, thickness_of, whole
from equireg.imaging.dicom.library import pydicom, quietly
from equireg.imaging.dicom.padding import padding_of
from equireg.imaging.dicom.plane import Plane

ENDINGS = (".dcm", ".dicom", ".ima")
"""Endings that say DICOM, in lower case; most files of a scanner have none."""
DIRECTORY = "DICOMDIR"
"""Name of a file that only lists others."""
_MAGIC = slice(128, 132)
_DEFLATED = b"1.2.840.10008.1.2.1.99"
_HEAD_BYTES = 4096
_FIRST_GROUPS = (b"\x02\0", b"\x08\0")
"""Of file meta information, and of what an image is."""
_MOST_INFLATED = 2**28

Kind = Literal["image", "segmentation", "contours", "other"]

SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""SOP classes of DICOM-SEG."""
_CONTOURS = "1.2.840.10008.5.1.4.1.1.481.3"
_LISTING = "1.2.840.10008.1.3.10"
_CAPTURES = "1.2.840.10008.5.1.4.1.1.7"
_ASIDE = {
    _CAPTURES: "secondary captures (screenshots)",
    "1.2.840.10008.5.1.4.1.1.104": "documents",
    "1.2.840.10008.5.1.4.1.1.88": "reports",
    "1.2.840.10008.5.1.4.1.1.11": "presentation states",
    "1.2.840.10008.5.1.4.1.1.481.2": "dose grids",
    "1.2.840.10008.5.1.4.1.1.481": "treatment plans and the like",
    "1.2.840.10008.5.1.4.1.1.66": "registrations, raw data and the like",
    "1.2.840.10008.5.1.4.1.1.9": "waveforms",
    "1.2.840.10008.5.1.4.1.1.4.2": "spectroscopy",
}
"""SOP class, or the beginning of several, to what its files are called where they are left out."""
MOSAICS = (
    "Siemens mosaics (all slices of a volume as tiles of one picture; convert them to NIfTI with dcm2niix, or export "
    "them as single slices or as an enhanced multi-frame file)"
)
CAPTURES = "secondary captures beside the slices of their series"
"""Such as have a place in the patient; alone they are slices, as some programs call what they convert."""

_FLAT = "pictures without a place in the patient (most X-ray and ultrasound; convert them to PNG to use them)"
_FLAT_MODALITIES = ("CR", "DX", "IO", "MG", "PX", "RF", "US", "XA")
_UNPLACED = "images that do not say where their pixels lie in the patient (convert them to NIfTI to use them)"
GROUPS = "PerFrameFunctionalGroupsSequence"
"""Where an enhanced file says of each frame where it lies."""
_TAGS = (
    *("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"),
    *("PatientID", "IssuerOfPatientID", "Modality", "SeriesDescription", "ProtocolName", "SeriesNumber"),
    *("InstanceNumber", "ImageType", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
    *("SliceThickness", "SpacingBetweenSlices", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel"),
    *("BitsAllocated", "PhotometricInterpretation", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("AcquisitionMatrix", "PixelRepresentation", "PixelPaddingValue", "PixelPaddingRangeLimit"),
    *("EchoTime", "TemporalPositionIdentifier", "AcquisitionNumber", "TriggerTime", "DiffusionBValue"),
    GROUPS,
)
PHASES = ("EchoTime", "TemporalPositionIdentifier", "TriggerTime", "DiffusionBValue", "AcquisitionNumber", "ImageType")
"""In what images of one place may differ, the likeliest first."""


@dataclass(frozen=True, slots=True)
class Head:
    """One file's header; identities are as they stand in it, and stay in memory."""

    path: Path
    kind: Kind
    aside: str | None
    """What a file is called that is left out, or None."""
    sop_uid: str
    study_uid: str
    series_uid: str
    frame_of_reference: str
    patient_id: str
    issuer: str
    """Of the patient's ID; empty in most files."""
    modality: str
    description: str
    series_number: int | None
    derived: bool
    enhanced: bool
    """Whether each frame has its own place in the functional groups."""
    syntax: str
    """Transfer syntax."""
    plane: Plane
    """Where its only picture lies; of a multi-frame file, what counts where the groups of a frame do not say."""
    frames: int
    bits: int
    inverted: bool
    """Whether low numbers are meant to be bright (MONOCHROME1)."""
    table: bool
    """Whether values come from a table instead of a slope."""
    instance: int


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file that is DICOM by its name or its beginning, and cannot be read."""

    path: Path
    finding: str


def is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM files do, or is called so."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        head = b""
    return head[_MAGIC] == b"DICM" or is_called_dicom(path.name) or _begins_with_elements(head)


def _begins_with_elements(head: bytes) -> bool:
    """Whether a file begins with two elements of one group, as DICOM of old programs does, without a preamble."""
    group, element = head[:2], int.from_bytes(head[2:4], "little")
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    length = int.from_bytes(head[6:8] if explicit else head[4:8], "little")
    following = head[8 + length : 12 + length]
    return group in _FIRST_GROUPS and following[:2] == group and int.from_bytes(following[2:], "little") > element


def is_called_dicom(name: str) -> bool:
    """Whether a file's name says DICOM; that of most files of a scanner does not."""
    return name.lower().endswith(ENDINGS)


def read_heads(paths: Iterable[Path]) -> Iterator[Head | Unreadable | None]:
    """Read the headers of DICOM files, one answer each; None for a file that only lists others."""
    with quietly():
        for path in paths:
            try:
                content = _content(path)
                yield None if content.get("SOPClassUID") == _LISTING else _head(path, content)
            except Exception as error:  # a header is foreign, and pydicom raises whatever its parts do
                yield Unreadable(path, _reason(path, error))


def read_dataset(path: Path) -> Any:
    """Read a whole header, with its sequences, without pixels; of a damaged file whatever pydicom raises is raised."""
    with quietly():
        return pydicom().dcmread(_source(path), stop_before_pixels=True, force=True)


def _content(path: Path) -> Any:
    return pydicom().dcmread(_source(path), stop_before_pixels=True, specific_tags=list(_TAGS), force=True)


def _source(path: Path) -> Any:
    """Return the path, once it is sure that a deflated file does not grow beyond measure."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        place = head.find(_DEFLATED)
        if place >= 0:
            decoder, size, packed = zlib.decompressobj(-zlib.MAX_WBITS), 0, b""
            file.seek(_begin_of_data(head))
            while size <= _MOST_INFLATED and (packed or (packed := file.read(2**16))):
                size += len(decoder.decompress(packed, 2**20))
                packed = decoder.unconsumed_tail
            if size > _MOST_INFLATED:
                raise ValueError(f"it is deflated and grows beyond {_MOST_INFLATED} bytes")
    return path


def _begin_of_data(head: bytes) -> int:
    """Return where the deflated part begins: behind the group of file meta information, whose length comes first."""
    start = _MAGIC.stop
    if head[start : start + 4] != b"\x02\x00\x00\x00":
        raise ValueError("it is deflated and does not say where its data begin")
    return start + 12 + int.from_bytes(head[start + 8 : start + 12], "little")


def _reason(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        dicom = file.read(_MAGIC.stop)[_MAGIC] == b"DICM"
    if not dicom:
        return "does not begin as DICOM does, so it is encrypted, compressed as a whole, or of another kind"
    words = " ".join(str(error).split()) or type(error).__name__
    return f"is DICOM that cannot be read, cut short or damaged ({words[:120].rstrip('.')})"


def _head(path: Path, content: Any) -> Head:
    sop_class, sop_uid = str(content.get("SOPClassUID") or ""), str(content.get("SOPInstanceUID") or "")
    if not sop_class or not sop_uid:
        raise ValueError("it says neither what it is nor which object it is")
    image_type = tuple(str(word).upper() for word in entries(content.get("ImageType")))
    kind = _kind(sop_class, content)
    return Head(
        path=path,
        kind=kind,
        aside=_aside(kind, sop_class, image_type, content),
        sop_uid=sop_uid,
        study_uid=str(content.get("StudyInstanceUID") or ""),
        series_uid=str(content.get("SeriesInstanceUID") or ""),
        frame_of_reference=str(content.get("FrameOfReferenceUID") or ""),
        patient_id=str(content.get("PatientID") or "").strip(),
        issuer=str(content.get("IssuerOfPatientID") or "").strip(),
        modality=str(content.get("Modality") or ""),
        description=str(content.get("SeriesDescription") or content.get("ProtocolName") or ""),
        series_number=optional(content, "SeriesNumber", whole),
        derived=image_type[:1] == ("DERIVED",),
        enhanced=GROUPS in content,
        syntax=str(getattr(content.file_meta, "TransferSyntaxUID", "")),
        plane=_plane(path, content),
        frames=max(1, whole(content.get("NumberOfFrames")) or 1),
        bits=whole(content.get("BitsAllocated")) or 0,
        inverted=content.get("PhotometricInterpretation") == "MONOCHROME1",
        table=bool(content.get("ModalityLUTSequence")),
        instance=optional(content, "InstanceNumber", whole) or 0,
    )


def _plane(path: Path, content: Any) -> Plane:
    return Plane(
        path,
        number=0,
        rows=whole(content.get("Rows")) or 0,
        columns=whole(content.get("Columns")) or 0,
        position=_place(content),
        orientation=numbers(content.get("ImageOrientationPatient"), 6),
        spacing_mm=numbers(content.get("PixelSpacing"), 2),
        thickness_mm=thickness_of(content),
        slope=number(content.get("RescaleSlope"), 1.0),
        intercept=number(content.get("RescaleIntercept"), 0.0),
        padding=padding_of(content),
        phases=tuple(optional(content, name, str) or "" for name in PHASES),
        rescaled=all(numbers([content.get(name)], 1) for name in ("RescaleSlope", "RescaleIntercept")),
    )


def _kind(sop_class: str, content: Any) -> Kind:
    if sop_class in SEGMENTATIONS:
        return "segmentation"
    if sop_class == _CONTOURS:
        return "contours"
    return "image" if content.get("Rows") and content.get("Columns") else "other"


def _aside(kind: Kind, sop_class: str, image_type: tuple[str, ...], content: Any) -> str | None:
    """Say what a file is that holds no slice of a scan."""
    if kind in ("segmentation", "contours"):
        return None
    known = next((known for known in _ASIDE if sop_class == known or sop_class.startswith(f"{known}.")), None)
    no_slice = _no_slice(image_type, content) if kind == "image" else "objects without pixels"
    if known == _CAPTURES and no_slice is None and GROUPS not in content:
        return CAPTURES
    return _ASIDE[known] if known else no_slice


def _no_slice(image_type: tuple[str, ...], content: Any) -> str | None:
    """Say what a picture is that is no slice of a scan."""
    if (whole(content.get("SamplesPerPixel")) or 1) != 1 or content.get("PhotometricInterpretation") == "PALETTE COLOR":
        return "colour pictures"
    if "LOCALIZER" in image_type or _is_localiser(str(content.get("SeriesDescription") or "")):
        return "localisers"
    if "MOSAIC" in image_type and _has_tiles(content):
        return MOSAICS
    if GROUPS not in content and not (_place(content) and numbers(content.get("PixelSpacing"), 2)):
        return _FLAT if content.get("Modality") in _FLAT_MODALITIES else _UNPLACED
    return None


def _has_tiles(content: Any) -> bool:
    """Whether a picture that is called a mosaic has more than one tile: it is larger than what was acquired.

    Some programs cut mosaics into slices and leave the ImageType as it was.
    """
    if GROUPS in content:
        return False  # each frame says where it lies
    acquired = max(numbers(content.get("AcquisitionMatrix"), 4), default=0)
    return max(whole(content.get("Rows")) or 0, whole(content.get("Columns")) or 0) > acquired


def _is_localiser(description: str) -> bool:
    words = description.lower()
    return any(word in words for word in ("localizer", "localiser", "scout", "topogram", "surview", "scanogram"))


def _place(content: Any) -> tuple[float, ...]:
    """Return the position of the first pixel; empty where position or orientation are not known."""
    if not numbers(content.get("ImageOrientationPatient"), 6):
        return ()
    return numbers(content.get("ImagePositionPatient"), 3)
