"""Rival scores that need one prediction and the labelled cases: certainty, volume, and reverse classification."""

from collections.abc import Sequence

import numpy as np
from cases import Case, dice_of
from scipy import ndimage

MOST_LABELLED = 4
"""Labelled cases that a reverse classifier is judged on."""


def certainty(probs: np.ndarray, chosen: np.ndarray) -> dict[str, float]:
    """Return less the mean entropy, and the mean probability, in the foreground; the worst where there is none."""
    inside: np.ndarray = np.asarray(ndimage.binary_erosion(chosen > 0, structure=np.ones((1, 3, 3))))
    inside = inside if inside.any() else chosen > 0
    if not inside.any():
        return {"entropy": -float(np.log(len(probs))), "confidence": 0.0}
    own = probs.reshape(len(probs), -1)[:, inside.ravel()]
    entropy = -(own * np.log(np.maximum(own, 1e-12))).sum(axis=0)
    return {"entropy": -float(entropy.mean()), "confidence": float(own.max(axis=0).mean())}


def volume_score(chosen: np.ndarray, labelled: Sequence[Case], classes: int) -> float:
    """Compare the classes' volumes with those of the labelled cases."""
    far = []
    for index in range(1, classes):
        usual = np.median([np.sum(case.label == index) for case in labelled])
        far.append(abs(np.log((np.sum(chosen == index) + 1) / (usual + 1))))
    return -float(max(far))


def reverse(case: Case, chosen: np.ndarray, labelled: Sequence[Case], classes: int) -> float:
    """Learn the prediction of one scan, and return the best Dice on a labelled case."""
    known = case.features
    targets = np.eye(classes)[chosen.ravel()]
    weights = 1 / np.maximum(targets.sum(axis=0), 1)
    each = (targets @ weights)[:, None]  # every class weighs as much
    solved = np.linalg.solve(known.T @ (known * each) + 1e-3 * np.eye(known.shape[1]), known.T @ (targets * each))
    found = [
        dice_of((one.features @ solved).argmax(axis=1).reshape(one.label.shape), one.label, classes)
        for one in labelled[:MOST_LABELLED]
    ]
    return max(found)
