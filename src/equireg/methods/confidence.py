"""Where a teacher is sure enough of a class to teach it."""

import torch
from torch import Tensor

from equireg.batches.batch import Samples, label_of
from equireg.imaging.labels import IGNORED
from equireg.networks.heads import shares_of_counts
from equireg.processes import ranks

_LEAST = 0.01
"""Least share of a class, as if each batch showed a little of it."""


def sure(probs: Tensor, threshold: float, shares: Tensor | None = None, balanced: float = 0.0) -> Tensor:
    """Return where the most probable class reaches a threshold, [B, 1, *S].

    Args:
        probs: of each class, [B, K, *S].
        threshold: a probability.
        shares: how often each class occurs, [K].
        balanced: what the class must reach, where shares are given, as if all classes were equally frequent (Saerens et
            al. 2002, equation 2.4), so that one that is merely common is not sure.
    """
    highest, chosen = probs.max(dim=1, keepdim=True)
    found = highest >= threshold
    if shares is None:
        return found
    even = probs / shares.view(1, -1, *[1] * (probs.ndim - 2))
    return found & (even.gather(1, chosen) >= balanced * even.sum(dim=1, keepdim=True))


def shares_of(labelled: Samples, classes: int) -> Tensor:
    """Return how often each class occurs in a batch's labelled samples, 0.01 at least, [K].

    Raises:
        ValueError: if they have no labels.
    """
    label = label_of(labelled)
    known = label[(label != IGNORED) & (labelled.valid > 0)]
    (counts,) = ranks.summed(torch.bincount(known.long(), minlength=classes).to(labelled.image))
    return shares_of_counts(counts, _LEAST)
