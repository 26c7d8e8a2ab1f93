"""Labelled and unlabelled samples that exchange a box before the network sees them, and its answer after."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from equireg.batches.batch import Batch
from equireg.config import IntensityConfig, SpatialConfig, TrainConfig, ViewsConfig
from equireg.config.networks import UNetConfig
from equireg.errors import UsageError
from equireg.methods.equireg import EquiReg, EquiRegConfig
from equireg.networks import build
from equireg.processes.ranks import Rank, generator
from equireg.transforms.mixing import EXCHANGED_SIDE, Exchange
from methods_made_up import STILL, some

SHAPE = (16, 24)
FLIPS = ViewsConfig(SpatialConfig(probability=0.0), SpatialConfig(probability=1.0), IntensityConfig(probability=0.0))


class Watched(nn.Module):
    """A network that answers each voxel by itself, or by its neighbours, and keeps what it was shown."""

    def __init__(self, size: int) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(1, 3, size, padding=size // 2)
        self.seen: list[Tensor] = []

    def forward(self, image: Tensor) -> Tensor:
        self.seen.append(image.detach())
        return self.layer(image)


def batch(unlabelled: int = 2) -> Batch:
    return Batch(
        some(2, SHAPE, seed=1), replace(some(unlabelled, SHAPE, seed=2), label=None), Generator().manual_seed(0), (0, 1)
    )


def seen_by(network: nn.Module) -> list[Tensor]:
    assert isinstance(network, Watched)
    return network.seen


def method(size: int = 3, views: ViewsConfig = STILL, **options: Any) -> EquiReg:
    options = {"threshold": 0.0, "passes": 1, "cutmix": 0.0, "ramp_least": 0, **options}
    config = TrainConfig(method=EquiRegConfig(**options), views=views)
    return EquiReg(config, lambda: Watched(size), 100)


def both_parts(pairs: int, others: int) -> tuple[Tensor, Tensor]:
    first = torch.arange(pairs * 384.0).view(pairs, 1, *SHAPE)
    return first, -1 - torch.arange(others * 384.0).view(others, 1, *SHAPE)


@pytest.mark.parametrize(("first", "second"), [(2, 2), (2, 6), (3, 2), (2, 3)])
def test_done_twice_it_is_as_if_it_had_never_been(first, second):
    one, other = both_parts(first, second)
    exchange = Exchange.draw(one, other, Generator().manual_seed(0), 1.0)
    both = torch.cat([one, other])
    moved = exchange(both)
    assert torch.equal(exchange(moved), both)
    assert torch.equal(moved.flatten().sort().values, both.flatten().sort().values)  # nothing is lost or doubled
    changed = (moved != both).flatten(1).any(1)
    assert int(changed[:first].sum()) == int(changed[first:].sum()) == min(first, second)


def test_a_box_has_the_same_place_in_both():
    one, other = both_parts(2, 2)
    exchange = Exchange.draw(one, other, Generator().manual_seed(3), 1.0)
    moved = exchange(torch.cat([one, other]))
    for index in range(2):
        assert torch.equal(moved[index] < 0, moved[2 + index] >= 0)
        assert torch.equal(moved[index][moved[index] < 0], other[index][moved[2 + index] >= 0])


def test_boxes_have_two_thirds_of_the_sides_on_average():
    one, other = torch.zeros(200, 1, 60, 60), torch.ones(200, 1, 60, 60)
    box = Exchange.draw(one, other, Generator().manual_seed(0), 1.0).box
    assert float(box.float().mean()) == pytest.approx(EXCHANGED_SIDE**2, abs=0.02)
    part = Exchange.draw(one, other, Generator().manual_seed(0), 0.25).box.flatten(1).any(1).float().mean()
    assert 0.15 < float(part) < 0.35
    assert not Exchange.draw(one, other, Generator().manual_seed(0), 0.0).box.any()


def test_in_volumes_boxes_have_two_thirds_of_the_sides_too():
    one, other = torch.zeros(50, 1, 24, 24, 24), torch.ones(50, 1, 24, 24, 24)
    box = Exchange.draw(one, other, Generator().manual_seed(0), 1.0).box
    assert float(box.float().mean()) == pytest.approx(EXCHANGED_SIDE**3, abs=0.03)


def test_ranks_exchange_what_one_process_would():
    one, other = both_parts(4, 12)
    whole = Exchange.draw(one, other, Generator().manual_seed(0), 1.0)(torch.cat([one, other]))
    for index in range(2):
        mine, theirs = one[2 * index : 2 * index + 2], other[6 * index : 6 * index + 6]
        part = Exchange.draw(mine, theirs, generator(Rank(index, 2), 0), 1.0)(torch.cat([mine, theirs]))
        assert torch.equal(part[:2], whole[2 * index : 2 * index + 2])
        assert torch.equal(part[2:], whole[4 + 6 * index : 10 + 6 * index])


def test_a_network_that_looks_at_single_voxels_sees_no_difference():
    """Losses, targets and masks stay what they were: only what lies about a voxel changes."""
    plain, boxes = method(1).losses(batch(), 90), method(1, exchange=1.0).losses(batch(), 90)
    for name in plain:
        assert torch.allclose(plain[name], boxes[name], atol=1e-5), name


def test_one_that_looks_at_neighbours_does():
    plain, made = method(3).losses(batch(), 90), method(3, exchange=1.0)
    boxes = made.losses(batch(), 90)
    assert abs(float(plain["supervised"] - boxes["supervised"])) > 1e-3
    given = batch()
    assert given.unlabelled is not None
    both = torch.cat([given.labelled.image, given.unlabelled.image])
    (shown,) = seen_by(made.student)
    assert (shown != both).flatten(1).any(1).all()
    assert made.teacher is not None
    assert all(
        torch.equal(seen, given.unlabelled.image) for seen in seen_by(made.teacher)
    )  # the teacher sees whole scans


def test_what_nobody_has_decided_is_no_exchange():
    assert method().options.exchange is None
    undecided, without = method().losses(batch(), 90), method(exchange=0.0).losses(batch(), 90)
    assert all(torch.equal(value, without[name]) for name, value in undecided.items())


def test_partners_get_no_box_of_another_kind_and_the_others_keep_it():
    given = batch(6)
    assert given.unlabelled is not None
    dark = replace(given.unlabelled, image=torch.zeros_like(given.unlabelled.image))
    bright = replace(given.labelled, image=torch.full_like(given.labelled.image, 7.0))
    given = replace(given, labelled=bright, unlabelled=dark)
    made = method(cutmix=1.0, exchange=1.0)
    task = made.mixed(made.task(dark, given, 0), made.augmented(given), given)
    mixed = (task.image == 7).flatten(1).any(1)
    assert mixed.tolist() == [False, True, True, False, True, True]
    made.losses(given, 90)
    (shown,) = seen_by(made.student)
    assert [bool((one == 0).any() and (one == 7).any()) for one in shown] == [True] * 8


@pytest.mark.parametrize("teacher", ["ema", "cross", "two"])
def test_all_teachers_and_networks_of_several_resolutions_take_it(teacher):
    config = UNetConfig(features=2, stages=3, deep_supervision=True)
    made = EquiReg(
        TrainConfig(method=EquiRegConfig(teacher=teacher, exchange=1.0), views=FLIPS),
        lambda: build(config, in_channels=1, out_channels=3, spatial_dims=2),
        100,
    )
    losses = made.losses(batch(), 90)
    losses["total"].backward()
    assert losses["total"].isfinite()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in made.student.parameters())


@pytest.mark.parametrize("value", [-0.1, 1.5])
def test_other_rates_are_refused(value):
    with pytest.raises(UsageError, match="exchange"):
        EquiRegConfig(exchange=value)
