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

LEAST_CASES = 5
"""Held-out cases below which nothing is estimated."""
_PERCENT = 80
"""Cases of a hundred whose Dice the interval is to hold; five cases allow no more."""


class Calibration:
    """Dice as a rising function of quality, with an interval.

    The function is an isotonic regression: the better the quality, the better the Dice, and nothing more is assumed.
    The interval is that of the jackknife+ (Barber et al. 2021, section 2): each case is left out in turn, with the
    other scans of its patient, and misjudged by so much. For exchangeable cases it holds the Dice of a new one with a
    probability of 60 % or more for certain, and of about 80 % as a rule.

    Args:
        quality: of the held-out cases, 0 to 1.
        dice: of the same cases, the mean over their regions.
        patients: of the same cases; None: each is another's, as where all would be of one.

    Raises:
        ValueError: if there are fewer than five.
    """

    def __init__(self, quality: npt.ArrayLike, dice: npt.ArrayLike, patients: Sequence[str] | None = None) -> None:
        x, y = np.asarray(quality, dtype=np.float64), np.asarray(dice, dtype=np.float64)
        if len(x) != len(y) or len(x) < LEAST_CASES:
            raise ValueError(f"got {len(x)} qualities and {len(y)} Dice; expected {LEAST_CASES} or more of both")
        self._whole = _fit(x, y)
        several = patients is not None and len({*patients}) > 1
        whose = np.array(patients) if several else np.arange(len(x))
        others = [whose != one for one in whose]
        self._fits = [_fit(x[rest], y[rest]) for rest in others]
        self._missed = [abs(one - np.interp(at, *fit)) for at, one, fit in zip(x, y, self._fits, strict=True)]

    def estimate(self, quality: float) -> DiceEstimate:
        """Return the Dice that a quality stands for."""
        count = len(self._fits)
        guesses = np.array([np.interp(quality, *fit) for fit in self._fits])
        lows, highs = np.sort(guesses - self._missed), np.sort(guesses + self._missed)
        low = lows[(100 - _PERCENT) * (count + 1) // 100 - 1]
        high = highs[-(-_PERCENT * (count + 1) // 100) - 1]
        best = float(np.interp(quality, *self._whole))
        return DiceEstimate(best, float(np.clip(min(low, best), 0, 1)), float(np.clip(max(high, best), 0, 1)), count)

    def of(self, found: CaseQuality) -> CaseQuality:
        """Return what is known of a case with the estimate; as it is where it has no quality."""
        return found if found.quality is None else replace(found, estimate=self.estimate(found.quality))


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
    pairs = list(by_case.values())
    if len(pairs) < LEAST_CASES:
        raise EquiregError(
            f"{folder}: holds {len(pairs)} case{'' if len(pairs) == 1 else 's'} with a quality and a Dice; expected "
            f"{LEAST_CASES} or more. Give an evaluation of more held-out cases, or leave out "
            "--calibration: the rank in quality.csv needs no masks."
        )
    learnt = [case for case in by_case if case in facts.get(LEARNT_CASES, ())]
    if learnt:
        log.warning(
            "%s: the model has %s, so that estimates of Dice come out too high. Give an evaluation of held-out cases.",
            folder,
            some_learnt(learnt, len(by_case)),
        )
    return Calibration(*zip(*pairs, strict=True), patients=evaluation.patients_of(by_case, facts))
