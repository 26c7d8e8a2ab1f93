"""The transformed copies of a window over which its prediction is averaged."""

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn

from equireg.config import SpatialConfig
from equireg.inference.agreement import Agreement, contradicted
from equireg.inference.ensemble import probabilities
from equireg.inference.plan import InferencePlan
from equireg.transforms import sampling, spatial

_TEST_TIME = SpatialConfig(probability=1.0, flips=False, rotation_deg=15.0, scale=1.1)
"""Random transforms of test-time equivariance: affine, so that each has an inverse."""
_DOUBT = SpatialConfig(probability=1.0, flips=False, rotation_deg=45.0, shear=0.2, scale=1.3)
"""Random transforms by which a prediction is doubted."""

View = Callable[[int], spatial.SpatialParams]
"""Gives a transform for any number of windows."""


def views_of(plan: InferencePlan, spacing_mm: Sequence[float]) -> list[View]:
    """Return the transforms to average over; the first changes nothing."""
    n = plan.spatial_dims
    axes = plan.flip_axes if plan.test_time != "none" else ()

    def mirror(signs: Tensor, count: int) -> spatial.SpatialParams:
        matrix = torch.diag(torch.cat([signs, torch.ones(1)])).expand(count, -1, -1)
        return spatial.affine(matrix, plan.patch_size, spacing_mm)

    views: list[View] = []
    for chosen in itertools.product((1.0, -1.0), repeat=len(axes)):
        signs = torch.ones(n)
        signs[list(axes)] = torch.tensor(chosen)
        views.append(lambda count, signs=signs: mirror(signs, count))
    if plan.test_time == "equivariance":
        views += [_random(_TEST_TIME, seed, plan, spacing_mm) for seed in range(plan.passes)]
    return views


def doubting_views_of(plan: InferencePlan, spacing_mm: Sequence[float]) -> list[View]:
    """Return the transforms that tell how far a prediction is to be trusted, and enter no average.

    They reach further than those of training: a network agrees with itself where it was trained to, also where it errs.
    """
    return [_random(_DOUBT, seed, plan, spacing_mm) for seed in range(plan.quality_views)]


def averaged(
    network: nn.Module,
    window: Tensor,
    views: Sequence[View],
    agreement: Agreement | None = None,
    others: Sequence[View] = (),
) -> Tensor:
    """Average the probabilities [B, K, *S] over the views, each brought back; a voxel that left a view does not count.

    At most three arrays of that size are held at once.

    Args:
        network: from images to logits.
        window: images [B, C, *S].
        views: those to average.
        agreement: counts how far these views, the others, and the members of an ensemble agree. One that keeps a map
            is given one more channel, the part of the views that contradict the prediction.
        others: views that only ``agreement`` sees.
    """
    total, weight, labels = None, None, []
    counted = agreement is not None and agreement.views > 1
    for place, view in enumerate([*views, *others] if counted else views):
        params = view(len(window))
        members: list[Tensor] | None = [] if counted and place == 0 else None  # the first view changes nothing
        probs = probabilities(network, spatial.apply(window, params)[0], members)
        probs, seen = spatial.apply(probs, spatial.invert(params))
        if counted:
            labels += [_argmax(probs, seen), *(members or [])]
        if place < len(views):
            probs *= seen
            total = probs if total is None else total.add_(probs)
            weight = seen if weight is None else weight + seen
    if total is None or weight is None:
        raise ValueError("got no view; expected at least the scan itself")
    mean = total.div_(weight)
    if agreement is None or not labels:
        return mean
    agreement.add(labels)
    if agreement.map is None:
        return mean
    return torch.cat([mean, contradicted(labels, mean.argmax(dim=1), mean.shape[1])], dim=1)


def _random(config: SpatialConfig, seed: int, plan: InferencePlan, spacing_mm: Sequence[float]) -> View:
    """Return a random transform that is the same for all windows."""

    def view(count: int) -> spatial.SpatialParams:
        drawn = sampling.sample(config, 1, plan.patch_size, spacing_mm, Generator().manual_seed(seed))
        return drawn[torch.zeros(count, dtype=torch.long)]

    return view


def _argmax(probs: Tensor, seen: Tensor) -> Tensor:
    """Return class indices [B, *S] of probabilities [B, K, *S]; K where the view did not see the voxel."""
    classes = probs.shape[1]
    chosen = probs.argmax(dim=1).to(torch.uint8 if classes < 256 else torch.int32)
    return chosen.masked_fill_(seen[:, 0] <= 0, classes)
