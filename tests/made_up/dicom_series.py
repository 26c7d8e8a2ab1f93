"""DICOM series, segmentations and contours of small phantoms, for the tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR = "1.2.840.10008.5.1.4.1.1.4.1"
RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
NAME, PATIENT, BORN = "Planted^Patricia", "PLANTED-4711", "19560229"
HOSPITAL = "Plantedhaven Hospital"
LPS = np.diag([-1.0, -1.0, 1.0])


def uid(*words: object) -> str:
    """Return a UID that is always the same for the same words."""
    return str(generate_uid(entropy_srcs=[str(word) for word in words]))


@dataclass
class Phantom:
    """One series: stored numbers [columns, rows, slices] and where they lie, LPS mm."""

    stored: np.ndarray
    row: Sequence[float] = (1, 0, 0)
    column: Sequence[float] = (0, 1, 0)
    origin: Sequence[float] = (-10.0, -20.0, 30.0)
    spacing_mm: tuple[float, float, float] = (0.8, 1.2, 2.5)
    """columns, rows, slices"""
    patient: str = PATIENT
    study: str = "study"
    series: int = 3
    description: str = "Abdomen"
    more: Mapping[str, Any] = field(default_factory=dict)
    """further elements of every file"""

    @property
    def affine(self) -> np.ndarray:
        """Voxel to RAS mm, written down from the definition (PS3.3, C.7.6.2.1.1), apart from the code under test."""
        affine = np.eye(4)
        x, y, z = self.spacing_mm
        affine[:3, 0], affine[:3, 1] = np.array(self.row) * x, np.array(self.column) * y
        affine[:3, 2] = np.cross(self.row, self.column) * z
        affine[:3, 3] = self.origin
        return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine

    def position(self, place: int) -> list[float]:
        step = np.cross(self.row, self.column) * self.spacing_mm[2]
        return [round(float(value), 6) for value in np.array(self.origin) + place * step]


def phantom(shape: tuple[int, int, int] = (12, 10, 6), seed: int = 0, **changes: Any) -> Phantom:
    """Return a phantom whose voxels all differ, so that a turned or mirrored axis shows."""
    stored = np.random.default_rng(seed).permutation(int(np.prod(shape))).astype(np.int16).reshape(shape)
    return Phantom(stored, **changes)


def base(one: Phantom, sop_class: str, *words: object) -> FileDataset:
    """Return a file with patient, study and series, and with everything that names the patient."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(uid(one.patient, one.study, one.series, *words))
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    made.SOPClassUID, made.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    made.StudyInstanceUID = uid(one.patient, one.study)
    made.SeriesInstanceUID = uid(one.patient, one.study, one.series)
    made.FrameOfReferenceUID = uid(one.patient, one.study, "frame")
    made.PatientName, made.PatientID, made.PatientBirthDate, made.PatientSex = NAME, one.patient, BORN, "F"
    made.InstitutionName, made.AccessionNumber, made.ReferringPhysicianName = HOSPITAL, "ACC-PLANTED", NAME
    made.StudyDate, made.StudyTime, made.ContentDate, made.ContentTime = "20010203", "101112", "20010203", "101112"
    made.StudyID, made.Manufacturer, made.PositionReferenceIndicator = "1", "made up", ""
    made.Modality = "MR" if sop_class in (MR, ENHANCED_MR) else "CT"
    made.SeriesNumber, made.SeriesDescription = one.series, one.description
    made.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    return made


def slices(one: Phantom, sop_class: str = CT) -> list[FileDataset]:
    """Return a file a slice, in order."""
    made = []
    for place in range(one.stored.shape[2]):
        file = base(one, sop_class, place)
        file.InstanceNumber = place + 1
        file.ImagePositionPatient = one.position(place)
        file.ImageOrientationPatient = [float(value) for value in (*one.row, *one.column)]
        file.PixelSpacing, file.SliceThickness = [one.spacing_mm[1], one.spacing_mm[0]], one.spacing_mm[2]
        _pixels(file, one.stored[:, :, place].T)
        file.RescaleSlope, file.RescaleIntercept = 1, 0
        for name, value in one.more.items():
            setattr(file, name, value)
        made.append(file)
    return made


def _pixels(file: Dataset, stored: np.ndarray) -> None:
    """Write stored numbers [.., rows, columns]."""
    file.Rows, file.Columns = stored.shape[-2:]
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.BitsAllocated = file.BitsStored = stored.dtype.itemsize * 8
    file.HighBit, file.PixelRepresentation = file.BitsStored - 1, int(stored.dtype.kind == "i")
    file.PixelData = np.ascontiguousarray(stored).tobytes()
    file["PixelData"].VR = "OW"


def write(folder: Path, files: Sequence[Dataset], *, shuffled: bool = True, ending: str = "") -> list[Path]:
    """Write files under names that say nothing of their order."""
    folder.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(3).permutation(len(files)) if shuffled else np.arange(len(files))
    paths = [folder / f"IM{int(number):04d}{ending}" for number in order]
    for path, file in zip(paths, files, strict=True):
        file.save_as(path, enforce_file_format=True)
    return paths


