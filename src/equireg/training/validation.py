"""What validation cases show: Dice of each region, false positives, cross-entropy."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module

import numpy as np
import torch
from torch import Tensor

from equireg import inference
from equireg.imaging.labels import IGNORED
from equireg.losses import argmax
from equireg.metrics import region_dice
from equireg.postprocessing import CaseCounts

_LEAST = 1e-7
"""Probability below which a voxel's cross-entropy rises no further: one such voxel must not decide a validation."""


def import_ahead() -> None:
    """Import what the first validation imports, so that one that is timed takes no longer than any other."""
    inference.import_ahead()
    import_module("scipy.ndimage")  # for components


@dataclass(frozen=True)
class CaseScore:
    """What one validation case has shown."""

    case: str
    dice: Mapping[str, float]
    """of each region that its mask shows"""
    found: Mapping[str, bool]
    """of each region that its mask does not show, whether it was predicted all the same"""
    loss: float
    """cross-entropy, summed over its voxels, nats"""
    voxels: int
    counts: CaseCounts | None = None
    """what its components hold, from which the post-processing is chosen"""


def score_case(
    case: str,
    probs: Tensor,
    label: Tensor,
    regions: Mapping[str, Sequence[int]],
    count: Callable[[np.ndarray, np.ndarray], CaseCounts] | None = None,
) -> CaseScore:
    """Compare a prediction with its mask.

    Args:
        case: name of the case.
        probs: probabilities, [K, D, H, W].
        label: class indices, [D, H, W]; voxels that nobody annotated are left out.
        regions: region name to its class indices.
        count: counts what the components of a prediction hold, from predicted and true class indices [D, H, W].
    """
    predicted = argmax(probs, dim=0)[0]
    dice = region_dice(predicted, label, regions)
    shown = {name: any(bool((label == value).any()) for value in values) for name, values in regions.items()}
    known = label != IGNORED
    right = probs.gather(0, torch.where(known, label, 0).long()[None])[0][known]
    exact = torch.float32 if right.device.type == "mps" else torch.float64  # which Apple's GPUs do not have
    loss = float(-right.clamp_min(_LEAST).log().sum(dtype=exact))
    return CaseScore(
        case=case,
        dice={name: value for name, value in dice.items() if shown[name]},
        # Where the mask is empty, Dice is 1 if the prediction is empty too, else 0.
        found={name: value == 0 for name, value in dice.items() if not shown[name]},
        loss=loss,
        voxels=int(known.sum()),
        counts=None if count is None else count(predicted.to(torch.uint8).cpu().numpy(), label.cpu().numpy()),
    )


def scalars(scores: Sequence[CaseScore], regions: Sequence[str]) -> dict[str, float]:
    """Return the scalars of a validation.

    A region's Dice is the mean over the cases that show it: an empty mask that stays empty says nothing of how good a
    model is, and would drown the cases that do. What is predicted where the mask is empty is counted apart. A region
    that no case shows is left out, and ``val/dice`` with it where no case shows any.

    Args:
        scores: of all cases.
        regions: names of the regions, in their order.
    """
    result: dict[str, float] = {}
    means: list[float] = []
    for name in regions:
        values = [score.dice[name] for score in scores if name in score.dice]
        if values:
            means.append(sum(values) / len(values))
            result[f"val/dice/{name}"] = means[-1]
    if means:
        result["val/dice"] = sum(means) / len(means)
    empty = [found for score in scores for found in score.found.values()]
    if empty:
        result["val/false_positives"] = sum(empty) / len(empty)
    result["val/loss"] = sum(score.loss for score in scores) / max(sum(score.voxels for score in scores), 1)
    return result
