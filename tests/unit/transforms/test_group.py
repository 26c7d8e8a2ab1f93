"""Mirrors and quarter turns: all of the group, each exact and undone by its inverse, also where sides differ."""

import itertools

import pytest
import torch
from torch import Generator

from equireg.transforms import group
from equireg.transforms.group import Move, members, quarter_turn

PLANE = ((0, 1),)
PLANES = ((0, 1), (1, 2))


@pytest.mark.parametrize(
    ("n", "axes", "planes", "order"),
    [
        (2, (), (), 1),
        (2, (1,), (), 2),
        (2, (0, 1), (), 4),
        (3, (0, 1, 2), (), 8),
        (2, (), PLANE, 4),
        (2, (1,), PLANE, 8),
        (2, (0, 1), PLANE, 8),
        (3, (0, 1, 2), ((1, 2),), 16),
        (3, (), PLANES, 24),
        (3, (0, 1, 2), PLANES, 48),
    ],
)
def test_a_group_has_all_its_moves_once(n, axes, planes, order):
    found = members(n, axes, planes)
    assert len(set(found)) == len(found) == order
    assert found[0] == Move(tuple(range(n)))
    for one, other in itertools.product(found, found[: min(order, 8)]):
        assert one.then(other) in found
        assert one.inverse in found


@pytest.mark.parametrize("shape", [(3, 4), (4, 4), (2, 3, 4)])
def test_moves_are_exact_and_undone(shape):
    n = len(shape)
    x = torch.randn((2, 3, *shape), generator=Generator().manual_seed(0))
    every = members(n, tuple(range(n)), PLANES[: n - 1])
    for move in every:
        moved = move.apply(x)
        assert moved.shape[2:] == tuple(shape[axis] for axis in move.order)
        assert torch.equal(move.inverse.apply(moved), x)
        assert torch.equal(moved.flatten(2).sort().values, x.flatten(2).sort().values)
        for other in every[::5]:
            assert torch.equal(move.then(other).apply(x), other.apply(moved))
    assert len({move.apply(x).flatten(1).numpy().tobytes() for move in every}) == len(every)


@pytest.mark.parametrize(("n", "plane"), [(2, (0, 1)), (2, (1, 0)), (3, (0, 2)), (3, (1, 2))])
def test_a_quarter_turn_is_that_of_torch(n, plane):
    x = torch.arange(120.0).view(2, 1, *{2: (3, 20), 3: (3, 4, 5)}[n])
    axes = [2 + axis for axis in plane]
    turn = quarter_turn(n, plane)
    assert torch.equal(turn.apply(x), torch.rot90(x, 1, axes))
    assert torch.equal(turn.then(turn).apply(x), torch.rot90(x, 2, axes))
    assert torch.equal(turn.inverse.apply(x), torch.rot90(x, -1, axes))


@pytest.mark.parametrize(
    ("axes", "planes", "count", "found"),
    [((), (), 4, 1), ((1,), (), 1, 1), ((1,), (), 4, 2), ((0, 1), (), 2, 2), ((0, 1), PLANE, 3, 3), ((), PLANE, 9, 4)],
)
def test_drawn_moves_differ_and_the_first_changes_nothing(axes, planes, count, found):
    drawn = group.draw(2, axes, planes, count, Generator().manual_seed(0))
    assert drawn[0] == Move((0, 1))
    assert len(set(drawn)) == len(drawn) == found
    assert set(drawn) <= set(members(2, axes, planes))


def test_the_choice_is_random():
    seen = {group.draw(2, (0, 1), PLANE, 2, Generator().manual_seed(seed))[1] for seed in range(80)}
    assert seen == set(members(2, (0, 1), PLANE)[1:])


def test_a_single_copy_draws_nothing():
    generator = Generator().manual_seed(0)
    before = generator.get_state()
    group.draw(2, (0, 1), PLANE, 1, generator)
    assert torch.equal(generator.get_state(), before)


def test_mirrors_alone_are_drawn_as_the_axes_are_given():
    """What a seed draws must not change: results of earlier runs depend on it."""
    assert [move.mirrored for move in members(2, (0, 1), ())] == [(), (0,), (1,), (0, 1)]
    assert [move.mirrored for move in members(3, (2, 0), ())] == [(), (2,), (0,), (0, 2)]


def test_a_vector_goes_along():
    """A voxel that lies a vector away from another lies the moved vector away after the move."""
    x = torch.arange(3 * 4 * 5.0).view(1, 1, 3, 4, 5)
    for move in members(3, (0, 1, 2), PLANES):
        moved = move.apply(x)[0, 0]
        start = torch.nonzero(moved == x[0, 0, 1, 1, 1])[0]
        end = torch.nonzero(moved == x[0, 0, 2, 0, 3])[0]
        assert (end - start).tolist() == list(move.vector((1, -1, 2)))
        assert move.sides_before(tuple(moved.shape)) == (3, 4, 5)
