"""Tables as CSV: cells that no spreadsheet takes for a formula, and errors that name file and line."""

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from equireg.disk import write_atomic
from equireg.errors import EquiregError

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_DEFUSED = re.compile(r"'+[=+\-@\t\r]")


def defused(text: str) -> str:
    """Put ``'`` before a text that a spreadsheet would run as a formula: one that begins with = + - @, tab or CR."""
    return f"'{text}" if _FORMULA.match(text) else text


def restored(text: str) -> str:
    """Undo ``defused``."""
    return text[1:] if _DEFUSED.match(text) else text


def table_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a CSV table; texts are defused, None and NaN are empty cells, floats keep all their digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([defused(column) for column in columns])
    writer.writerows([[_cell(value) for value in row] for row in rows])
    return text.getvalue()


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV table completely or not at all, as ``table_text`` writes it.

    Raises:
        EquiregError: if the disk is full or not writable.
    """
    write_atomic(path, table_text(columns, rows))


def read_table(path: Path, columns: Sequence[str], remedy: str) -> list[tuple[int, dict[str, str]]]:
    """Read line number and cells of each row of a CSV table.

    Args:
        path: the file.
        columns: those that it must have; it may have more.
        remedy: a sentence that says how to mend a damaged file.

    Raises:
        EquiregError: if the file is missing, is no table, or lacks a column or rows.
    """
    expected = f"expected a CSV table with the column{'s' if len(columns) > 1 else ''} {', '.join(columns)}"
    if not path.is_file():
        raise EquiregError(f"{path}: no such file; {expected}. {remedy}")
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, restval="")
            header = list(reader.fieldnames or ())
            rows = [(reader.line_num, {restored(name): restored(row[name]) for name in header}) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise EquiregError(f"{path}: is not a CSV table ({error}); {expected}. {remedy}") from error
    if not header:
        raise EquiregError(f"{path}: is empty; {expected}. {remedy}")
    absent = [column for column in columns if column not in header]
    if absent:
        raise EquiregError(f"{path}: has no column {', '.join(absent)}; {expected}. {remedy}")
    if not rows:
        raise EquiregError(f"{path}: has no rows; {expected} and a row or more. {remedy}")
    return rows


def number(path: Path, line: int, column: str, cell: str, remedy: str) -> float:
    """Read a cell as a number; NaN where it is empty.

    Raises:
        EquiregError: if the cell holds something else.
    """
    try:
        return float(cell) if cell.strip() else math.nan
    except ValueError as error:
        raise EquiregError(
            f"{path}: line {line}, column {column} is {cell!r}; expected a number or nothing. {remedy}"
        ) from error


def whole(path: Path, line: int, column: str, cell: str, remedy: str) -> int:
    """Read a cell as a whole number.

    Raises:
        EquiregError: if the cell holds something else or nothing.
    """
    found = number(path, line, column, cell, remedy)
    if not found.is_integer():
        raise EquiregError(f"{path}: line {line}, column {column} is {cell!r}; expected a whole number. {remedy}")
    return int(found)


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return repr(float(value)) if isinstance(value, float) else defused(str(value))
