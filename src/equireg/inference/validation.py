"""What validation cases show: Dice of each region, false positives, cross-entropy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module

import numpy as np
import torch
from torch import Tensor, nn

from equireg.batches.reading import CaseReader
from equireg.imaging.labels import IGNORED, LabelTable
from equireg.inference import scan
from equireg.inference.plan import InferencePlan
from equireg.metrics import region_dice
from equireg.postprocessing import BIASES, UnderBiases

WHOLE = (slice(None),) * 3
"""The box of a whole case."""
_LEAST = 1e-7
"""Probability below which a voxel's cross-entropy rises no further: one such voxel must not decide a validation."""


def import_ahead() -> None:
    """Import what the first validation imports, so that one that is timed takes no longer than any other."""
    scan.import_ahead()
    import_module("scipy.ndimage")  # for components


@dataclass(frozen=True)
class CaseScore:
    """What one validation case has shown."""

    case: str
    dice: Mapping[str, float]
    """of each region that its mask shows"""
    found: Mapping[str, bool]
    """of each region that its mask does not show, whether it was predicted all the same; none where nobody annotated"""
    loss: float
    """cross-entropy, summed over its voxels, nats"""
    voxels: int
    by_bias: np.ndarray
    """Dice of each region under each bias of the foreground, [biases, regions]; as ``UnderBiases.dice`` has it"""


def regions_of(labels: LabelTable) -> dict[str, tuple[int, ...]]:
    """Return the class indices of each region that is judged."""
    return {
        name: tuple(labels.values.index(value) for value in values) for name, values in labels.judged_regions().items()
    }


def validate_case(
    case: str,
    reader: CaseReader,
    network: nn.Module,
    plan: InferencePlan,
    regions: Mapping[str, Sequence[int]],
    device: torch.device,
) -> tuple[CaseScore, UnderBiases]:
    """Predict a whole case with a network on a device, and compare it with its mask; returns as ``score_case``."""
    record = reader.prepared.by_name[case]
    image = reader.read(case, "image", WHOLE).to(device)
    probs = scan.predict_scan(network, image, record.background, record.spacing_mm, plan)
    label = reader.read(case, "label", WHOLE).to(probs.device)
    return score_case(case, probs, label, regions)


def score_case(
    case: str, probs: Tensor, label: Tensor, regions: Mapping[str, Sequence[int]]
) -> tuple[CaseScore, UnderBiases]:
    """Compare a prediction with its mask.

    Args:
        case: name of the case.
        probs: probabilities, [K, D, H, W].
        label: class indices, [D, H, W]; voxels that nobody annotated are left out.
        regions: region name to its class indices.

    Returns:
        The score, and what the prediction is under each bias of the foreground.
    """
    under = _under_biases(probs)
    classes = torch.from_numpy(under.classes(0.0)).to(label.device)
    dice = region_dice(classes, label, regions)
    shown = {name: any(bool((label == value).any()) for value in values) for name, values in regions.items()}
    known = label != IGNORED
    right = probs.gather(0, torch.where(known, label, 0).long()[None])[0][known]
    exact = torch.float32 if right.device.type == "mps" else torch.float64  # which Apple's GPUs do not have
    loss = float(-right.clamp_min(_LEAST).log().sum(dtype=exact))
    score = CaseScore(
        case=case,
        dice={name: value for name, value in dice.items() if shown[name]},
        # Where the mask is empty, Dice is 1 if the prediction is empty too, else 0.
        found={name: value == 0 for name, value in dice.items() if not shown[name] and bool(known.any())},
        loss=loss,
        voxels=int(known.sum()),
        by_bias=under.dice(label.cpu().numpy(), regions),
    )
    return score, under


def _under_biases(probs: Tensor) -> UnderBiases:
    """Return what a prediction [K, D, H, W] is under each bias; without one it is the most probable class."""
    if len(probs) < 2:
        nothing = torch.zeros(probs.shape[1:], dtype=torch.uint8)
        return UnderBiases(nothing.numpy(), (nothing + len(BIASES)).numpy())
    most, place = probs[1:].max(dim=0)
    behind = probs[0].clamp_min(_LEAST).log() - most.clamp_min(_LEAST).log()
    first = torch.bucketize(behind, torch.tensor(BIASES, device=probs.device), right=True)
    # Without a bias as the probabilities themselves say, whatever the logarithms round to.
    zero = BIASES.index(0.0)
    first = torch.where(most > probs[0], first.clamp_max(zero), first.clamp_min(zero + 1))
    kind = np.uint8 if len(probs) <= 256 else np.uint16
    return UnderBiases((place + 1).cpu().numpy().astype(kind), first.cpu().numpy())


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
