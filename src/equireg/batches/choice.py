"""Which training cases are used with and without their masks, and which validation cases are looked at."""

import math
from collections.abc import Sequence

import numpy as np

from equireg.config import TrainConfig
from equireg.errors import EquiregError
from equireg.folders.prepared import CaseRecord


def choose_cases(cases: Sequence[CaseRecord], config: TrainConfig) -> tuple[list[str], list[str]]:
    """Choose the training cases that are used with and without their masks.

    Both are prefixes of one permutation drawn from the seed, so that 5 labelled cases contain the 3 of the
    same seed. Patients are permuted, and all scans of a patient follow each other: what is labelled are few patients,
    not one scan each of many.

    Returns:
        Names of the labelled and of the unlabelled cases.

    Raises:
        EquiregError: if no labelled case remains, or more are asked for than there are.
    """
    training = sorted((case for case in cases if case.split == "train"), key=_name)
    order = _permuted(training, config.seed)
    masked = [case.name for case in order if case.labelled]
    if config.unlabelled_from == "test":  # these change nothing about which cases are labelled
        order = _permuted([*training, *sorted(further_cases(cases), key=_name)], config.seed)
    if not masked:
        raise EquiregError(
            f"no labelled case among the {len(training)} training cases; expected at least one case with a mask. "
            "Add masks, or lower --val_fraction and --test_fraction of `equireg prepare`."
        )
    fraction = 1.0 if config.sup_cut is None else config.sup_cut
    count = math.ceil(fraction * len(masked) - 1e-9) if config.sup_cases is None else config.sup_cases
    if not 1 <= count <= len(masked):
        raise EquiregError(
            f"--sup_cases or --sup_cut asks for {count} labelled cases; expected 1 to {len(masked)}, "
            "the training cases with a mask."
        )
    fraction = 1.0 if config.unsup_cut is None else config.unsup_cut
    part = max(math.floor(fraction * len(order) + 1e-9), int(fraction > 0))
    unlabelled = part if config.unsup_cases is None else config.unsup_cases
    if unlabelled > len(order):
        raise EquiregError(
            f"--unsup_cases asks for {unlabelled} cases; expected at most {len(order)}, all training cases."
        )
    return masked[:count], [case.name for case in order[:unlabelled]]


def further_cases(cases: Sequence[CaseRecord]) -> list[CaseRecord]:
    """Return the cases that ``unlabelled_from`` test adds: those that the layout holds out, without a mask."""
    return [case for case in cases if case.held_out and not case.labelled and case.split == "test"]


def drafted_cases(cases: Sequence[CaseRecord]) -> tuple[str, ...]:
    """Return the names of the training cases whose classes are a model's draft."""
    return tuple(sorted(case.name for case in cases if case.drafted and case.split == "train"))


def validation_cases(cases: Sequence[CaseRecord], count: int | None) -> list[CaseRecord]:
    """Return the validation cases of a run, in the order of the folder.

    Where they are limited they are a prefix of one permutation of the patients, the same for every seed, so that runs
    are looked at alike. Patients whose masks show a class come first: an empty mask has no Dice.

    Args:
        cases: all cases of the prepared folder.
        count: how many at most; None for all.
    """
    found = [case for case in cases if case.split == "val" and case.labelled]
    if count is None or count >= len(found):
        return found
    order = _permuted_patients(sorted(found, key=_name), 0)
    order.sort(key=lambda ones: not any(sum(case.class_voxels[1:]) for case in ones))
    kept = {case.name for case in [case for ones in order for case in ones][:count]}
    return [case for case in found if case.name in kept]


def _name(case: CaseRecord) -> str:
    return case.name


def _permuted(cases: Sequence[CaseRecord], seed: int) -> list[CaseRecord]:
    """Return the cases, those of a patient one after another, the patients in a random order."""
    return [case for scans in _permuted_patients(cases, seed) for case in scans]


def _permuted_patients(cases: Sequence[CaseRecord], seed: int) -> list[list[CaseRecord]]:
    """Return the scans of each patient, the patients in a random order."""
    scans: dict[str, list[CaseRecord]] = {}
    for case in cases:
        scans.setdefault(case.patient, []).append(case)
    patients = list(scans.values())
    return [patients[index] for index in np.random.default_rng(seed).permutation(len(patients))]
