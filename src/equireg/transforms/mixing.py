"""Boxes of one sample in another: CutMix (Yun et al. 2019; French et al. 2020), and samples that exchange a box."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Generator, Tensor
from torch.nn import functional

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

    def without(self, samples: slice) -> "MixParams":
        """Return the same without the boxes in some samples."""
        box = self.box.clone()
        box[samples] = False
        return replace(self, box=box)


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


EXCHANGED_SIDE = 2 / 3
"""Sides of a box that two samples exchange, as a fraction of the field of view's, on average; that of BCP."""


@dataclass(frozen=True)
class Exchange:
    """A box that a sample of a batch's first part exchanges with one of its second part.

    Done twice it is as if it had never been. So images are exchanged before a network sees them, and its answer is
    exchanged back: the answer for exchanged scans must be the exchanged answer, and every loss stays what it was. The
    network then sees something of both parts in one image, as in BCP (Bai et al. 2023).
    """

    box: Tensor
    """True inside the box of each pair, [N, 1, *S]; all False where a pair exchanges nothing."""
    first: int
    """Samples of the first part; the pairs are its first N."""
    partners: slice
    """Their partners in the second part."""

    @classmethod
    def draw(cls, first: Tensor, second: Tensor, generator: Generator, probability: float) -> "Exchange":
        """Draw which samples of two parts, each [B, C, *S], exchange a box, and where it lies."""
        partners = partners_in(len(second), len(first))
        pairs, volume = len(range(len(second))[partners]), EXCHANGED_SIDE ** (first.ndim - 2)
        drawn = sample(pairs, first.shape[2:], generator, probability, (volume, volume))
        return cls(drawn.box.to(first.device), len(first), partners)

    def __call__(self, both: Tensor) -> Tensor:
        """Return both parts of a batch, [B + U, C, *S] at any resolution, after the exchange."""
        pairs, box = len(self.box), self.box
        if both.shape[2:] != box.shape[2:]:
            box = functional.interpolate(box.to(both), size=both.shape[2:], mode="nearest-exact") > 0
        first, second = both[: self.first].clone(), both[self.first :].clone()
        first[:pairs] = torch.where(box, both[self.first :][self.partners], both[:pairs])
        second[self.partners] = torch.where(box, both[:pairs], both[self.first :][self.partners])
        return torch.cat([first, second])


def partners_in(second: int, first: int) -> slice:
    """Return which of the samples of a second part are partners of those of the first, in their order.

    They are spread evenly, so that a sample has the same partner whichever rank computes it.
    """
    stride = max(1, second // first)
    return slice(0, stride * first, stride)