def write_series(folder: Path, one: Phantom | None = None, sop_class: str = CT, **changes: Any) -> Phantom:
    """Write a phantom as a series of slices."""
    one = one or phantom(**changes)
    write(folder, slices(one, sop_class))
    return one


def enhanced(one: Phantom, slopes: Sequence[float] = ()) -> FileDataset:
    """Return one multi-frame file, its frames in reverse order, each with a rescale slope of its own where given."""
    made = base(one, ENHANCED_MR, "enhanced")
    count = one.stored.shape[2]
    order = list(reversed(range(count)))
    _pixels(made, np.stack([one.stored[:, :, place].T for place in order]))
    made.NumberOfFrames = count
    shared, measures, turned = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [one.spacing_mm[1], one.spacing_mm[0]]
    measures.SliceThickness = measures.SpacingBetweenSlices = one.spacing_mm[2]
    turned.ImageOrientationPatient = [float(value) for value in (*one.row, *one.column)]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [turned]
    made.SharedFunctionalGroupsSequence = [shared]
    groups = []
    for place in order:
        group, place_of, value = Dataset(), Dataset(), Dataset()
        place_of.ImagePositionPatient = one.position(place)
        group.PlanePositionSequence = [place_of]
        value.RescaleSlope, value.RescaleIntercept, value.RescaleType = (slopes[place] if slopes else 1), 0, "US"
        group.PixelValueTransformationSequence = [value]
        groups.append(group)
    made.PerFrameFunctionalGroupsSequence = groups
    return made


def segmentation(
    sources: Sequence[Dataset], mask: np.ndarray, names: Sequence[str], kind: str = "BINARY", **changes: Any
) -> Dataset:
    """Return a DICOM-SEG by highdicom.

    Args:
        sources: slices in order, or one multi-frame file.
        mask: label values [columns, rows, slices]; segment i is where it is i.
        names: of the segments from 1 on.
        kind: BINARY, LABELMAP or FRACTIONAL.
    """
    import highdicom as hd
    from pydicom.sr.codedict import codes

    descriptions = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=name,
            segmented_property_category=codes.SCT.Tissue,
            segmented_property_type=codes.SCT.Tissue,
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number, name in enumerate(names, 1)
    ]
    pixels = np.moveaxis(mask, 2, 0).transpose(0, 2, 1)  # [slices, rows, columns]
    if kind == "FRACTIONAL":
        pixels = np.stack([pixels == number for number in range(1, len(names) + 1)], axis=-1).astype(np.float32) * 0.5
    made = hd.seg.Segmentation(
        source_images=list(sources),
        pixel_array=pixels if kind == "FRACTIONAL" else pixels.astype(np.uint8),
        segmentation_type=kind,
        segment_descriptions=descriptions,
        series_instance_uid=uid(sources[0].SeriesInstanceUID, "seg", *changes.values()),
        series_number=900,
        sop_instance_uid=uid(sources[0].SeriesInstanceUID, "seg", "instance", *changes.values()),
        instance_number=1,
        manufacturer="made up",
        manufacturer_model_name="made up",
        software_versions="1",
        device_serial_number="1",
        series_description=changes.get("description", "masks"),
        omit_empty_frames=True,
    )
    return made


def contours(sources: Sequence[Dataset], regions: Mapping[str, Sequence[tuple[int, np.ndarray]]]) -> FileDataset:
    """Return an RTSTRUCT.

    Args:
        sources: slices in order.
        regions: name to contours, each the number of its slice and points [n, 3], LPS mm.
    """
    first = sources[0]
    one = Phantom(np.zeros((1, 1, 1), np.int16), patient=str(first.PatientID), series=901, description="contours")
    made = base(one, RTSTRUCT, first.SeriesInstanceUID)
    made.StudyInstanceUID, made.Modality = first.StudyInstanceUID, "RTSTRUCT"
    made.SeriesInstanceUID = uid(first.SeriesInstanceUID, "contours")
    made.StructureSetLabel = "contours"
    series, study, frame = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID = first.SeriesInstanceUID
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = "1.2.840.10008.3.1.2.3.1", first.StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = first.FrameOfReferenceUID, [study]
    made.ReferencedFrameOfReferenceSequence = [frame]
    made.StructureSetROISequence, made.ROIContourSequence = [], []
    for number, (name, drawn) in enumerate(regions.items(), 1):
        roi, region = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = number, name, first.FrameOfReferenceUID
        region.ReferencedROINumber, region.ContourSequence = number, []
        for place, points in drawn:
            contour, image = Dataset(), Dataset()
            image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = CT, sources[place].SOPInstanceUID
            contour.ContourImageSequence, contour.ContourGeometricType = [image], "CLOSED_PLANAR"
            contour.NumberOfContourPoints = len(points)
            contour.ContourData = [f"{value:.4f}" for value in points.ravel()]
            region.ContourSequence.append(contour)
        made.StructureSetROISequence.append(roi)
        made.ROIContourSequence.append(region)
    return made


def compressed(file: FileDataset, syntax: str, plugin: str = "") -> FileDataset:
    """Return a file with its pixels compressed."""
    file.compress(syntax, encoding_plugin=plugin, generate_instance_uid=False)
    return file


def read_back(path: Path) -> FileDataset:
    return pydicom.dcmread(path)
