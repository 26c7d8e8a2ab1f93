"""CutMix: how large the boxes are, where their voxels come from, and how often."""

import pytest
import torch
from torch import Generator

from equireg.transforms import mixing


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


@pytest.mark.parametrize("shape", [(64, 64), (40, 80), (32, 32, 32)])
def test_boxes_take_their_part_of_the_field_of_view(shape):
    box = mixing.sample(300, shape, seeded(), probability=1.0).box
    assert box.shape == (300, 1, *shape)
    part = box.flatten(1).float().mean(1)
    slack = 0.02 * len(shape)  # a side is a whole number of voxels
    assert 0.1 - slack <= part.min() < 0.15
    assert 0.4 < part.max() <= 0.5 + slack
    for axis in range(2, 2 + len(shape)):  # every voxel of the field of view can be drawn
        others = [other for other in range(1, box.ndim) if other != axis]
        assert box.float().mean(dim=(0, *others)).min() > 0


@pytest.mark.parametrize("shape", [(20, 30), (10, 12, 14)])
def test_a_box_is_one_box(shape):
    for box in mixing.sample(20, shape, seeded(), probability=1.0).box[:, 0]:
        where = torch.nonzero(box)
        sides = where.amax(0) - where.amin(0) + 1
        assert int(sides.prod()) == len(where)


@pytest.mark.parametrize("shape", [(8, 9), (6, 7, 8)])
def test_voxels_come_from_the_partner_inside_the_box_alone(shape):
    params = mixing.sample(4, shape, seeded(), probability=1.0)
    x = torch.randn(4, 3, *shape, generator=seeded())
    mixed = mixing.apply(x, params)
    assert (params.partner != torch.arange(4)).all()
    for row in range(4):
        inside = params.box[row, 0]
        assert inside.any()
        assert torch.equal(mixed[row][:, inside], x[params.partner[row]][:, inside])
        assert torch.equal(mixed[row][:, ~inside], x[row][:, ~inside])
    assert torch.equal(x, torch.randn(4, 3, *shape, generator=seeded()))


def test_labels_keep_their_type():
    labels = torch.arange(3).view(3, 1, 1, 1).expand(3, 1, 8, 8).to(torch.uint8)
    params = mixing.sample(3, (8, 8), seeded(), probability=1.0)
    mixed = mixing.apply(labels, params)
    assert mixed.dtype == torch.uint8
    assert torch.equal(mixed, torch.where(params.box, params.partner.view(3, 1, 1, 1), labels).to(torch.uint8))


def test_the_probability_to_be_mixed():
    x = torch.arange(400.0).view(400, 1, 1, 1).expand(400, 1, 8, 8)
    for probability in (0.0, 0.3, 1.0):
        mixed = mixing.apply(x, mixing.sample(400, (8, 8), seeded(), probability))
        part = (mixed != x).flatten(1).any(1).float().mean()
        assert float(part) == pytest.approx(probability, abs=0.0 if probability in (0.0, 1.0) else 0.07)


def test_a_single_sample_is_never_mixed():
    x = torch.randn(1, 2, 8, 8, generator=seeded())
    for seed in range(5):
        assert torch.equal(mixing.apply(x, mixing.sample(1, (8, 8), seeded(seed), probability=1.0)), x)


def test_every_other_sample_can_be_the_partner():
    found = {int(mixing.sample(4, (4, 4), seeded(seed)).partner[0]) for seed in range(40)}
    assert found == {1, 2, 3}


def test_the_generator_is_the_only_randomness():
    before = torch.get_rng_state()
    first, again, other = (mixing.sample(6, (16, 16), seeded(seed), 1.0) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first.box, again.box)
    assert torch.equal(first.partner, again.partner)
    assert not torch.equal(first.box, other.box)


@pytest.mark.parametrize(("rate", "least", "most"), [(0.0, 0.0, 0.0), (0.5, 0.35, 0.65), (1.0, 1.0, 1.0)])
def test_boxes_come_from_the_others_as_often_as_asked(rate, least, most):
    params = mixing.sample(200, (8, 8), seeded(), probability=1.0, others=(3, rate))
    outside = params.partner >= 200
    assert least <= outside.float().mean() <= most
    assert params.partner.max() < 203
    assert params.partner[outside].unique().numel() in ((0,) if rate == 0 else (3,))


def test_boxes_of_the_others_are_pasted():
    x, others = torch.zeros(4, 2, 8, 8), torch.ones(3, 2, 8, 8, dtype=torch.uint8)
    params = mixing.sample(4, (8, 8), seeded(), probability=1.0, others=(3, 1.0))
    mixed = mixing.apply(x, params, others)
    assert mixed.dtype == x.dtype
    assert torch.equal(mixed, params.box.expand_as(mixed).to(x.dtype))
    assert not x.any()
