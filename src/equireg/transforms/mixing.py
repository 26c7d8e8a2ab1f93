"""CutMix: a box of one sample is replaced by the same box of another (Yun et al. 2019; French et al. 2020)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from equireg.processes import ranks

VOLUME = (0.1, 0.5)
"""Least and greatest part of the field of view that a box takes."""


@dataclass(frozen=True)
class MixParams:
    """Which voxels of a batch come from which other sample of it."""

    partner: Tensor
    """Index of the sample that the box comes from, [B]; from B on, of the others that ``apply`` is given. Where ranks
    divide a batch, indices are those of the whole batch."""
    box: Tensor
    """True inside the box, [B, 1, *S]; all False where a sample is not mixed."""


def sample(
    batch_size: int,
    spatial_shape: Sequence[int],
    generator: Generator,
    probability: float = 0.5,
    volume: tuple[float, float] = VOLUME,
    others: tuple[int, float] = (0, 0.0),
) -> MixParams:
    """Draw a box and a partner for every sample.

    Args:
        batch_size: samples, B; a single one is never mixed.
        spatial_shape: voxels of the field of view.
        generator: the only source of random numbers, on the CPU.
        probability: probability that a sample is mixed.
        volume: least and greatest part of the field of view that a box takes.
        others: how many samples stand beside the batch, and the probability that a box comes from one of them.
    """
    rank = ranks.rank_of(generator)
    own, batch_size = rank.slice_of(batch_size), rank.whole(batch_size)
    n = len(spatial_shape)
    mixed = torch.rand(batch_size, generator=generator) < probability
    part = volume[0] + (volume[1] - volume[0]) * torch.rand(batch_size, generator=generator)
    # The sides' ratios vary about the field of view's own, their product is the drawn part.
    skew = (torch.rand((batch_size, n), generator=generator) - 0.5) * math.log(2)
    skew = skew - skew.mean(dim=1, keepdim=True)
    sides = (part[:, None] ** (1 / n) * torch.exp(skew)).clamp(max=1.0)
    starts = torch.rand((batch_size, n), generator=generator) * (1 - sides)
    box = mixed.view(-1, 1, *[1] * n)
    for axis, size in enumerate(spatial_shape):
        places = (torch.arange(size) + 0.5) / size
        within = (places >= starts[:, axis, None]) & (places < (starts + sides)[:, axis, None])  # [B, size]
        view = [batch_size, 1] + [1] * n
        view[2 + axis] = size
        box = box & within.view(view)
    shift = 1 + torch.randint(max(batch_size - 1, 1), (1,), generator=generator)
    partner = (torch.arange(batch_size) + shift) % batch_size
    count, rate = rank.whole(others[0]), others[1]
    if count and rate:
        outside = batch_size + torch.randint(count, (batch_size,), generator=generator)
        partner = torch.where(torch.rand(batch_size, generator=generator) < rate, outside, partner)
    return MixParams(partner=partner[own], box=box[own])


def apply(x: Tensor, params: MixParams, others: Tensor | None = None) -> Tensor:
    """Replace each sample's box by its partner's, in images, targets and ``valid``, [B, C, *S].

    Args:
        x: the batch.
        params: from ``sample``.
        others: samples beside the batch that boxes may come from, [N, C, *S].
    """
    pool = ranks.gathered(x)
    if others is not None:
        pool = torch.cat([pool, ranks.gathered(others.to(x.dtype))])
    return torch.where(params.box.to(x.device), pool[params.partner.to(x.device)], x)
