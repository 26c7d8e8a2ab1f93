"""Mirrored and turned copies of a batch: the exact part of the group that a prediction should follow."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Generator, Tensor

Planes = tuple[tuple[int, int], ...]
"""Pairs of spatial axes in whose plane a scan may be turned by quarters."""


@dataclass(frozen=True)
class Move:
    """A permutation of the spatial axes, some of which are then turned round: voxels move, none is interpolated."""

    order: tuple[int, ...]
    """The axis of the input that each axis of the output runs along, [n]."""
    mirrored: tuple[int, ...] = ()
    """Axes of the output that run backwards, rising."""

    def apply(self, x: Tensor) -> Tensor:
        """Return a batch [B, C, *S] moved; the sides of S are exchanged as ``order`` says."""
        if self.order != tuple(range(len(self.order))):
            x = x.permute(0, 1, *[2 + axis for axis in self.order])
        return x.flip([2 + axis for axis in self.mirrored]) if self.mirrored else x

    @property
    def inverse(self) -> "Move":
        """The move that undoes this one."""
        order = tuple(self.order.index(axis) for axis in range(len(self.order)))
        return Move(order, tuple(sorted(self.order[axis] for axis in self.mirrored)))

    def sides_before(self, sides: Sequence[int]) -> tuple[int, ...]:
        """Return the sides [n] that a batch has whose moved copy has the sides that are given."""
        return tuple(sides[axis] for axis in self.inverse.order)

    def vector(self, along: Sequence[int]) -> tuple[int, ...]:
        """Return a vector [n] along the axes of a batch as it lies along those of the moved copy."""
        return tuple(-along[a] if axis in self.mirrored else along[a] for axis, a in enumerate(self.order))

    def then(self, other: "Move") -> "Move":
        """Return this move and then the other as one."""
        order = tuple(self.order[axis] for axis in other.order)
        places = range(len(order))
        return Move(order, tuple(i for i in places if (i in other.mirrored) != (other.order[i] in self.mirrored)))


def draw(
    n: int, flip_axes: Sequence[int], turn_planes: Sequence[tuple[int, int]], count: int, generator: Generator
) -> list[Move]:
    """Draw different moves of a group, of which the first changes nothing.

    Args:
        n: spatial axes of a sample.
        flip_axes: those along which a mirrored scan is a plausible one.
        turn_planes: pairs of them in whose plane a quarter turn gives a plausible one.
        count: how many, 1 or more; all of the group where it has no more, in an order that does not matter.
        generator: the only source of random numbers.
    """
    first, *others = members(n, tuple(flip_axes), tuple(turn_planes))
    if count == 1 or not others:
        return [first]
    order = torch.randperm(len(others), generator=generator).tolist()
    return [first, *(others[index] for index in order[: count - 1])]


@lru_cache(maxsize=32)
def members(n: int, flip_axes: tuple[int, ...], turn_planes: Planes) -> tuple[Move, ...]:
    """Return all moves that mirrors and quarter turns make together, the one that changes nothing first.

    In the plane of a slice both mirrors and the turn make 8, the turn alone 4 (two turns are both mirrors), both
    mirrors 4; in volumes all together make 48.
    """
    still = Move(tuple(range(n)))
    makers = [Move(still.order, (axis,)) for axis in flip_axes] + [quarter_turn(n, plane) for plane in turn_planes]
    found, new = {still}, {still}
    while new:
        new = {move.then(maker) for move in new for maker in makers} - found
        found |= new
    # Mirrors come first, in the order of the axes as they are given: what is drawn of them stays what it was.
    axes = (*flip_axes, *(axis for axis in range(n) if axis not in flip_axes))
    mirrors = [tuple(sorted(some)) for size in range(n + 1) for some in itertools.combinations(axes, size)]
    orders = itertools.permutations(range(n))
    return tuple(move for order in orders for some in mirrors if (move := Move(order, some)) in found)


def quarter_turn(n: int, plane: tuple[int, int]) -> Move:
    """Return the turn by 90 degrees from the first axis of a plane to the second, as ``torch.rot90`` turns."""
    first, second = plane
    order = list(range(n))
    order[first], order[second] = second, first
    return Move(tuple(order), (first,))
