"""Paired differences of Dice between arms: size, an interval over patients and seeds, and a test over patients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from equireg.comparing.arms import BASELINE
from equireg.comparing.compared import Evaluation
from equireg.comparing.statistics import MEAN
from equireg.postprocessing.patients import LEAST_PATIENTS, patient_means
from equireg.statistics import bootstrap_interval, holm, nan_mean, signed_rank

OURS = "equireg"
"""The method that is compared with its best rival, beside the baseline."""

Groups = Mapping[str, tuple[Evaluation, ...]]


@dataclass(frozen=True)
class Difference:
    """How an arm's Dice differs from another's, over the cases that both have: the mean over their patients."""

    cases: int
    pairs: int
    """seeds (with their repeats) that both arms have; 0 where each is averaged over its own"""
    difference: float
    low: float
    """2.5 % end of the bootstrap interval; NaN for fewer than two patients"""
    high: float
    p: float = np.nan
    """two-sided, of the signed-rank test over patients; for `MEAN` alone, NaN elsewhere and for fewer than two"""
    p_holm: float = np.nan
    """the same, corrected over all comparisons of the cohort"""
    patients: int = 0
    """whose scans the cases are"""

    @property
    def rough(self) -> bool:
        """Whether so few patients give the interval that it is much too narrow as a rule."""
        return self.patients < LEAST_PATIENTS


def differences(groups: Groups, regions: Sequence[str]) -> dict[tuple[str, str], dict[str, Difference]]:
    """Compare arms with the same number of labels, case by case.

    Each is compared with the supervised one, EquiReg also with its best rivals.

    Runs are paired by seed, because those of one seed have the same labelled cases. A patient's value is the mean over
    the scans and the seeds: several scans of one patient are no more evidence than one. Only the mean of the
    regions is tested, so that there is one test a comparison; Holm's correction is over them all.

    Args:
        groups: label of each arm to its runs, all of the same cases.
        regions: names of the regions.

    Returns:
        (arm's label, other's label) to region or `MEAN` to the difference.
    """
    found: dict[tuple[str, str], dict[str, Difference]] = {}
    # Where only some evaluations know the patients, all are averaged by what these know.
    patients = min((run.patients for runs in groups.values() for run in runs), key=lambda names: len({*names}))
    for label in groups:
        for other in opponents(label, groups):
            gains = _gains(groups[label], groups[other], (*regions, MEAN), patients)
            by_region = {region: _difference(*gain) for region, gain in gains.items()}
            by_region[MEAN] = replace(by_region[MEAN], p=signed_rank(gains[MEAN][0].mean(axis=1)))
            found[label, other] = by_region
    corrected = holm([by_region[MEAN].p for by_region in found.values()])
    for by_region, p_holm in zip(found.values(), corrected, strict=True):
        by_region[MEAN] = replace(by_region[MEAN], p_holm=p_holm)
    return found


def baseline_of(label: str, groups: Groups) -> str | None:
    """Name the group that a group is compared with: the supervised one with the same number of labelled cases.

    Returns:
        Its label, or None for a supervised group, and where no baseline or more than one would fit.
    """
    if groups[label][0].facts.method in (None, BASELINE):
        return None
    fitting = [
        other
        for other, members in groups.items()
        if members[0].facts.method == BASELINE and _data(members) == _data(groups[label])
    ]
    return fitting[0] if len(fitting) == 1 else None


def opponents(label: str, groups: Groups) -> list[str]:
    """Name the groups that a group is compared with, all with the same number of labelled cases.

    That is the supervised one; for EquiReg also the best other method that learns from unlabelled scans, and the
    best one beside them that does not (nnU-Net, say). "Best" means the highest mean Dice on these very cases,
    which is in the rival's favour.
    """
    baseline = baseline_of(label, groups)
    found = [baseline] if baseline else []
    if groups[label][0].facts.method != OURS:
        return found
    rivals: dict[bool, dict[str, float]] = {True: {}, False: {}}
    for other, members in groups.items():
        theirs = members[0].facts
        if _data(members) == _data(groups[label]) and theirs.method not in (None, OURS, BASELINE):
            dice = float(np.mean([member.mean("dice", MEAN) for member in members]))
            rivals[theirs.unlabelled_cases != 0][other] = dice
    return found + [max(means, key=lambda other: means[other]) for means in rivals.values() if means]


def paired(ours: Sequence[Evaluation], theirs: Sequence[Evaluation]) -> list[tuple[Evaluation, Evaluation]]:
    """Return the runs of two groups that have the same seed (and repeat and fold), side by side."""
    mine, others = ({run.draw: run for run in runs} for runs in (ours, theirs))
    return [(mine[draw], others[draw]) for draw in sorted(set(mine) & set(others), key=str)]


def _data(members: Sequence[Evaluation]) -> tuple:
    """Return what two groups must have in common to be compared."""
    return members[0].facts.labelled_cases, members[0].facts.dataset


def _gains(
    ours: Sequence[Evaluation], theirs: Sequence[Evaluation], regions: Sequence[str], patients: Sequence[str]
) -> dict[str, tuple[np.ndarray, int, int]]:
    """Return region or `MEAN` to the differences [patients, seeds], of how many cases, and how many seeds are paired.

    Cases without a value are left out.

    Without a common seed each side is averaged over its own, and there is one column.
    """
    pairs = paired(ours, theirs)
    common = len(pairs)
    sides = zip(*pairs, strict=True) if pairs else (ours, theirs)
    first, second = ([run.values["dice"] for run in side if "dice" in run.values] for side in sides)
    gains = {}
    for region in regions:
        left, right = (np.stack([values[region] for values in side], axis=1) for side in (first, second))
        gain = left - right if common else left.mean(axis=1, keepdims=True) - right.mean(axis=1, keepdims=True)
        known = np.asarray(~np.isnan(gain).any(axis=1))
        whose = [patient for patient, there in zip(patients, known, strict=True) if there]
        gains[region] = patient_means(whose, gain[known]), len(whose), common
    return gains


def _difference(gain: np.ndarray, cases: int, pairs: int) -> Difference:
    low, high = bootstrap_interval(gain)
    return Difference(cases, pairs, float(nan_mean(gain)), low, high, patients=len(gain))
