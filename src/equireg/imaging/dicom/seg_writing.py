"""Label values as a DICOM segmentation (DICOM-SEG) that refers to the series that they were predicted on."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from equireg._version import __version__
from equireg.errors import EquiregError
from equireg.imaging.dicom.codes import UNKNOWN, Code, SegmentCode
from equireg.imaging.dicom.heads import GROUPS
from equireg.imaging.dicom.library import library
from equireg.imaging.dicom.object_writing import write_object
from equireg.imaging.dicom.series import Series
from equireg.imaging.labels import LabelTable

MAKER = "equireg"
_SERIES = 900
"""What is added to the number of the source series for that of the mask."""
_LONGEST = 64


@dataclass(frozen=True)
class Told:
    """What a DICOM file says of its segments and of what drew them."""

    labels: LabelTable
    codes: Mapping[str, SegmentCode]
    """Name of a label to what it shows."""
    method: str
    """Name of the method that trained the model."""


def write_segmentation(path: Path, values: np.ndarray, series: Series, told: Told) -> None:
    """Write label values [X, Y, Z] on the grid of a series as binary DICOM-SEG; completely or not at all.

    There is a segment for each label but the background, in their order and with their names. Patient and study are
    those of the source, as the standard wants it.

    Raises:
        EquiregError: if a package is missing, the source lacks what a segmentation must copy, or the disk is full.
    """
    hd = library("highdicom", "--format dicom-seg")
    write_object(path, series, "a DICOM segmentation", lambda sources: _segmentation(hd, values, series, sources, told))


def _segmentation(hd: Any, values: np.ndarray, series: Series, sources: list[Any], told: Told) -> Any:
    if len(sources) > 1 and any(GROUPS in source for source in sources):
        raise EquiregError(
            f"{series.files[0]}: its series lies in {len(sources)} multi-frame files; expected single slices or one "
            "multi-frame file for a DICOM segmentation. Give --format rtstruct or nifti, or export it as one file."
        )
    algorithm = hd.AlgorithmIdentificationSequence(
        name=MAKER,
        family=_coded(hd, Code("123110", "Artificial Intelligence", "DCM")),
        version=__version__,
        parameters={"method": told.method},
    )
    descriptions = [
        hd.seg.SegmentDescription(
            segment_number=number,
            segment_label=segment_name(name),
            segmented_property_category=_coded(hd, code.category),
            segmented_property_type=_coded(hd, code.type),
            algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=algorithm,
        )
        for number, name in enumerate(told.labels.names[1:], start=1)
        for code in (told.codes.get(name, UNKNOWN),)
    ]
    return hd.seg.Segmentation(
        source_images=sources,
        pixel_array=frames_of(values, series, sources, told.labels),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=descriptions,
        series_instance_uid=hd.UID(),
        series_number=int(sources[0].get("SeriesNumber") or 0) + _SERIES,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer=MAKER,
        manufacturer_model_name=MAKER,
        software_versions=__version__,
        device_serial_number="0",
        omit_empty_frames=bool(values.any()),
        content_description="Automatic segmentation, not checked by a person",
        series_description="equireg segmentation",
    )


def segment_name(label: str) -> str:
    """Return what a label is called in DICOM, where a backslash would begin another name."""
    return label.replace("\\", "/")[:_LONGEST]


def _coded(hd: Any, code: Code) -> Any:
    return hd.sr.CodedConcept(value=code.value, scheme_designator=code.scheme, meaning=code.meaning)


def frames_of(values: np.ndarray, series: Series, sources: list[Any], labels: LabelTable) -> np.ndarray:
    """Return numbers of segments as the source keeps its pixels: [frames, rows, columns], in its own order."""
    number_of = np.zeros(int(max(labels.values)) + 1, dtype=np.uint16)
    for number, value in enumerate(labels.values[1:], start=1):
        number_of[value] = number
    numbers = number_of[values]
    multiple = len(sources) == 1
    count = int(sources[0].get("NumberOfFrames") or 1) if multiple else len(sources)
    kind = np.uint8 if labels.classes <= 256 else np.uint16
    frames = np.zeros((count, values.shape[1], values.shape[0]), dtype=kind)
    for place, frame in enumerate(series.frames):
        frames[frame.number if multiple else frame.file] = numbers[:, :, place].T
    return frames
