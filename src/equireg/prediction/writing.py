"""Predicted masks on disk: one writer for each format, and which format a scan's mask gets."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from equireg import disk
from equireg.config import PredictConfig
from equireg.errors import EquiregError
from equireg.folders import predictions
from equireg.imaging import volume
from equireg.imaging.dicom.codes import SegmentCode, codes_of
from equireg.imaging.dicom.contour_writing import write_contours
from equireg.imaging.dicom.seg_writing import Told, write_segmentation
from equireg.imaging.dicom.series import Series
from equireg.imaging.formats import extension_of
from equireg.imaging.labels import LabelTable
from equireg.imaging.nrrd_writing import check_straight, is_straight, write_nrrd
from equireg.imaging.picture_writing import check_flat, write_picture
from equireg.imaging.pictures import is_picture
from equireg.imaging.text_headers import NRRD_ENDINGS
from equireg.imaging.volume import Geometry
from equireg.model import ModelFacts
from equireg.prediction.scans import InputCase, RawScan

log = logging.getLogger("equireg")

_DICOM = {"dicom-seg": write_segmentation, "rtstruct": write_contours}
"""Formats of the archive, which need the series of the scan, and what writes them."""


@dataclass(frozen=True)
class Looks:
    """How masks are written that go with the data set of a model."""

    labels: LabelTable
    masks: str = "grey"
    """how masks of pictures are stored: grey, palette or rgb"""
    pictures: bool = False
    """whether the scans are pictures"""
    codes: Mapping[str, SegmentCode] = field(default_factory=dict)
    """name of a label to what it shows, for DICOM"""
    method: str = "unknown"
    """name of the method that trained the model, for DICOM"""

    @classmethod
    def of(cls, facts: ModelFacts, config: PredictConfig, method: str) -> "Looks":
        """Take it from what a model knows of its data set, and from the options.

        Raises:
            EquiregError: if the file of codes cannot be used.
        """
        told = facts.pictures
        masks = "grey" if told is None else str(told["masks"])
        return cls(facts.labels, masks, told is not None, codes_of(facts.labels, config.codes), method)


def format_of(case: InputCase, looks: Looks, config: PredictConfig) -> str:
    """Return the format of a case's mask: as asked for, or as the scan came in."""
    if config.format != "auto" or config.portal_zip:
        return "nifti" if config.portal_zip else config.format
    if not isinstance(case.scan, RawScan):
        return "png" if looks.pictures else "nifti"
    if case.scan.case.series:
        return "dicom-seg"
    first = case.scan.case.images[0] if case.scan.case.images else Path()
    if is_picture(first):
        return "png"
    return "nrrd" if extension_of(first) in NRRD_ENDINGS else "nifti"


def series_of(case: InputCase) -> Series | None:
    """Return the DICOM series of a scan that came as DICOM, the first one of several channels; None for others."""
    series = case.scan.case.series if isinstance(case.scan, RawScan) else ()
    return series[0] if series else None


def check_formats(cases: Sequence[InputCase], config: PredictConfig) -> None:
    """Refuse a format that cannot hold the masks, before anything is predicted.

    Raises:
        EquiregError: names a scan, and how many more are like it.
    """
    problems = {case.name: problem for case in cases if (problem := _misfit(case, config)) is not None}
    if problems:
        name, problem = next(iter(problems.items()))
        more = f" {len(problems) - 1} more scans are like it." if len(problems) > 1 else ""
        raise EquiregError(f"--format {config.format}: {name} {problem}{more}")


def _misfit(case: InputCase, config: PredictConfig) -> str | None:
    """Return why a scan's mask cannot have the format that is asked for; None where it can."""
    if config.format not in ("png", "nrrd", *_DICOM):
        return None
    try:
        geometry = case.geometry()
    except EquiregError:  # whoever reads its voxels says what is wrong
        return None
    if config.format in _DICOM:
        remedy = "Predict from the DICOM folder itself, or give --format nifti."
        return (
            f"did not come as a DICOM series, to which the mask has to refer. {remedy}" if not series_of(case) else None
        )
    try:
        if config.format == "png":
            check_flat(geometry.shape)
        else:
            check_straight(geometry)
    except EquiregError as error:
        return str(error)
    return None


def write_mask(
    folder: Path, case: InputCase, values: np.ndarray, geometry: Geometry, looks: Looks, config: PredictConfig
) -> Path:
    """Write the label values [X, Y, Z] of a case in the format that it gets; return the file.

    A mask for the archive lies beside the same in NIfTI, which all later verbs read. Where it is not asked for by name
    and cannot be written, the user is told, and the other stays. Where NRRD is not asked for by name and
    cannot hold the mask, it is NIfTI, and the user is told.

    Raises:
        EquiregError: if the format cannot hold them, or the disk is full or not writable.
    """
    chosen = format_of(case, looks, config)
    series = series_of(case)
    if chosen in _DICOM and series is not None:
        try:
            _write_dicom(folder, case.name, values, series, looks, chosen)
        except disk.DiskError:
            raise
        except EquiregError as error:
            if config.format != "auto":
                raise
            log.warning("%s: %s", case.name, error)
    if chosen == "nrrd" and config.format == "auto" and not is_straight(geometry):
        log.warning(
            "%s: has axes that are not at right angles, which NRRD cannot hold, so its mask is NIfTI", case.name
        )
        chosen = "nifti"
    path = predictions.prediction_file(folder, case.name, predictions.ENDINGS.get(chosen, predictions.ENDING))
    if chosen == "png":
        write_picture(path, values, looks.labels, looks.masks)
    elif chosen == "nrrd":
        write_nrrd(path, values, geometry, looks.labels)
    else:
        volume.write_label(path, values, geometry)
    return path


def _write_dicom(folder: Path, case: str, values: np.ndarray, series: Series, looks: Looks, chosen: str) -> None:
    path = predictions.dicom_file(folder, case)
    with disk.disk_errors(path):
        path.parent.mkdir(exist_ok=True)
    _DICOM[chosen](path, values, series, Told(looks.labels, looks.codes, looks.method))
