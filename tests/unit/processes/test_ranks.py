"""Random numbers of ranks: each draws what one process would, and takes its slice."""

import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Generator, Tensor

from equireg.config import IntensityConfig, SpatialConfig
from equireg.processes import ranks
from equireg.processes.ranks import Rank
from equireg.transforms import intensity, mixing, sampling

SPACING_MM = torch.tensor([[3.0, 1.0, 1.0], [9.0, 0.8, 0.8], [1.0, 1.0, 1.0], [2.0, 1.5, 1.5]])
"""Of the whole batch; the second sample has thick slices, and the elastic grid depends on all of them."""


def spatial(count: int, generator: Generator) -> list[Tensor]:
    params = sampling.sample(SpatialConfig(), count, (8, 16, 16), SPACING_MM, generator, (1, 2))
    assert len(params) == count
    link = params.links[0]
    return [part for part in (link.before, link.displacement, link.after, params.spacing_mm) if part is not None]


def intensities(count: int, generator: Generator) -> list[Tensor]:
    return list(vars(intensity.sample(IntensityConfig(probability=0.5), count, 2, generator)).values())


def boxes(count: int, generator: Generator) -> list[Tensor]:
    return list(vars(mixing.sample(count, (12, 12), generator, others=(count, 0.5))).values())


@pytest.mark.parametrize("draw", [spatial, intensities, boxes])
def test_the_shares_are_the_rows_of_the_whole(draw: Callable[[int, Generator], list[Tensor]]) -> None:
    whole = draw(4, torch.Generator().manual_seed(3))
    shares = [draw(2, ranks.generator(Rank(rank, 2), 3)) for rank in range(2)]
    for index, values in enumerate(whole):
        assert torch.equal(torch.cat([share[index] for share in shares]), values), index
    assert not torch.equal(shares[0][0], shares[1][0])


def test_a_shared_generator_goes_to_another_process_with_its_state() -> None:
    generator = ranks.generator(Rank(1, 2), 3)
    torch.rand(5, generator=generator)
    copy = pickle.loads(pickle.dumps(generator))
    assert copy.rank == Rank(1, 2)
    assert torch.equal(torch.rand(3, generator=copy), torch.rand(3, generator=generator))


def test_without_other_ranks_nothing_is_changed() -> None:
    value: Any = torch.ones(3)
    assert ranks.count() == 1
    assert ranks.summed(value)[0] is value
    assert ranks.gathered(value) is value
    assert ranks.gathered_lists([1, 2]) == [1, 2]
