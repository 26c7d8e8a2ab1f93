"""Tables that a user writes, as CSV or as JSON: rows of cells by the names of their columns."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from equireg.disk import parse_json, read_errors
from equireg.errors import EquiregError, shortened

Made = TypeVar("Made")
Rows = list[dict[str, Any]]

_MOST_BYTES = 2**20


@dataclass(frozen=True)
class RowFile:
    """A kind of table."""

    what: str
    """what its rows are, in an error"""
    option: str
    """what it was given as"""
    expected: str
    """how a row looks, in an error"""
    of_json: Callable[[Any], Rows]
    """gives the rows that JSON holds; raises ValueError where it holds none"""

    def read(self, path: Path, make: Callable[[Rows], Made]) -> Made:
        """Read a file, and make of its rows what they stand for.

        Args:
            path: ``.json``, or CSV with commas, semicolons or tabs.
            make: takes the rows, with names of columns in lower case; raises ValueError for one that is wrong.

        Raises:
            EquiregError: if the file cannot be read, or a row is wrong.
        """
        with read_errors(path):
            if path.is_file() and path.stat().st_size > _MOST_BYTES:
                raise EquiregError(f"{path}: has {path.stat().st_size} bytes; {self.expected}. Check {self.option}.")
            content = path.read_bytes()
        try:
            text = content.decode("utf-8-sig")
            return make(self.of_json(parse_json(text)) if path.suffix.lower() == ".json" else _csv_rows(text))
        except (ValueError, RecursionError, csv.Error) as error:
            raise EquiregError(
                f"{path}: is no table of {self.what} ({shortened(str(error))}); {self.expected}. Correct it."
            ) from error


def _csv_rows(text: str) -> Rows:
    lines = text.splitlines()
    separator = next((mark for mark in ";\t," if lines and mark in lines[0]), ",")
    rows = csv.DictReader(lines, delimiter=separator, strict=True)
    return [
        {str(key).strip().lower(): value.strip() for key, value in row.items() if isinstance(value, str)}
        for row in rows
    ]
