"""Dice of class indices, for validation while training."""

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from equireg.imaging.labels import IGNORED

if TYPE_CHECKING:
    from torch import Tensor


def region_dice(prediction: "Tensor", reference: "Tensor", regions: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """Dice of each region between two maps of class indices, for validation while training.

    Args:
        prediction: class indices, [D, H, W] or [H, W], any integer type.
        reference: class indices of the same shape; voxels of ``IGNORED`` are left out of both.
        regions: region name to the class indices that it unites, one or more.

    Returns:
        Region name to Dice; 1 where a region is empty in both.

    Raises:
        ValueError: if shapes differ.
    """
    if prediction.shape != reference.shape:
        raise ValueError(
            f"prediction {tuple(prediction.shape)}, reference {tuple(reference.shape)}: expected one shape."
        )
    known = reference != IGNORED
    scores = {}
    for name, classes in regions.items():
        predicted, referred = (
            reduce(or_, (labels == value for value in classes)) & known for labels in (prediction, reference)
        )
        total = int(predicted.sum()) + int(referred.sum())
        scores[name] = 2 * int((predicted & referred).sum()) / total if total else 1.0
    return scores
