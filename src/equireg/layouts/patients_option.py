"""`--patients`: what the user says of which scans are of one patient, as a pattern or as a table."""

import codecs
import csv
import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from equireg.errors import EquiregError, UsageError
from equireg.imaging.formats import composed
from equireg.layouts.base import RawDataset

_SHOWN = 3


def with_patients(dataset: RawDataset, option: str | None) -> RawDataset:
    """Return the data set with the patients of ``--patients``, or as it is where the option is absent.

    Args:
        dataset: cases with the patients that their names show.
        option: a regular expression with a group for the patient, searched in the cases' names, or where none has it in
            the paths of their scans below the raw folder; or the path of a CSV file with the columns
            ``case`` and ``patient``.

    Raises:
        UsageError: if the expression cannot be used.
        EquiregError: if the file cannot be read, or lacks a case.
    """
    if option is None:
        return dataset
    names = [case.name for case in dataset.cases]
    patients = _from_file(Path(option), names) if option.lower().endswith(".csv") else _from_pattern(option, dataset)
    cases = tuple(replace(case, patient=patients[case.name]) for case in dataset.cases)
    return replace(dataset, cases=cases)


def _from_pattern(text: str, dataset: RawDataset) -> dict[str, str]:
    """Search each name for the pattern, or where no name has it each path below the raw folder.

    The group ``patient``, or the only group, is the patient.
    """
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise UsageError(f"--patients is {text!r}: not a regular expression ({error}). Correct it.") from error
    if "patient" not in pattern.groupindex and pattern.groups != 1:
        raise UsageError(
            f"--patients is {text!r}: has {pattern.groups} groups; expected one group that matches the patient, "
            r"as in '(.+)_scan\d+', or one named patient, as in '(?P<patient>.+)_(left|right)'."
        )
    group = "patient" if "patient" in pattern.groupindex else 1
    texts, searched = {case.name: case.name for case in dataset.cases}, "case names"
    if not any(map(pattern.search, texts)):
        texts, searched = {case.name: _below(dataset.root, case.images[0]) for case in dataset.cases}, "names and paths"
    found = {name: match[group] if (match := pattern.search(text)) else None for name, text in texts.items()}
    without = [name for name, patient in found.items() if not patient]
    if without:
        raise EquiregError(
            f"--patients is {text!r}: finds no patient in {len(without)} of {len(found)} {searched}, such as "
            f"{_some(without)}. Widen the expression, or give a CSV file with the columns case and patient."
        )
    return {name: str(patient) for name, patient in found.items()}


def _below(root: Path, file: Path) -> str:
    return (file.relative_to(root) if file.is_relative_to(root) else file).as_posix()


def _from_file(path: Path, names: Collection[str]) -> dict[str, str]:
    """Read the patient of each case from a table; rows of other cases are left aside."""
    try:
        content = path.read_bytes()
        is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # as Excel's "Unicode text"
        lines = content.decode("utf-16" if is_utf16 else "utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise EquiregError(
            f"{path}: cannot be read as text ({error}); expected a CSV file in UTF-8. Check --patients, or save the "
            "table as CSV UTF-8."
        ) from error
    separator = next((mark for mark in ",;\t" if lines and mark in lines[0]), ",")
    try:
        rows = list(csv.DictReader(lines, delimiter=separator, strict=True))
    except csv.Error as error:
        raise EquiregError(f"{path}: is not a CSV file ({error}). Correct it.") from error
    columns = [str(column).strip() for column in (rows[0] if rows else {})]
    named = {column.lower(): column for column in columns} | {column: column for column in columns}
    if not {"case", "patient"} <= set(named):
        raise EquiregError(
            f"{path}: has the columns {columns}; expected case and patient, and a row a case. Correct it."
        )
    patients: dict[str, str] = {}
    for row in rows:
        values = {str(key).strip(): value.strip() if isinstance(value, str) else "" for key, value in row.items()}
        case, patient = composed(values[named["case"]]), values[named["patient"]]
        if patients.setdefault(case, patient) != patient:
            raise EquiregError(f"{path}: gives the case {case!r} two patients. Correct it.")
    without = [name for name in names if not patients.get(name)]
    if without:
        raise EquiregError(
            f"{path}: has no patient for {len(without)} cases, such as {_some(without)}. Add their rows."
        )
    return patients


def _some(names: Collection[str]) -> str:
    return ", ".join(sorted(names)[:_SHOWN])
