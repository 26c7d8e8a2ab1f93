"""An estimate of the Dice of a prediction from its quality, learnt from held-out cases whose Dice is known."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy

from equireg.config import PredictConfig
from equireg.errors import EquiregError
from equireg.folders import evaluation
from equireg.folders.learnt import some_learnt
from equireg.folders.quality import CaseQuality, DiceEstimate, views_of
from equireg.folders.run_facts import RUN_FACTS
from equireg.folders.signature import LEARNT_CASES

log = logging.getLogger("equireg")

LEAST_PATIENTS = 5
"""Patients of held-out cases below which nothing is estimated."""
_PERCENT = 80
"""Cases of a hundred whose Dice the interval is to hold; five patients allow no more."""
_BELOW = "the quality is lower than that of every held-out case"


class Calibration:
    """Dice as a rising function of quality, with an interval.

    The function is an isotonic regression: the better the quality, the better the Dice, and nothing more is assumed.
    The interval is that of the jackknife+ (Barber et al. 2021, section 2): each patient is left out in turn, and the
    cases are misjudged by so much; all cases of a patient together count as one. For exchangeable patients with one
    case each it holds the Dice of a new one with a probability of 60 % or more for certain, and of about 80 % as a
    rule. Below the least quality nothing is known of how low the Dice may be, so the interval reaches down to 0.

    Args:
        quality: of the held-out cases, 0 to 1.
        dice: of the same cases, the mean over their regions.
        patients: of the same cases; None: each is another's.

    Raises:
        ValueError: if they are of fewer than five patients.
    """

    def __init__(self, quality: npt.ArrayLike, dice: npt.ArrayLike, patients: Sequence[str] | None = None) -> None:
        x, y = np.asarray(quality, dtype=np.float64), np.asarray(dice, dtype=np.float64)
        _, whose, cases = np.unique(
            np.arange(len(x)) if patients is None else np.array(patients), return_inverse=True, return_counts=True
        )
        if not len(x) == len(y) == len(whose) or len(cases) < LEAST_PATIENTS:
            raise ValueError(
                f"got {len(x)} qualities and {len(y)} Dice of {len(cases)} patients; expected as many of both, of "
                f"{LEAST_PATIENTS} patients or more"
            )
        self._whole, self._patients, self._weights = _fit(x, y), len(cases), 1 / cases[whose]
        fits = [_fit(x[whose != one], y[whose != one]) for one in range(len(cases))]
        self._fits = [fits[one] for one in whose]
        self._missed = [abs(one - np.interp(at, *fit)) for at, one, fit in zip(x, y, self._fits, strict=True)]

    def estimate(self, quality: float) -> DiceEstimate:
        """Return the Dice that a quality stands for."""
        guesses = np.array([np.interp(quality, *fit) for fit in self._fits])
        low, high = self._outermost(guesses - self._missed), -self._outermost(-guesses - self._missed)
        best = float(np.interp(quality, *self._whole))
        lowest = 0.0 if self._is_below(quality) else float(np.clip(min(low, best), 0, 1))
        return DiceEstimate(best, lowest, float(np.clip(max(high, best), 0, 1)), self._patients)

    def of(self, found: CaseQuality) -> CaseQuality:
        """Return what is known of a case with the estimate; none where it has no quality, or nothing was found."""
        reasons = tuple(reason for reason in found.reasons if reason != _BELOW)  # of an earlier calibration
        nothing = found.regions and not any(region.volume_mm3 for region in found.regions.values())
        if not found.quality or nothing:
            return replace(found, reasons=reasons, estimate=None)
        below = (_BELOW,) if self._is_below(found.quality) else ()
        return replace(found, reasons=(*reasons, *below), estimate=self.estimate(found.quality))

    def _is_below(self, quality: float) -> bool:
        return quality + 1e-4 < self._whole[0][0]  # of held-out cases four digits are known

    def _outermost(self, values: np.ndarray) -> float:
        """Return the lower end of so much that each case says, at which so many patients of a hundred lie."""
        order = np.argsort(values)
        reached = np.cumsum(self._weights[order]).round(9)  # patients, with the parts of those with several cases
        return values[order][np.searchsorted(reached, (100 - _PERCENT) * (self._patients + 1) // 100)]


def _fit(quality: np.ndarray, dice: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the rising function is known, and its values there; equal qualities share their mean Dice."""
    places, which, counts = np.unique(quality, return_inverse=True, return_counts=True)
    means = np.bincount(which, weights=dice) / counts
    return places, scipy.optimize.isotonic_regression(means, weights=counts).x


def read_calibration(folder: Path, digest: str, config: PredictConfig) -> Calibration:
    """Learn from an evaluation of the same model how quality and Dice go together.

    Args:
        folder: what `equireg evaluate` wrote of cases that `equireg predict` segmented.
        digest: of the model's checkpoints.
        config: the options of the prediction that is to be judged.

    Raises:
        EquiregError: if it is no such evaluation, of another model, of other views, of training cases, or of too few.
    """
    facts = evaluation.read_signature(folder)
    run = facts.get(RUN_FACTS) or {}
    if not (folder / evaluation.QUALITY).is_file():
        raise EquiregError(
            f"{folder}: holds no {evaluation.QUALITY}; expected an evaluation of what this version of "
            "`equireg predict` wrote. Predict the held-out cases again (--split val), and evaluate that."
        )
    if run.get("checkpoint_digest") != digest:
        raise EquiregError(
            f"{folder}: is the evaluation of another model or checkpoint ({run.get('name')}); expected one of the "
            "model that predicts now. Predict and evaluate the held-out cases with it."
        )
    if run.get("split") == "train":
        raise EquiregError(
            f"{folder}: is the evaluation of training cases, whose Dice says nothing of other scans; expected held-out "
            "ones. Predict with --split val, and evaluate that."
        )
    theirs, ours = facts.get(evaluation.VIEWS) or {}, views_of(vars(config))
    differ = [name for name in ours if theirs.get(name) != ours[name]]
    if differ:
        shown = ", ".join(f"--{name} {theirs.get(name)} there and {ours[name]} here" for name in differ)
        raise EquiregError(f"{folder}: its quality is of other views ({shown}). Predict both with the same options.")
    by_case = evaluation.read_quality(folder)
    patients = evaluation.patients_of(by_case, facts)
    if (count := len({*patients})) < LEAST_PATIENTS:
        of = "" if count == len(patients) else f" of {count} patient{'' if count == 1 else 's'}"
        raise EquiregError(
            f"{folder}: holds {len(patients)} case{'' if len(patients) == 1 else 's'}{of} with a quality and a Dice; "
            f"expected {LEAST_PATIENTS} or more{of and ' patients'}. Give an evaluation of more held-out "
            f"{'patients' if of else 'cases'}, or leave out --calibration: the rank in quality.csv needs no masks."
        )
    learnt = [case for case in by_case if case in facts.get(LEARNT_CASES, ())]
    if learnt:
        log.warning(
            "%s: the model has %s, so that estimates of Dice come out too high. Give an evaluation of held-out cases.",
            folder,
            some_learnt(learnt, len(by_case)),
        )
    return Calibration(*zip(*by_case.values(), strict=True), patients=patients)
