"""Scores that the evaluation portal of BraTS sent back, `Stats_Validation_final.csv`."""

import csv
import logging
import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from equireg.errors import EquiregError
from equireg.evaluation.naming import some_of
from equireg.evaluation.predictions import Predictions
from equireg.evaluation.scores import Score
from equireg.imaging.labels import LabelTable

_LABEL = "Label"
_REGIONS = {"whole": "WT", "core": "TC", "enhancing": "ET"}
_METRICS = {"dice": "Dice", "hd95_mm": "Hausdorff95"}
_COLUMNS = {
    f"{title}_{short}": (region, metric) for region, short in _REGIONS.items() for metric, title in _METRICS.items()
}
_MEAN = "Mean"
_SUMMARY_ROWS = re.compile(r"mean|std\s*dev|std|median|(25|75)\s*quantile", re.IGNORECASE)
_RELATIVE, _ABSOLUTE = 1e-3, 1e-4  # the portal rounds to five figures or so
_REMEDY = "Download it again from the portal."
_logger = logging.getLogger("equireg")


@dataclass(frozen=True)
class PortalTable:
    """Scores of the portal for all cases that were predicted."""

    scores: list[Score]
    """Sorted by case; a cell that is empty or not a finite number is a missing value."""
    table: LabelTable
    """The predictions' own labels."""

    @staticmethod
    def is_one(path: Path) -> bool:
        """Whether a reference is a table, and not a folder."""
        return path.suffix.lower() == ".csv" and not path.is_dir()

    @classmethod
    def read(cls, path: Path, predictions: Predictions) -> "PortalTable":
        """Read the portal's table: a row a case, then rows with the statistics over all cases.

        Args:
            path: the file.
            predictions: what was sent to the portal.

        Raises:
            EquiregError: if the file is not such a table, does not agree with its own mean, or lacks a case; or
                if the predictions have other regions than the portal judges.
        """
        scores = _read_scores(path, predictions)
        return cls(scores, _labels(predictions))


def _labels(predictions: Predictions) -> LabelTable:
    """Return the predictions' label table, whose regions must be those that the portal judges."""
    regions = sorted(predictions.table.judged_regions()) if predictions.table is not None else []
    if predictions.table is None or regions != sorted(_REGIONS):
        raise EquiregError(
            f"{predictions.root}: its labels have the regions {', '.join(regions) or 'of no labels.json'}; the portal "
            f"of BraTS scores {', '.join(_REGIONS)}. Give predictions of a BraTS data set, with their labels.json."
        )
    return predictions.table


def _read_scores(path: Path, predictions: Predictions) -> list[Score]:
    rows = _read_rows(path)
    means = [values for label, values in rows.items() if label.casefold() == _MEAN.casefold()]
    if len(means) != 1:
        raise EquiregError(f"{path}: has {len(means) or 'no'} row {_MEAN}; expected one behind the cases. {_REMEDY}")
    cases = {case: rows[case] for case in sorted(rows) if not _SUMMARY_ROWS.fullmatch(case)}
    _check_mean(path, list(cases.values()), means[0])
    absent = sorted(set(predictions.cases) - set(cases))
    if absent:
        raise EquiregError(
            f"{path}: has no row of {some_of(absent)}, which {predictions.root} holds. Send all predictions of this "
            "folder to the portal, or give the folder that was sent."
        )
    further = sorted(set(cases) - set(predictions.cases))
    if further:
        _logger.warning("%s: has cases that were not predicted and are left out: %s", path, some_of(further))
    return [_score(case, cases[case]) for case in sorted(predictions.cases)]


def _score(case: str, row: Mapping[str, float | None]) -> Score:
    scores: dict[str, dict[str, float | None]] = {region: {} for region in _REGIONS}
    for column, (region, metric) in _COLUMNS.items():
        scores[region][metric] = row[column]
    return Score(case, scores)


def _read_rows(path: Path) -> dict[str, dict[str, float | None]]:
    """Return each row's values by its label and column."""
    expected = f"expected the columns {', '.join((_LABEL, *_COLUMNS))}"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="", skipinitialspace=True)
            known = {column.casefold(): column for column in (_LABEL, *_COLUMNS)}
            reader.fieldnames = [known.get(name.strip().casefold(), name) for name in reader.fieldnames or ()]
            absent = [column for column in known.values() if column not in reader.fieldnames]
            if absent:
                raise EquiregError(f"{path}: has no column {', '.join(absent)}; {expected}. {_REMEDY}")
            rows = [row for row in reader if row[_LABEL].strip()]
    except FileNotFoundError as error:
        raise EquiregError(f"{path}: no such file; expected the table that the portal sent. Check the path.") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise EquiregError(f"{path}: is not a CSV table ({error}); {expected}. {_REMEDY}") from error
    table: dict[str, dict[str, float | None]] = {}
    for row in rows:
        label = row[_LABEL].strip().removesuffix(".gz").removesuffix(".nii")
        if label in table:
            raise EquiregError(f"{path}: has two rows {label}; expected one. {_REMEDY}")
        table[label] = {column: _value(path, label, column, row[column].strip()) for column in _COLUMNS}
    return table


def _value(path: Path, label: str, column: str, cell: str) -> float | None:
    if cell.lower() in ("", "na", "n/a"):
        return None
    try:
        value = float(cell)
    except ValueError as error:
        raise EquiregError(f"{path}: {column} of {label} is {cell!r}; expected a number. {_REMEDY}") from error
    return value if math.isfinite(value) else None


def _check_mean(path: Path, cases: Sequence[Mapping[str, float | None]], mean: Mapping[str, float | None]) -> None:
    """Compare the cases with the file's own mean: a row that was lost or changed shows there.

    Raises:
        EquiregError: if they do not agree.
    """
    for column in _COLUMNS:
        found = [row[column] for row in cases]
        values = [value for value in found if value is not None]
        own, stated = (statistics.fmean(values) if values else None), mean[column]
        if stated is None and len(values) < len(found):
            continue  # a mean over a missing value may be missing too
        if own is None or stated is None or not math.isclose(own, stated, rel_tol=_RELATIVE, abs_tol=_ABSOLUTE):
            raise EquiregError(
                f"{path}: the mean {column} of its {len(cases)} cases is {own}; its own row {_MEAN} says {stated}. "
                f"The file is damaged. {_REMEDY}"
            )
