"""The evaluation folder: scores, summary, labels and pictures, their names, writers and readers.

metrics.csv          a row a case, region and metric
summary.json         means and spreads over the cases
labels.json          what the label values mean
quality.csv          case, quality, Dice: how far predictions were trusted, where `equireg predict` said so
pictures/CASE.npz    one slice of a few cases
made_by.json         the signature, with the run behind the predictions
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from equireg import disk
from equireg.errors import EquiregError
from equireg.folders import signature, tables
from equireg.folders.archives import NPZ_ERRORS
from equireg.folders.label_tables import read_label_table
from equireg.imaging.labels import LabelTable

VERB = "evaluate"
METRICS_CSV = "metrics.csv"
SUMMARY = "summary.json"
LABELS = "labels.json"
QUALITY = "quality.csv"
PICTURES = "pictures"
VIEWS = "views"
"""Fact in the signature: the options of `equireg predict` that decide its masks and what a quality means."""
SAME_PATIENT = signature.SAME_PATIENT
COLUMNS = ("case", "region", "metric", "value")
_QUALITY_COLUMNS = ("case", "quality", "dice")
ROLES = ("best", "median", "worst")
"""Why a case has a picture, best first; one that was asked for by name has the role ``chosen``."""
SEALED = (METRICS_CSV, SUMMARY, LABELS, QUALITY)
"""Files whose digests stand in the signature."""
_REMEDY = "Run `equireg evaluate` again."

Scores = Mapping[tuple[str, str, str], float]
"""(case, region, metric) to value; NaN where the metric has no value."""


@dataclass(frozen=True)
class Picture:
    """One slice of a case with both masks, as one sees it on a viewer: rows from anterior (or superior) on."""

    case: str
    role: str
    """of ``ROLES`` by mean Dice, or chosen; several joined by a comma where cases are few"""
    reference: np.ndarray
    """label values [h, w]"""
    prediction: np.ndarray
    """label values [h, w]"""
    spacing_mm: tuple[float, float]
    """distance between rows and between columns"""
    dice: float
    """mean over the regions of the whole case, not of this slice; NaN if unknown"""
    scan: np.ndarray
    """float32 [C, h, w]; zeros with one channel where there was no scan"""
    channels: tuple[str, ...] = ()
    """names of the scan's channels; empty where there was no scan"""


def read_signature(folder: Path) -> dict[str, Any]:
    """Read ``made_by.json`` of a finished evaluation.

    Raises:
        EquiregError: if the folder is missing, unsigned, of another verb or of another format.
    """
    return signature.read_signature(folder, VERB)


def patients_of(cases: Iterable[str], facts: Mapping[str, Any]) -> list[str]:
    """Return whose scan each case is, as the first of that patient's cases; a case of nobody known is its own.

    Args:
        cases: their names.
        facts: content of the folder's ``made_by.json``; those of earlier versions know of no patients.
    """
    owners = {case: several[0] for several in facts.get(SAME_PATIENT, ()) for case in several}
    return [owners.get(case, case) for case in cases]


def write_scores(folder: Path, scores: Scores) -> None:
    """Write ``metrics.csv``; a value that is NaN is an empty cell."""
    tables.write_table(folder / METRICS_CSV, COLUMNS, ((*key, float(value)) for key, value in scores.items()))


def read_scores(folder: Path) -> dict[tuple[str, str, str], float]:
    """Read ``metrics.csv``: (case, region, metric) to value, NaN where the cell is empty.

    Raises:
        EquiregError: if the file is missing or empty, lacks a column or a name, names a score twice, or was changed.
    """
    path = folder / METRICS_CSV
    scores: dict[tuple[str, str, str], float] = {}
    for line, row in tables.read_table(path, COLUMNS, _REMEDY):
        case, region, metric = row["case"], row["region"], row["metric"]
        if not (case and region and metric):
            raise EquiregError(f"{path}: line {line} lacks a case, region or metric; expected all three. {_REMEDY}")
        if (case, region, metric) in scores:
            raise EquiregError(f"{path}: line {line} gives {metric} of {case}, {region} a second time. {_REMEDY}")
        scores[case, region, metric] = tables.number(path, line, "value", row["value"], _REMEDY)
    signature.check_digest(path, _REMEDY)
    return scores


def write_quality(folder: Path, pairs: Mapping[str, tuple[float, float]]) -> None:
    """Write ``quality.csv``: case to its quality and its mean Dice over the regions; no file where there is none."""
    if not pairs:
        return
    tables.write_table(folder / QUALITY, _QUALITY_COLUMNS, ((case, *pair) for case, pair in pairs.items()))


