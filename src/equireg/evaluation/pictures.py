"""One slice of the best, the median and the worst case, for the report to draw."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from nibabel.orientations import apply_orientation, io_orientation

from equireg.errors import EquiregError
from equireg.evaluation.pairing import Pair, Predictions, Reference
from equireg.evaluation.scores import Score
from equireg.folders import made_by, read_signature
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import TOLERANCE_MM, Geometry, read_label
from equireg.layouts import RawCase, RawDataset, discover

_logger = logging.getLogger("equireg")


@dataclass(frozen=True)
class Scans:
    """Where the scans of the judged cases are."""

    cases: dict[str, RawCase]
    channels: tuple[str, ...]

    @classmethod
    def of(cls, raw: RawDataset) -> "Scans":
        """List the scans of a raw folder."""
        return cls({case.name: case for case in raw.cases}, raw.channels)


def find_scans(predictions: Predictions, reference: Reference, scans: Path | None) -> Scans | None:
    """Find the scans: those given, else the raw reference's, else what a folder says it was made from.

    Raises:
        EquiregError: if ``scans`` is given and is no raw folder.
    """
    if scans is not None:
        return Scans.of(discover(scans))
    if reference.raw is not None:
        return Scans.of(reference.raw)
    source = predictions.signature.get("source")
    for folder in (reference.root, Path(source) if source else None):
        raw = _raw_source(folder) if folder is not None else None
        if raw is not None and raw != reference.root:  # a folder of masks has no scans in it
            try:
                return Scans.of(discover(raw))
            except EquiregError as error:
                _logger.info("no scans for the pictures: %s", error)
    return None


def _raw_source(folder: Path) -> Path | None:
    """Return a folder that is still there, or in place of a prepared one that from which it was made."""
    if made_by(folder) == "prepare":
        recorded = read_signature(folder, "prepare").get("source")
        return _raw_source(Path(recorded)) if recorded else None
    return folder if folder.is_dir() else None


def choose_cases(scores: Sequence[Score]) -> dict[str, str]:
    """Return case to role, by Dice averaged over regions: best, median and worst, each case once.

    A single case is all three, named as ``"best, median, worst"``; of two, neither is the median.
    """
    ranked = sorted(scores, key=lambda score: (-score.mean_dice, score.case))
    roles = {"best": ranked[0], "median": ranked[len(ranked) // 2], "worst": ranked[-1]}
    if len(ranked) == 2:
        del roles["median"]
    chosen: dict[str, str] = {}
    for role, score in roles.items():
        chosen[score.case] = f"{chosen[score.case]}, {role}" if score.case in chosen else role
    return chosen


def write_picture(
    folder: Path, pair: Pair, role: str, mean_dice: float, *, table: LabelTable, scans: Scans | None
) -> None:
    """Write ``CASE.npz``: the slice with most reference, as one sees it on a viewer.

    Rows run from anterior (or superior) to posterior, columns from the patient's right to the left. Arrays:
    ``reference`` and ``prediction`` [h, w] label values, ``scan`` [C, h, w] float32 with ``channel_names``
    (both absent where there is no scan), ``spacing_mm`` [2] of rows and columns, ``role`` and ``mean_dice``.
    """
    prediction = _canonical(read_label(pair.prediction, pair.geometry), pair.geometry)
    reference = _canonical(read_label(pair.reference, pair.geometry), pair.geometry)
    judged = [value for values in table.judged_regions().values() for value in values]
    axis, index = _choose_slice(np.isin(reference, judged), np.isin(prediction, judged))
    arrays: dict[str, Any] = {
        "reference": _view(reference, axis, index),
        "prediction": _view(prediction, axis, index),
        "spacing_mm": np.array(_view_spacing_mm(pair.geometry, axis)),
        "role": role,
        "mean_dice": mean_dice,
    }
    scan = _read_scan(pair, scans)
    if scan is not None and scans is not None:
        channels = [_view(_canonical(channel, pair.geometry), axis, index) for channel in scan]
        arrays["scan"] = np.stack(channels).astype(np.float32)
        arrays["channel_names"] = np.array(_channel_names(scans.channels, len(channels)))
    with (folder / f"{pair.case}.npz").open("wb") as file:
        np.savez_compressed(file, **arrays)


def _read_scan(pair: Pair, scans: Scans | None) -> np.ndarray | None:
    """Read the scan of a case, [C, X, Y, Z], or None: a picture is no reason to fail an evaluation."""
    case = scans.cases.get(pair.case) if scans is not None else None
    if case is None:
        return None
    try:
        scan, geometry = case.read_image()
    except EquiregError as error:
        _logger.warning("the picture of %s shows no scan: %s", pair.case, error)
        return None
    if geometry.shape != pair.geometry.shape or geometry.corner_distance_mm(pair.geometry) > TOLERANCE_MM:
        _logger.warning("the picture of %s shows no scan: %s lies elsewhere", pair.case, case.images[0])
        return None
    return scan


def _channel_names(declared: Sequence[str], channels: int) -> list[str]:
    """Return one name a channel, by number where the layout declares none or another count."""
    return list(declared) if len(declared) == channels else [f"channel {index}" for index in range(channels)]


def _canonical(array: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Turn native voxels [X, Y, Z] to the nearest RAS+ orientation, without resampling."""
    return apply_orientation(array, io_orientation(geometry.affine_array))


def _choose_slice(reference: np.ndarray, prediction: np.ndarray) -> tuple[int, int]:
    """Return axis and index of the slice to show, of canonical masks [X, Y, Z].

    Axial, unless the scan is a single sagittal or coronal slice; where most reference is, else where most
    prediction is, else the middle.
    """
    flat = [axis for axis in (2, 1, 0) if reference.shape[axis] == 1]
    axis = flat[0] if flat else 2
    others = tuple(other for other in range(3) if other != axis)
    for mask in (reference, prediction):
        if mask.any():
            return axis, int(mask.sum(axis=others).argmax())
    return axis, reference.shape[axis] // 2


def _view(canonical: np.ndarray, axis: int, index: int) -> np.ndarray:
    """Cut one slice, turned as radiologists see it: anterior or superior up, patient's right on the left."""
    return np.ascontiguousarray(np.take(canonical, index, axis=axis)[::-1, ::-1].T)


def _view_spacing_mm(geometry: Geometry, axis: int) -> tuple[float, float]:
    """Return the pixel size of rows and columns of ``_view``."""
    spacing = np.zeros(3)
    spacing[io_orientation(geometry.affine_array)[:, 0].astype(int)] = geometry.spacing_mm
    columns, rows = (float(spacing[other]) for other in range(3) if other != axis)
    return rows, columns
