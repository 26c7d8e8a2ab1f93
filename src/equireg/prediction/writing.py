"""Predicted masks on disk: one writer for each format, and which format a scan's mask gets."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equireg.config import PredictConfig
from equireg.errors import EquiregError
from equireg.folders import predictions
from equireg.imaging import volume
from equireg.imaging.labels import LabelTable
from equireg.imaging.nrrd_writing import write_nrrd
from equireg.imaging.picture_writing import check_flat, write_picture
from equireg.imaging.pictures import is_picture
from equireg.imaging.volume import Geometry
from equireg.model import ModelFacts
from equireg.prediction.scans import InputCase, RawScan


@dataclass(frozen=True)
class Looks:
    """How masks are written that go with the data set of a model."""

    labels: LabelTable
    masks: str = "grey"
    """how masks of pictures are stored: grey, palette or rgb"""
    pictures: bool = False
    """whether the scans are pictures"""

    @classmethod
    def of(cls, facts: ModelFacts) -> "Looks":
        """Take it from what a model knows of its data set."""
        told = facts.pictures
        return cls(facts.labels, "grey" if told is None else str(told["masks"]), told is not None)


def format_of(case: InputCase, looks: Looks, config: PredictConfig) -> str:
    """Return the format of a case's mask, a key of ``predictions.ENDINGS``: as asked for, or as the scan came in."""
    if config.format != "auto" or config.portal_zip:
        return "nifti" if config.portal_zip else config.format
    if not isinstance(case.scan, RawScan):
        return "png" if looks.pictures else "nifti"
    first = case.scan.case.images[0] if case.scan.case.images else Path()
    if is_picture(first):
        return "png"
    return "nrrd" if first.name.lower().endswith(".nrrd") else "nifti"


def check_formats(cases: Sequence[InputCase], looks: Looks, config: PredictConfig) -> None:
    """Refuse a format that cannot hold the masks, before anything is predicted.

    Raises:
        EquiregError: names a scan, and how many more are like it.
    """
    if config.format != "png":
        return
    problems = {}
    for case in cases:
        try:
            shape = case.geometry().shape
        except EquiregError:  # whoever reads its voxels says what is wrong
            continue
        try:
            check_flat(shape)
        except EquiregError as error:
            problems[case.name] = str(error)
    if problems:
        name, problem = next(iter(problems.items()))
        more = f" {len(problems) - 1} more scans are like it." if len(problems) > 1 else ""
        raise EquiregError(f"--format {config.format}: {name} {problem}{more}")


def write_mask(
    folder: Path, case: InputCase, values: np.ndarray, geometry: Geometry, looks: Looks, config: PredictConfig
) -> Path:
    """Write the label values [X, Y, Z] of a case in the format that it gets; return the file.

    Raises:
        EquiregError: if the format cannot hold them, or the disk is full or not writable.
    """
    chosen = format_of(case, looks, config)
    path = predictions.prediction_file(folder, case.name, predictions.ENDINGS[chosen])
    if chosen == "png":
        write_picture(path, values, looks.labels, looks.masks)
    elif chosen == "nrrd":
        write_nrrd(path, values, geometry, looks.labels)
    else:
        volume.write_label(path, values, geometry)
    return path