def read_quality(folder: Path) -> dict[str, tuple[float, float]]:
    """Read ``quality.csv``: case to its quality and its mean Dice over the regions.

    Raises:
        EquiregError: if the file is missing, damaged or was changed.
    """
    path = folder / QUALITY
    pairs: dict[str, tuple[float, float]] = {}
    for line, row in tables.read_table(path, _QUALITY_COLUMNS, _REMEDY):
        quality, dice = (tables.number(path, line, name, row[name], _REMEDY) for name in _QUALITY_COLUMNS[1:])
        if not (0 <= quality <= 1 and 0 <= dice <= 1):
            raise EquiregError(f"{path}: line {line} has {quality} and {dice}; expected numbers from 0 to 1. {_REMEDY}")
        pairs[row["case"]] = quality, dice
    signature.check_digest(path, _REMEDY)
    return pairs


def write_summary(folder: Path, summary: Mapping[str, Any]) -> None:
    """Write ``summary.json``."""
    disk.write_json(folder / SUMMARY, summary)


def read_summary(folder: Path) -> dict[str, Any]:
    """Read ``summary.json``.

    Raises:
        EquiregError: if the file is missing or damaged.
    """
    path = folder / SUMMARY
    content = disk.read_json(path)
    problem = _problem_of_summary(content)
    if problem is not None:
        raise EquiregError(f"{path}: is damaged ({problem}). {_REMEDY}")
    signature.check_digest(path, _REMEDY)
    return content


def write_labels(folder: Path, labels: LabelTable) -> None:
    """Write ``labels.json``."""
    disk.write_json(folder / LABELS, labels.as_dict())


def read_labels(folder: Path) -> LabelTable:
    """Read ``labels.json``.

    Raises:
        EquiregError: if the file is missing or damaged.
    """
    table = read_label_table(folder / LABELS, _REMEDY)
    signature.check_digest(folder / LABELS, _REMEDY)
    return table


def write_pictures(folder: Path, pictures: Iterable[Picture]) -> None:
    """Write ``pictures/CASE.npz`` for each picture; the folder is there also where there is none.

    Raises:
        EquiregError: if the disk is full or not writable.
    """
    with disk.disk_errors(folder / PICTURES):
        (folder / PICTURES).mkdir()
        for picture in pictures:
            arrays: dict[str, Any] = {
                "reference": picture.reference,
                "prediction": picture.prediction,
                "spacing_mm": np.array(picture.spacing_mm),
                "role": picture.role,
                "mean_dice": picture.dice,
            }
            if picture.channels:
                arrays |= {"scan": picture.scan.astype(np.float32), "channel_names": np.array(picture.channels)}
            with (folder / PICTURES / f"{picture.case}.npz").open("wb") as file:
                np.savez_compressed(file, **arrays)


def read_pictures(folder: Path) -> tuple[Picture, ...]:
    """Read every picture of an evaluation, best case first.

    Raises:
        EquiregError: if a file is broken.
    """
    pictures = [_read_picture(path) for path in sorted((folder / PICTURES).glob("*.npz"))]
    return tuple(sorted(pictures, key=lambda picture: (_rank(picture.role), picture.case)))


def _rank(role: str) -> int:
    return next((rank for rank, name in enumerate(ROLES) if name in role), len(ROLES))


def _read_picture(path: Path) -> Picture:
    remedy = "Run `equireg evaluate` again, or remove the file."
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            content = {name: arrays[name] for name in arrays.files}
        picture = Picture(
            case=path.stem,
            role=", ".join(np.atleast_1d(content["role"]).astype(str)),
            reference=content["reference"],
            prediction=content["prediction"],
            spacing_mm=(float(content["spacing_mm"][0]), float(content["spacing_mm"][1])),
            dice=float(content.get("mean_dice", math.nan)),
            scan=content.get("scan", np.zeros((1, *content["reference"].shape))).astype(np.float32),
            channels=tuple(np.atleast_1d(content.get("channel_names", ())).astype(str)),
        )
    except NPZ_ERRORS as error:
        raise EquiregError(f"{path}: is not a picture of a case ({str(error)[:200]}). {remedy}") from error
    shapes = picture.scan.shape, picture.reference.shape, picture.prediction.shape
    if picture.scan.ndim != 3 or not shapes[0][1:] == shapes[1] == shapes[2]:
        raise EquiregError(
            f"{path}: scan, reference and prediction have the shapes {shapes}; "
            f"expected [C, h, w] and twice [h, w]. {remedy}"
        )
    return picture


def _problem_of_summary(content: Any) -> str | None:
    """Say what is wrong with the content of ``summary.json``; None where it is as ``evaluate`` writes it."""
    if not isinstance(content, dict) or not isinstance(content.get("cases"), int):
        return "it has no number of cases"
    for name in ("regions", "mean"):
        if not isinstance(content.get(name), dict):
            return f"its {name} are no table"
    for region, metrics in content["regions"].items():
        if not isinstance(metrics, dict) or not all(
            isinstance(row, dict) and "mean" in row for row in metrics.values()
        ):
            return f"its region {region} has no means"
    return None
