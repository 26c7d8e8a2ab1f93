"""Scans, batches and views that are small enough for sums by hand."""

from collections.abc import Sequence

import torch
from torch import Generator

from equireg.batches.batch import Batch, Samples
from equireg.config import IntensityConfig, SpatialConfig, ViewsConfig

SHAPE = (12, 16)
_SAME = SpatialConfig(probability=0.0)
STILL = ViewsConfig(_SAME, _SAME, IntensityConfig(probability=0.0))
"""Views that are the scan itself."""


def some(count: int, shape: Sequence[int] = SHAPE, seed: int | None = None) -> Samples:
    """Return scans and classes of noise, the same for the same count, shape and seed, by default the count."""
    generator = Generator().manual_seed(count if seed is None else seed)
    return Samples(
        image=torch.randn((count, 1, *shape), generator=generator),
        valid=torch.ones(count, 1, *shape),
        fill=torch.zeros(count, 1),
        spacing_mm=torch.ones(count, 2),
        cases=("a",) * count,
        label=torch.randint(3, (count, 1, *shape), generator=generator),
    )


def some_batch(shape: Sequence[int] = SHAPE, seed: int = 0) -> Batch:
    """Return two labelled and four unlabelled scans, with the generator at a seed."""
    return Batch(some(2, shape), some(4, shape), Generator().manual_seed(seed), (0, 1))
