"""One slice of the best, the median and the worst case, for the report to draw."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nibabel.orientations import apply_orientation, io_orientation

from equireg.errors import EquiregError
from equireg.evaluation.pairing import Pair
from equireg.evaluation.predictions import Predictions, raw_source
from equireg.evaluation.references import Reference
from equireg.evaluation.scores import Score, shown_regions
from equireg.evaluation.voxels import LabelVoxels
from equireg.folders import source_of
from equireg.folders.evaluation import Picture
from equireg.imaging.labels import LabelTable
from equireg.imaging.limits import LIMITS, Limits
from equireg.imaging.turning import fits
from equireg.imaging.volume import Geometry
from equireg.layouts import RawCase, RawDataset, rediscover, with_limits

_logger = logging.getLogger("equireg")


@dataclass(frozen=True)
class Scans:
    """Where the scans of the judged cases are."""

    cases: dict[str, RawCase]
    channels: tuple[str, ...]

    @classmethod
    def of(cls, raw: RawDataset, limits: Limits = LIMITS) -> "Scans":
        """List the scans of a raw folder, to be read within these limits."""
        return cls({case.name: case for case in with_limits(raw.cases, limits)}, raw.channels)


def find_scans(predictions: Predictions, reference: Reference, scans: Path | None) -> Scans | None:
    """Find the scans: those given, else the raw reference's, else what a folder says it was made from.

    Raises:
        EquiregError: if ``scans`` is given and is no raw folder.
    """
    if scans is not None:
        return Scans.of(rediscover(scans, predictions.origins, predictions.options), predictions.limits)
    beside = reference.scans()
    if beside is not None:
        return Scans.of(beside, predictions.limits)
    for folder in (reference.root, source_of(predictions.root, predictions.signature)):
        raw = raw_source(folder) if folder is not None else None
        if raw is not None and raw != reference.root:  # a folder of masks has no scans in it
            try:
                return Scans.of(rediscover(raw, predictions.origins, predictions.options), predictions.limits)
            except EquiregError as error:
                _logger.info("no scans for the pictures: %s", error)
    if predictions.signature:
        _logger.info("the pictures show masks alone; give --scans RAW, the raw folder, to show the scans below them")
    return None


def check_asked(asked: Sequence[str], cases: Sequence[str]) -> None:
    """Refuse pictures of cases that are not evaluated.

    Raises:
        EquiregError: names them.
    """
    unknown = sorted(set(asked) - set(cases))
    if unknown:
        commas = [case for case in cases if "," in case]
        how = (
            f" A name with a comma is given in brackets: --pictures '{json.dumps(commas[:1], ensure_ascii=False)}'."
            if commas
            else ""
        )
        raise EquiregError(
            f"pictures of {', '.join(unknown)} are asked for; expected cases that have a prediction and a mask.{how}"
        )


def choose_cases(scores: Sequence[Score]) -> dict[str, str]:
    """Return case to role, by Dice averaged over the regions that are shown: best, median and worst, each case once.

    A single case is all three, named as ``"best, median, worst"``; of two, neither is the median.
    """
    regions = shown_regions(scores, "dice")
    ranked = sorted(scores, key=lambda score: (-score.mean_dice(regions), score.case))
    roles = {"best": ranked[0], "median": ranked[len(ranked) // 2], "worst": ranked[-1]}
    if len(ranked) == 2:
        del roles["median"]
    chosen: dict[str, str] = {}
    for role, score in roles.items():
        chosen[score.case] = f"{chosen[score.case]}, {role}" if score.case in chosen else role
    return chosen


def make_picture(pair: Pair, role: str, dice: float, table: LabelTable, scans: Scans | None) -> Picture:
    """Draw the slice with most reference, as one sees it on a viewer.

    Rows run from anterior (or superior) to posterior, columns from the patient's right to the left.
    """
    axis, index = _choose_slice(pair, table)
    views = [
        _view(_canonical(mask.read(pair.geometry), pair.geometry), axis, index)
        for mask in (pair.reference, pair.prediction)
    ]
    scan, channels = np.zeros((1, *views[0].shape), np.float32), ()
    voxels = _read_scan(pair, scans)
    if voxels is not None and scans is not None:
        scan = np.stack([_view(_canonical(channel, pair.geometry), axis, index) for channel in voxels])
        channels = tuple(_channel_names(scans.channels, len(scan)))
    spacing_mm = _view_spacing_mm(pair.geometry, axis)
    return Picture(pair.case, role, views[0], views[1], spacing_mm, dice, scan.astype(np.float32), channels)


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
    found = fits(geometry, pair.geometry)
    if len(found) != 1:
        _logger.warning("the picture of %s shows no scan: %s lies elsewhere", pair.case, case.images[0])
        return None
    return found[0].turn.to_scan(scan)


def _channel_names(declared: Sequence[str], channels: int) -> list[str]:
    """Return one name a channel, by number where the layout declares none or another count."""
    return list(declared) if len(declared) == channels else [f"channel {index}" for index in range(channels)]


def _canonical(array: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Turn native voxels [X, Y, Z] to the nearest RAS+ orientation, without resampling."""
    return apply_orientation(array, io_orientation(geometry.affine_array))


def _choose_slice(pair: Pair, table: LabelTable) -> tuple[int, int]:
    """Return axis and index of the slice to show, in the canonical orientation.

    Axial, unless the scan is a single sagittal or coronal slice; where most reference is, else where most
    prediction is, else the middle.
    """
    judged = {value for values in table.judged_regions().values() for value in values}
    axis, size = 2, 1
    for mask in (pair.reference, pair.prediction):
        voxels = LabelVoxels.read(mask, pair.geometry)
        codes = _canonical(voxels.codes, pair.geometry)
        axis = next((axis for axis in (2, 1, 0) if codes.shape[axis] == 1), 2)
        size = codes.shape[axis]
        members = [voxels.code_of[value] for value in judged if value in voxels.code_of]
        counts = [sum(int(np.count_nonzero(part == code)) for code in members) for part in np.moveaxis(codes, axis, 0)]
        if any(counts):
            return axis, int(np.argmax(counts))
    return axis, size // 2


def _view(canonical: np.ndarray, axis: int, index: int) -> np.ndarray:
    """Cut one slice, turned as radiologists see it: anterior or superior up, patient's right on the left."""
    return np.ascontiguousarray(np.take(canonical, index, axis=axis)[::-1, ::-1].T)


def _view_spacing_mm(geometry: Geometry, axis: int) -> tuple[float, float]:
    """Return the pixel size of rows and columns of ``_view``."""
    spacing = np.zeros(3)
    spacing[io_orientation(geometry.affine_array)[:, 0].astype(int)] = geometry.spacing_mm
    columns, rows = (float(spacing[other]) for other in range(3) if other != axis)
    return rows, columns
