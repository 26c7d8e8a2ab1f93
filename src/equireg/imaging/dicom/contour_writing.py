"""Label values as contours (RTSTRUCT) in the planes of the series that they were predicted on."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from equireg._version import __version__
from equireg.imaging.dicom.library import pydicom
from equireg.imaging.dicom.object_writing import write_object
from equireg.imaging.dicom.outlines import outlines
from equireg.imaging.dicom.seg_writing import MAKER, Told, segment_name
from equireg.imaging.dicom.series import Series
from equireg.imaging.placing import LPS_TO_RAS

_CLASS = "1.2.840.10008.5.1.4.1.1.481.3"
_STUDY_CLASS = "1.2.840.10008.3.1.2.3.1"
_COPIED = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"),
    *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
    *("FrameOfReferenceUID", "PositionReferenceIndicator", "StudyDescription"),
)
_DIGITS = 4
_COLOURS = ((220, 60, 60), (60, 160, 60), (60, 90, 220), (220, 170, 40), (170, 60, 200), (40, 180, 190))
_SERIES = 950
"""What is added to the number of the source series for that of the contours."""


def write_contours(path: Path, values: np.ndarray, series: Series, told: Told) -> None:
    """Write label values [X, Y, Z] on the grid of a series as RTSTRUCT; completely or not at all.

    There is a region for each label but the background. A contour runs half-way between the centres of voxels inside
    and outside; a hole is joined with it by a keyhole. Patient and study are those of the source.

    Raises:
        EquiregError: if a package is missing, the source lacks what contours must copy, or the disk is full.
    """

    def make(sources: list[Any]) -> Any:
        made = _header(sources[0])
        _add_references(made, series, sources)
        _add_regions(made, values, series, sources, told)
        return made

    write_object(path, series, "contours", make)


def _header(source: Any) -> Any:
    """Return a new file of the source's patient and study."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import UID, ImplicitVRLittleEndian, generate_uid

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = UID(_CLASS), generate_uid()
    meta.TransferSyntaxUID = ImplicitVRLittleEndian  # the explicit one holds no contour of more than 64 kB
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    for name in _COPIED:
        if name in source:
            setattr(made, name, source.data_element(name).value)
    now = datetime.now()
    made.SOPClassUID, made.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    made.Modality, made.SeriesInstanceUID = "RTSTRUCT", generate_uid()
    made.SeriesNumber = int(source.get("SeriesNumber") or 0) + _SERIES
    made.SeriesDescription, made.OperatorsName = "equireg contours", ""  # both must be there; nobody operated
    made.Manufacturer, made.ManufacturerModelName, made.SoftwareVersions = MAKER, MAKER, __version__
    made.StructureSetLabel = MAKER
    made.StructureSetDate = made.InstanceCreationDate = now.strftime("%Y%m%d")
    made.StructureSetTime = made.InstanceCreationTime = now.strftime("%H%M%S")
    made.InstanceNumber = 1
    made.ApprovalStatus = "UNAPPROVED"
    return made


def _image(series: Series, sources: list[Any], place: int) -> Any:
    """Return the reference to the image of a slice."""
    frame = series.frames[place]
    item = _item(
        ReferencedSOPClassUID=sources[frame.file].SOPClassUID,
        ReferencedSOPInstanceUID=sources[frame.file].SOPInstanceUID,
    )
    if int(sources[frame.file].get("NumberOfFrames") or 1) > 1:
        item.ReferencedFrameNumber = frame.number + 1
    return item


def _add_references(made: Any, series: Series, sources: list[Any]) -> None:
    images = [_image(series, sources, place) for place in range(len(series.frames))]
    of_series = _item(SeriesInstanceUID=sources[0].SeriesInstanceUID, ContourImageSequence=images)
    study = _item(
        ReferencedSOPClassUID=_STUDY_CLASS,
        ReferencedSOPInstanceUID=sources[0].StudyInstanceUID,
        RTReferencedSeriesSequence=[of_series],
    )
    frame = _item(FrameOfReferenceUID=sources[0].FrameOfReferenceUID, RTReferencedStudySequence=[study])
    made.ReferencedFrameOfReferenceSequence = [frame]


def _add_regions(made: Any, values: np.ndarray, series: Series, sources: list[Any], told: Told) -> None:
    made.StructureSetROISequence, made.ROIContourSequence, made.RTROIObservationsSequence = [], [], []
    labels = told.labels
    for number, (value, name) in enumerate(zip(labels.values[1:], labels.names[1:], strict=True), start=1):
        made.StructureSetROISequence.append(
            _item(
                ROINumber=number,
                ReferencedFrameOfReferenceUID=sources[0].FrameOfReferenceUID,
                ROIName=segment_name(name),
                ROIGenerationAlgorithm="AUTOMATIC",
            )
        )
        colour = labels.colours.get(value, _COLOURS[(number - 1) % len(_COLOURS)])
        contours = list(_contours(values == value, series, sources))
        region = _item(ReferencedROINumber=number, ROIDisplayColor=list(colour))
        if contours:
            region.ContourSequence = contours
        made.ROIContourSequence.append(region)
        made.RTROIObservationsSequence.append(
            _item(ObservationNumber=number, ReferencedROINumber=number, RTROIInterpretedType="", ROIInterpreter="")
        )


def _contours(mask: np.ndarray, series: Series, sources: list[Any]) -> Iterator[Any]:
    to_lps = LPS_TO_RAS @ series.geometry.affine_array
    slices = series.geometry.slices or range(mask.shape[2])
    for place in np.flatnonzero(mask.any(axis=(0, 1))).tolist():
        for points in outlines(mask[:, :, place]):
            voxels = np.column_stack([points, np.full(len(points), slices[place]), np.ones(len(points))])
            points_mm = (voxels @ to_lps.T)[:, :3]
            yield _item(
                ContourImageSequence=[_image(series, sources, place)],
                ContourGeometricType="CLOSED_PLANAR",
                NumberOfContourPoints=len(points),
                ContourData=[f"{number:.{_DIGITS}f}" for number in points_mm.ravel()],
            )


def _item(**values: Any) -> Any:
    made = pydicom().Dataset()
    for name, value in values.items():
        setattr(made, name, value)
    return made
