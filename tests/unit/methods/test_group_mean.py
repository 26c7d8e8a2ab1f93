"""The mean over a group moves with the scan; a part of the group is averaged as it was drawn."""

import pytest
import torch
from torch import Generator, Tensor, nn

from equireg.methods.group_mean import group_mean, surer_mean
from equireg.transforms.group import Move, members

SHAPES = {2: (6, 8), 3: (4, 6, 8)}
PLANES = {2: ((0, 1),), 3: ((0, 1), (1, 2))}


def lopsided(n: int) -> nn.Module:
    """Return a network that commutes with no move."""
    torch.manual_seed(0)
    return nn.Conv2d(1, 3, 3, padding=1) if n == 2 else nn.Conv3d(1, 3, 3, padding=1)


def scan(n: int) -> Tensor:
    return torch.randn((2, 1, *SHAPES[n]), generator=Generator().manual_seed(1))


@pytest.mark.parametrize("n", [2, 3])
@pytest.mark.parametrize("turns", [False, True])
def test_the_mean_over_the_group_moves_with_the_scan(n, turns):
    """Also on samples whose sides differ: a turned copy has them exchanged."""
    network, image = lopsided(n), scan(n)
    every = members(n, tuple(range(n)), PLANES[n] if turns else ())
    with torch.no_grad():
        mean = group_mean(network, image, every, 1.0)
        for move in every[1::7]:
            moved = group_mean(network, move.apply(image), every, 1.0)
            assert torch.allclose(moved, move.apply(mean), atol=1e-5)
        alone = group_mean(network, every[-1].apply(image), every[:1], 1.0)
        assert not torch.allclose(alone, every[-1].apply(group_mean(network, image, every[:1], 1.0)), atol=1e-2)
    assert torch.allclose(mean.sum(1), torch.ones(()), atol=1e-5)


def test_it_is_the_mean_of_the_copies_that_are_given():
    network, image = lopsided(2), scan(2)
    copies = [Move((0, 1)), Move((1, 0), (0,)), Move((0, 1), (1,))]
    with torch.no_grad():
        found = group_mean(network, image, copies, 0.5)
        turned = (network(image.rot90(1, [2, 3])) / 0.5).softmax(1).rot90(-1, [2, 3])
        mirrored = (network(image.flip(3)) / 0.5).softmax(1).flip(3)
        expected = ((network(image) / 0.5).softmax(1) + turned + mirrored) / 3
    assert torch.allclose(found, expected, atol=1e-6)


def test_no_statistic_moves():
    network = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3)).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    group_mean(network, scan(2) + 5, members(2, (0, 1), PLANES[2]), 1.0)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert network.training


def test_two_teachers_share_the_group():
    one, other, image = lopsided(2), nn.Conv2d(1, 3, 1), scan(2)
    copies = members(2, (), PLANES[2])
    with torch.no_grad():
        found = surer_mean([one, other], image, copies, 1.0)
        parts = [
            move.inverse.apply(teacher(move.apply(image)).softmax(1))
            for teacher, move in zip((one, other, one, other), copies, strict=True)
        ]
        weights = [(part * part.log()).sum(1, keepdim=True).exp() for part in parts]
    weight = torch.stack(weights)
    expected = (weight * torch.stack(parts)).sum(0) / weight.sum(0)
    assert torch.allclose(found, expected, atol=1e-5)
