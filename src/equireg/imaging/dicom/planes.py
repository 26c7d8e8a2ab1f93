"""Where the pictures of DICOM files lie: one plane for each file, or for each frame of a multi-frame file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from equireg.imaging.dicom.elements import numbers, thickness_of
from equireg.imaging.dicom.heads import GROUPS, PHASES, Head, read_dataset
from equireg.imaging.dicom.plane import Plane


class SeriesError(Exception):
    """Why a series or a mask cannot be used: the file, what is wrong with it, and how to mend it."""

    def __init__(self, path: Path, finding: str, remedy: str) -> None:
        super().__init__(f"{path}: {finding} {remedy}")
        self.reason, self.remedy = f"{path}: {finding}", remedy


def planes_of(head: Head) -> list[Plane]:
    """Return the planes of a file.

    Raises:
        SeriesError: if the file does not say where they lie, or how its numbers become values.
    """
    if head.table:
        raise SeriesError(
            head.path, "has a table of values (Modality LUT); expected a rescale slope and intercept.", _AGAIN
        )
    if not head.enhanced:
        if head.frames > 1:
            finding = f"has {head.frames} frames and says of none where it lies; expected an enhanced multi-frame file."
            raise SeriesError(head.path, finding, "Export it as single slices, or convert it to NIfTI.")
        return [_checked(head.plane)]
    try:
        return [_checked(plane) for plane in frames_of(head.path, read_dataset(head.path), head)]
    except (AttributeError, KeyError, IndexError, ValueError, TypeError, EOFError, RecursionError, OSError) as error:
        finding = f"is a multi-frame file whose frames cannot be placed ({' '.join(str(error).split())[:100]})."
        raise SeriesError(head.path, finding, _AGAIN) from error


_AGAIN = "Export the series again, or convert it to NIfTI."


def frames_of(path: Path, dataset: Any, head: Head | None = None) -> Iterator[Plane]:
    """Yield the plane of each frame of a multi-frame file, from the functional groups of its whole header.

    ``head`` counts for values where the groups do not say. ValueError or AttributeError: a frame has no place.
    """
    shared = dataset.get("SharedFunctionalGroupsSequence")
    common = shared[0] if shared else {}
    groups = dataset.get(GROUPS) or []
    if len(groups) != int(dataset.NumberOfFrames):
        raise ValueError(f"it has {int(dataset.NumberOfFrames)} frames and places for {len(groups)}")
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    for number, own in enumerate(groups):
        measures = _group("PixelMeasuresSequence", own, common)
        values = _group("PixelValueTransformationSequence", own, common, required=False)
        yield Plane(
            path,
            number,
            rows,
            columns,
            numbers(_group("PlanePositionSequence", own, common).ImagePositionPatient, 3),
            numbers(_group("PlaneOrientationSequence", own, common).ImageOrientationPatient, 6),
            numbers(measures.PixelSpacing, 2),
            thickness_of(measures),
            float(values.get("RescaleSlope", head.plane.slope if head else 1.0)),
            float(values.get("RescaleIntercept", head.plane.intercept if head else 0.0)),
            head.plane.padding if head else None,
            _phases(own, common),
            bool(values) or (head is not None and head.plane.rescaled),
        )


def _group(name: str, own: Any, common: Any, *, required: bool = True) -> Any:
    """Return the first item of a functional group, the frame's own before the one that all share."""
    found = own.get(name) or common.get(name)
    if found:
        return found[0]
    if required:
        raise ValueError(f"its frames have no {name}")
    return {}


def _phases(own: Any, common: Any) -> tuple[str, ...]:
    """Return in what frames of one place may differ, as ``PHASES`` names it."""
    content = _group("FrameContentSequence", own, common, required=False)
    echo = _group("MREchoSequence", own, common, required=False)
    diffusion = _group("MRDiffusionSequence", own, common, required=False)
    found = {
        "EchoTime": echo.get("EffectiveEchoTime"),
        "TemporalPositionIdentifier": content.get("TemporalPositionIndex"),
        "DiffusionBValue": diffusion.get("DiffusionBValue"),
        "AcquisitionNumber": content.get("FrameAcquisitionNumber"),
    }
    return tuple("" if found.get(name) is None else str(found[name]) for name in PHASES)


def _checked(plane: Plane) -> Plane:
    """Refuse a plane that spans none."""
    if not plane.position or not plane.orientation or not plane.spacing_mm or min(plane.spacing_mm) <= 0:
        finding = "does not say where its pixels lie (position, orientation, spacing between pixels)."
        raise SeriesError(plane.path, finding, _AGAIN)
    row, column = np.array(plane.orientation[:3]), np.array(plane.orientation[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if not np.allclose(lengths, 1, atol=1e-2) or abs(row @ column) > 1e-2:
        finding = f"has rows and columns along {plane.orientation}; expected two unit vectors at right angles."
        raise SeriesError(plane.path, finding, _AGAIN)
    return plane
