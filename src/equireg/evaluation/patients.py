"""Which of the judged cases are scans of one patient."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from equireg.errors import EquiregError
from equireg.evaluation.predictions import Predictions
from equireg.folders import made_by, source_of
from equireg.folders.prepared import PreparedSet
from equireg.layouts import RawCase


def scans_of_one_patient(
    cases: Iterable[str], predictions: Predictions, reference: Path, scans: Mapping[str, RawCase]
) -> list[list[str]]:
    """Return the cases of each patient who has several; a case of which nothing is known is its own patient.

    Args:
        cases: those that were judged.
        predictions: they may have been made from a prepared folder, which knows the patients.
        reference: what they were compared with, which may be a prepared folder.
        scans: case name to its scan in a raw folder, where one was found.
    """
    known = {name: scan.patient for name, scan in scans.items()}
    for folder in (reference, source_of(predictions.root, predictions.signature)):
        known |= _prepared_patients(folder) if folder is not None else {}
    patients: dict[str, list[str]] = {}
    for case in sorted(cases):
        if case in known:
            patients.setdefault(known[case], []).append(case)
    return [several for several in patients.values() if len(several) > 1]


def _prepared_patients(folder: Path) -> dict[str, str]:
    """Return case name to patient of a prepared folder; nothing of another one, or where it is damaged."""
    try:
        if not folder.is_dir() or made_by(folder) != "prepare":
            return {}
        return {case.name: case.patient for case in PreparedSet(folder, verify=False).manifest.cases}
    except EquiregError:  # whoever needs more of the folder says so
        return {}
