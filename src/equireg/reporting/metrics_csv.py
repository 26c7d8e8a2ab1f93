"""The two kinds of `metrics.csv`: a run's scalars over its steps, an evaluation's scores."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from equireg.errors import EquiregError

SCORE_COLUMNS = ("case", "region", "metric", "value")
_REMEDY = "Wait until the verb has ended, or run it again."


def read_scalars(path: Path) -> tuple[int, dict[str, np.ndarray]]:
    """Read a run's scalars.

    Returns:
        The last step, and scalar's name to its steps and values [n, 2], by step; empty cells and scalars
        without a value are left out.

    Raises:
        EquiregError: if the file is missing or empty, has no column step, or a cell is not a number.
    """
    rows = _read_rows(path, ("step",))
    points: dict[str, list[tuple[float, float]]] = {}
    for line, row in rows:
        step = _number(path, line, "step", row["step"])
        if not np.isfinite(step):
            raise EquiregError(f"{path}: line {line} has no step; expected one in each line. {_REMEDY}")
        points.setdefault("step", []).append((step, step))
        for name, cell in row.items():
            value = np.nan if name == "step" else _number(path, line, name, cell)
            if np.isfinite(value):
                points.setdefault(name, []).append((step, value))
    steps = points.pop("step")
    ordered = {name: np.array(sorted(pairs, key=lambda pair: pair[0])) for name, pairs in points.items()}
    return int(max(step for step, _ in steps)), ordered


def read_scores(path: Path) -> dict[tuple[str, str, str], float]:
    """Read an evaluation's scores: (case, region, metric) to value, NaN where the cell is empty.

    Raises:
        EquiregError: if the file is missing or empty, lacks a column, has neither Dice nor equivariance Dice, or
            names a score twice.
    """
    scores: dict[tuple[str, str, str], float] = {}
    for line, row in _read_rows(path, SCORE_COLUMNS):
        case, region, metric = row["case"], row["region"], row["metric"]
        if not (case and region and metric):
            raise EquiregError(f"{path}: line {line} lacks a case, region or metric; expected all three. {_REMEDY}")
        if (case, region, metric) in scores:
            raise EquiregError(f"{path}: line {line} gives {metric} of {case}, {region} a second time. {_REMEDY}")
        scores[case, region, metric] = _number(path, line, "value", row["value"])
    metrics = sorted({metric for _, _, metric in scores})
    if not {"dice", "equivariance_dice"} & set(metrics):
        raise EquiregError(
            f"{path}: has the metrics {', '.join(metrics)}; expected dice or equivariance_dice among them. {_REMEDY}"
        )
    return scores


def _read_rows(path: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Return line number and cells of each row of a table that must have ``columns`` and a row."""
    expected = f"expected a CSV table with the column{'s' if len(columns) > 1 else ''} {', '.join(columns)}"
    if not path.is_file():
        raise EquiregError(f"{path}: no such file; {expected}. {_REMEDY}")
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, restval="")
            header = list(reader.fieldnames or ())
            rows = [(reader.line_num, {name: row[name] for name in header}) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise EquiregError(f"{path}: is not a CSV table ({error}); {expected}. {_REMEDY}") from error
    if not header:
        raise EquiregError(f"{path}: is empty; {expected}. {_REMEDY}")
    absent = [column for column in columns if column not in header]
    if absent:
        raise EquiregError(f"{path}: has no column {', '.join(absent)}; {expected}. {_REMEDY}")
    if not rows:
        raise EquiregError(f"{path}: has no rows; {expected} and a row or more. {_REMEDY}")
    return rows


def _number(path: Path, line: int, column: str, cell: str) -> float:
    """Read a cell; NaN where it is empty."""
    try:
        return float(cell) if cell.strip() else np.nan
    except ValueError as error:
        raise EquiregError(
            f"{path}: line {line}, column {column} is {cell!r}; expected a number or nothing. {_REMEDY}"
        ) from error
