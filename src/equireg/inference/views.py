"""The transformed copies of a window over which its prediction is averaged."""

import itertools
from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from equireg.config import SpatialConfig
from equireg.inference.agreement import Agreement
from equireg.inference.plan import InferencePlan
from equireg.transforms import sampling, spatial

_TEST_TIME = SpatialConfig(probability=1.0, flips=False, rotation_deg=15.0, scale=1.1)
"""Random transforms of test-time equivariance: affine, so that each has an inverse."""

View = Callable[[int], spatial.SpatialParams]
"""Gives a transform for any number of windows."""


def views_of(plan: InferencePlan, spacing_mm: Sequence[float]) -> list[View]:
    """Return the transforms to average over; the first changes nothing."""
    n = plan.spatial_dims
    axes = plan.flip_axes if plan.test_time != "none" else ()

    def mirror(signs: Tensor, count: int) -> spatial.SpatialParams:
        matrix = torch.diag(torch.cat([signs, torch.ones(1)])).expand(count, -1, -1)
        return spatial.affine(matrix, plan.patch_size, spacing_mm)

    def random(seed: int, count: int) -> spatial.SpatialParams:
        generator = Generator().manual_seed(seed)
        drawn = sampling.sample(_TEST_TIME, 1, plan.patch_size, spacing_mm, generator)
        return drawn[torch.zeros(count, dtype=torch.long)]

    views: list[View] = []
    for chosen in itertools.product((1.0, -1.0), repeat=len(axes)):
        signs = torch.ones(n)
        signs[list(axes)] = torch.tensor(chosen)
        views.append(lambda count, signs=signs: mirror(signs, count))
    if plan.test_time == "equivariance":
        views += [lambda count, seed=seed: random(seed, count) for seed in range(plan.passes)]
    return views


def averaged(network: nn.Module, window: Tensor, views: Sequence[View], agreement: Agreement | None = None) -> Tensor:
    """Average the probabilities [B, K, *S] over the views, each brought back; a voxel that left a view does not count.

    At most three arrays of that size are held at once. ``agreement`` counts how far the first views agree.
    """
    total, weight, labels = None, None, []
    for view in views:
        params = view(len(window))
        probs = functional.softmax(network(spatial.apply(window, params)[0]).float(), dim=1)
        probs, seen = spatial.apply(probs, spatial.invert(params))
        probs *= seen
        if agreement is not None and 1 < agreement.views > len(labels):
            labels.append(probs.argmax(dim=1).to(torch.uint8 if probs.shape[1] <= 256 else torch.int32))
        total = probs if total is None else total.add_(probs)
        weight = seen if weight is None else weight + seen
    if total is None or weight is None:
        raise ValueError("got no view; expected at least the scan itself")
    if agreement is not None and labels:
        agreement.add(labels)
    return total.div_(weight)
