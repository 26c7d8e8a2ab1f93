"""Mirrored copies: different, the scan itself first, and undone by themselves."""

import pytest
import torch
from torch import Generator

from equireg.transforms import mirrors


@pytest.mark.parametrize(
    ("axes", "count", "found"),
    [((), 4, 1), ((1,), 1, 1), ((1,), 4, 2), ((0, 1), 2, 2), ((0, 1), 4, 4), ((0, 1, 2), 9, 8)],
)
def test_they_are_different_and_the_first_changes_nothing(axes, count, found):
    drawn = mirrors.draw(axes, count, Generator().manual_seed(0))
    assert drawn[0] == ()
    assert len(set(drawn)) == len(drawn) == found
    assert all(set(mirror) <= set(axes) for mirror in drawn)


def test_the_choice_is_random():
    seen = {mirrors.draw((0, 1), 2, Generator().manual_seed(seed))[1] for seed in range(40)}
    assert seen == {(0,), (1,), (0, 1)}


def test_a_single_copy_draws_nothing():
    generator = Generator().manual_seed(0)
    before = generator.get_state()
    mirrors.draw((0, 1), 1, generator)
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("mirror", [(), (0,), (1, 2)])
def test_twice_is_once_undone(mirror):
    x = torch.arange(48.0).view(2, 1, 2, 3, 4)
    turned = mirrors.apply(x, mirror)
    assert torch.equal(turned, x) == (not mirror)
    assert torch.equal(mirrors.apply(turned, mirror), x)
