"""Values of cases, a patient at a time: several scans of one patient are no more evidence than one."""

from collections.abc import Sequence

import numpy as np

LEAST_PATIENTS = 5
"""Fewer patients choose nothing."""


def patient_means(patients: Sequence[str], values: np.ndarray) -> np.ndarray:
    """Average the values of each patient's cases.

    Args:
        patients: of each case.
        values: of each case, [cases, ...].

    Returns:
        [patients, ...], in the order in which patients first come.
    """
    rows: dict[str, list[np.ndarray]] = {}
    for patient, row in zip(patients, values, strict=True):
        rows.setdefault(patient, []).append(row)
    return np.array([np.mean(own, axis=0) for own in rows.values()]).reshape(-1, *values.shape[1:])


def mean_and_error(means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard error over patients [patients, ...]; two patients at least."""
    return means.mean(axis=0), means.std(axis=0, ddof=1) / np.sqrt(len(means))
