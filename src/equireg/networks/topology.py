"""Which axes each stage of a network halves, and where its kernels are flat: from the patch and the spacing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from equireg.errors import UsageError

_SMALLEST = 4
"""Voxels that the coarsest stage keeps at least along each axis that it halved."""
_STAGES = 6
"""Most resolutions."""
_ALIKE = 2.0
"""Spacings that differ by less than this factor are treated alike."""

Strides = list[tuple[int, ...]]
"""Stride of each stage along each axis; the first stage has the full resolution."""


@dataclass(frozen=True)
class Topology:
    """The strides and kernels of each stage along each axis."""

    strides: Strides
    kernels: list[tuple[int, ...]]


def strides_for(patch_size: Sequence[int]) -> Strides:
    """Return the strides that a patch carries: an axis is halved while it is even and keeps 4 voxels or more.

    Axes stop on their own, so that a volume of few slices is still halved in their plane.
    """
    sides = list(patch_size)
    strides: Strides = [(1,) * len(sides)]
    while len(strides) < _STAGES:
        stride = tuple(2 if _halves(side) else 1 for side in sides)
        if max(stride) == 1:
            break
        sides = [side // step for side, step in zip(sides, stride, strict=True)]
        strides.append(stride)
    return strides


def round_up_side(size: float) -> int:
    """Return the next side of a patch that can be halved as often as its length allows."""
    side = max(2 * _SMALLEST, math.ceil(size))
    halvings = min(_STAGES - 1, int(math.log2(side / _SMALLEST)))
    return math.ceil(side / 2**halvings) * 2**halvings


def topology_for(patch_size: Sequence[int], spacing_mm: Sequence[float]) -> Topology:
    """Return strides and kernels for voxels that are not cubes, by the rule of nnU-Net (Isensee et al. 2021).

    A stage halves the axes whose spacing is less than twice the finest of those that can still be halved, so that the
    spacings become alike on the way down. A kernel is 1 voxel long along an axis whose spacing is twice the finest one
    or more, and 3 from the stage on where it is less. Other than there, an axis of odd length is not halved.

    Args:
        patch_size: voxels of the patch, [n].
        spacing_mm: spacing along the same axes, mm.
    """
    sides, spacing = list(patch_size), list(spacing_mm)
    strides: Strides = [(1,) * len(sides)]
    kernels = [_kernel(spacing, (1,) * len(sides))]
    while len(strides) < _STAGES:
        open_ = [axis for axis, side in enumerate(sides) if _halves(side)]
        if not open_:
            break
        finest = min(spacing[axis] for axis in open_)
        stride = tuple(
            2 if axis in open_ and spacing[axis] < _ALIKE * finest - 1e-6 else 1 for axis in range(len(sides))
        )
        sides = [side // step for side, step in zip(sides, stride, strict=True)]
        spacing = [size * step for size, step in zip(spacing, stride, strict=True)]
        strides.append(stride)
        kernels.append(_kernel(spacing, kernels[-1]))
    return Topology(strides, kernels)


def kernels_of(given: Sequence[Sequence[int]] | None, strides: Strides) -> Strides:
    """Return the kernel of each stage: those that an option gives, and 3 along every axis of all further stages."""
    listed = [tuple(kernel) for kernel in given or ()][: len(strides)]
    return listed + [(3,) * len(strides[0])] * (len(strides) - len(listed))


def _halves(side: int) -> bool:
    return side % 2 == 0 and side >= 2 * _SMALLEST


def _kernel(spacing_mm: Sequence[float], before: Sequence[int]) -> tuple[int, ...]:
    """Return a stage's kernel; an axis that was 3 long at a finer stage stays so."""
    finest = min(spacing_mm)
    return tuple(
        3 if earlier == 3 or size < _ALIKE * finest - 1e-6 else 1
        for size, earlier in zip(spacing_mm, before, strict=True)
    )


def given_topology(
    strides: Sequence[Sequence[int]] | None, kernels: Sequence[Sequence[int]] | None, patch_size: Sequence[int]
) -> Topology:
    """Return the topology that options name, with ours for what they leave out; both fit the patch.

    Raises:
        UsageError: if a stage has another number of axes than the patch, there are not as many kernels as strides, or
            the patch does not divide by the strides.
    """
    found = strides_for(patch_size) if strides is None else [tuple(stride) for stride in strides]
    flat = [(3,) * len(patch_size)] * len(found) if kernels is None else [tuple(kernel) for kernel in kernels]
    for name, listed in (("strides", found), ("kernels", flat)):
        for stage in listed:
            check_axes(f"--network.{name} has the stage {list(stage)}", stage, patch_size)
    if len(flat) != len(found):
        raise UsageError(f"--network.kernels has {len(flat)} stages; expected {len(found)}, as --network.strides.")
    totals = [math.prod(stride[axis] for stride in found) for axis in range(len(patch_size))]
    divided("--network.strides", totals, patch_size)
    return Topology(found, flat)


def check_axes(given: str, numbers: Sequence[int], patch_size: Sequence[int]) -> None:
    """Refuse numbers that are not one an axis of the patch; ``given`` says what they are.

    Raises:
        UsageError: if there are more or fewer.
    """
    if len(numbers) != len(patch_size):
        raise UsageError(f"{given}; expected {len(patch_size)} numbers, one an axis of the patch {list(patch_size)}.")


def divided(option: str, factors: Sequence[int], patch_size: Sequence[int]) -> tuple[int, ...]:
    """Return the sides of a patch divided by the factor of each axis.

    Args:
        option: what gives the factors, for the error.
        factors: a number an axis.
        patch_size: voxels along the same axes.

    Raises:
        UsageError: if a side does not divide.
    """
    for axis, (side, factor) in enumerate(zip(patch_size, factors, strict=True)):
        if side % factor:
            raise UsageError(
                f"--patch_size is {list(patch_size)}, and {option} divides axis {axis} by {factor}; expected a side "
                f"that divides by it, such as {math.ceil(side / factor) * factor}."
            )
    return tuple(side // factor for side, factor in zip(patch_size, factors, strict=True))
