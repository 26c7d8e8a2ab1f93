"""Whether what is labelled lies at the same place in every patient, as organs do and tumours do not."""

import itertools
from collections.abc import Sequence

import numpy as np

from equireg.folders.prepared import CaseRecord, PreparedSet

FEWEST_PATIENTS = 3
"""Patients whose masks say something of others: of two, every sixth pair of gliomas lies at one place by chance."""
_MOST_PATIENTS = 30
"""Patients that are looked at, at most."""
_CELLS = 8
"""Cells of the grid along each axis, coarse enough that anatomy of another size still falls into the same ones."""


def place_overlap(data: PreparedSet, labelled: Sequence[str]) -> float | None:
    """Return the mean Dice between the masks of two patients, laid over each other in the frames of their scans.

    All classes count as one. A frame is divided into 8 cells along each axis; what of a cell is labelled counts as its
    part, estimated from the places that `equireg prepare` drew of each class. No mask is read.

    Args:
        data: the prepared folder.
        labelled: names of the cases that are used with their masks.

    Returns:
        From 0 to 1; None for fewer than three patients whose masks show a class.
    """
    shown = [data.by_name[name] for name in sorted(set(labelled))]
    shown = [case for case in shown if sum(case.class_voxels[1:])]
    patients = sorted({case.patient for case in shown})
    if len(patients) < FEWEST_PATIENTS:
        return None
    kept = set(patients[:: -(-len(patients) // _MOST_PATIENTS)])
    parts = [(case.patient, _labelled_part(data, case)) for case in shown if case.patient in kept]
    pairs = [(one, two) for (mine, one), (other, two) in itertools.combinations(parts, 2) if mine != other]
    return float(np.mean([2 * np.minimum(one, two).sum() / (one.sum() + two.sum()) for one, two in pairs]))


def _labelled_part(data: PreparedSet, case: CaseRecord) -> np.ndarray:
    """Return how much of each cell of a case's frame is labelled, up to a factor that all cases share, [8, 8, 8]."""
    total = np.zeros((_CELLS,) * 3)
    for index, places in data.foreground(case.name).items():
        if index and len(places):
            cells = (places * _CELLS // np.array(case.shape)).T
            voxels_a_place = case.class_voxels[index] / len(places)
            np.add.at(total, tuple(cells), voxels_a_place / np.prod(case.shape))
    return total
