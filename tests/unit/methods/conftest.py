"""A batch, a network and a maker of methods that are small enough for sums by hand."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Generator, nn

from equireg.batches.batch import Batch, Samples
from equireg.config import TrainConfig, ViewsConfig
from equireg.methods import Method, find
from methods_made_up import STILL, some

SHAPE = (12, 16)
MAX_STEPS = 100


@pytest.fixture
def still() -> ViewsConfig:
    """Views that are the scan itself."""
    return STILL


@pytest.fixture
def unlabelled() -> Samples:
    """Four scans without a label."""
    return replace(some(4), label=None)


@pytest.fixture
def batch(unlabelled: Samples) -> Callable[..., Batch]:
    """Make a batch of two labelled and the four unlabelled scans, with its generator at a seed."""

    def make(seed: int = 0, unlabelled: Samples | None = unlabelled) -> Batch:
        return Batch(some(2), unlabelled, Generator().manual_seed(seed), (0, 1))

    return make


@pytest.fixture
def network() -> Callable[[], nn.Module]:
    """Make a network of one channel and three classes, with the same weights every time."""

    def make() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1),
            nn.InstanceNorm2d(4, affine=True),
            nn.LeakyReLU(),
            nn.Conv2d(4, 3, 3, padding=1),
        )

    return make


@pytest.fixture
def made(network: Callable[[], nn.Module]) -> Callable[..., Any]:
    """Make a method of a run of 100 steps by its name, its options, and views; ``student_of`` makes its network."""

    def make(
        name: str,
        views: ViewsConfig | None = None,
        student_of: Callable[[], nn.Module] = network,
        **options: Any,
    ) -> Method:
        kind = find(name)
        config = TrainConfig(method=kind.Options(**options), views=views or ViewsConfig())
        return kind(config, student_of, MAX_STEPS)

    return make
