"""Mirrored copies of a batch: the exact part of the group that a prediction should follow."""

import itertools
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

Mirror = tuple[int, ...]
"""Spatial axes that are turned round; none for the scan as it is."""


def draw(flip_axes: Sequence[int], count: int, generator: Generator) -> list[Mirror]:
    """Draw different mirrors, of which the first changes nothing.

    Args:
        flip_axes: spatial axes along which a mirrored scan is a plausible one.
        count: how many, 1 or more; fewer come where the axes do not carry so many.
        generator: the only source of random numbers.
    """
    sizes = range(1, len(flip_axes) + 1)
    others = [axes for size in sizes for axes in itertools.combinations(flip_axes, size)]
    if count == 1 or not others:
        return [()]
    order = torch.randperm(len(others), generator=generator).tolist()
    return [(), *(others[index] for index in order[: count - 1])]


def apply(x: Tensor, mirror: Mirror) -> Tensor:
    """Return a batch [B, C, *S] with axes turned round; the same once more undoes it."""
    return x.flip([2 + axis for axis in mirror]) if mirror else x
