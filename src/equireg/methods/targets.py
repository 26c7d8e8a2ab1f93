"""Targets of unlabelled samples beside a teacher's answer: known classes, and a second window's answer."""

import torch
from torch import Tensor

from equireg.imaging.labels import IGNORED
from equireg.losses import one_hot
from equireg.transforms import spatial
from equireg.transforms.views import TwoViews


def on_strong_view(classes: Tensor, views: TwoViews) -> Tensor:
    """Return class indices of scans [B, 1, *S] as their strong view has them, ``IGNORED`` where it reaches beyond."""
    moved, _ = spatial.apply(classes, views.whole, mode="nearest")
    return torch.where(views.strong_valid > 0, moved, IGNORED)


def as_annotated(target: Tensor, classes: Tensor) -> Tensor:
    """Return a target [B, K, *S] that is certain of the class where one is known, [B, 1, *S]."""
    known = classes != IGNORED
    return torch.where(known, one_hot(torch.where(known, classes, 0), target.shape[1]), target)


def overlapped(own: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """Return a target [B, K, *S] and where it was seen, with the mean of both targets where the other was seen too."""
    (target, seen), (others, also) = own, other
    return torch.where(also > 0, (target + others) / 2, target), seen
