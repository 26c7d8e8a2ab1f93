"""The size of a training sample, from a data set's shapes, and how it may be mirrored and turned."""

import math
from collections.abc import Sequence

from equireg.batches.loading import PatchPlan
from equireg.batches.turning import turn_planes
from equireg.config import TrainConfig
from equireg.errors import UsageError
from equireg.folders.prepared import Manifest
from equireg.networks import round_up_side
from equireg.preparation.plan import named_axes
from equireg.preparation.sides import sided_names

_MOST_VOXELS = {2: 256 * 256, 3: 80 * 80 * 80}
"""Greatest sample by default: larger slices and volumes are trained on in parts."""


_LEAST = 8
"""Voxels that a side has at least."""


def plan_patches(manifest: Manifest, config: TrainConfig) -> PatchPlan:
    """Choose the patch, the axes of mirroring and the planes of quarter turns.

    By default a patch covers nine cases of ten whole, up to a limit of voxels, beyond which its longest
    sides shrink first.

    Raises:
        UsageError: if a named axis or plane is unknown, samples cannot be turned in it, or volumes are asked for and
            the scans are pictures.
    """
    dims = config.spatial_dims
    if dims == 3 and manifest.pictures is not None:
        raise UsageError("--spatial_dims is 3, and the scans are pictures; expected 2. Leave it out.")
    if config.patch_size is not None:
        patch = config.patch_size
    else:
        strides, factors = getattr(config.network, "strides", None), config.network.downsample
        patch = patch_within(manifest.fingerprint["large_shape"][-dims:], _MOST_VOXELS[dims], strides, factors)
    axes = manifest.axes[-dims:]
    flip_axes = tuple(index for index, axis in enumerate(axes) if axis in flips(manifest, config))
    return PatchPlan(dims, patch, flip_axes, turn_planes(manifest, config, patch, flip_axes))


def work_of(config: TrainConfig, patch_size: Sequence[int], unlabelled: bool) -> float:
    """Return voxels of a step's samples, as the network sees them, times its features.

    Args:
        config: the options of the run; a network without features counts as one of 32.
        patch_size: voxels of a sample, [n].
        unlabelled: whether unlabelled samples are used.
    """
    seen = math.prod(patch_size) / math.prod(config.network.downsample or (1,))
    samples = config.batch_size * (1 + config.unsup_ratio * unlabelled)
    return samples * seen * getattr(config.network, "features", 32)


def patch_within(
    sides_vox: Sequence[float],
    most_voxels: int,
    strides: Sequence[Sequence[int]] | None = None,
    factors: Sequence[int] | None = None,
) -> tuple[int, ...]:
    """Return the patch that covers so many voxels along each axis, up to a limit; the longest sides shrink first.

    Args:
        sides_vox: what it should cover, [n].
        most_voxels: the limit, of what the network sees.
        strides: of a network whose stages are given, [stages][n]; they divide the sides.
        factors: how many times coarser the network works, [n].
    """
    if factors is not None and len(factors) == len(sides_vox):  # that they differ is told by who builds the network
        seen = patch_within(
            [size / factor for size, factor in zip(sides_vox, factors, strict=True)], most_voxels, strides
        )
        return tuple(side * factor for side, factor in zip(seen, factors, strict=True))
    totals = [math.prod(axis) for axis in zip(*strides or (), strict=False)]
    if len(totals) != len(sides_vox):  # none are given, or of other axes, which is told by who builds the network
        sides = [round_up_side(size) for size in sides_vox]
        while math.prod(sides) > most_voxels:
            longest = sides.index(max(sides))
            if round_up_side(0.8 * sides[longest]) == sides[longest]:  # no smaller side can be halved
                break
            sides[longest] = round_up_side(0.8 * sides[longest])
        return tuple(sides)
    sides = [math.ceil(max(size, _LEAST) / total) * total for size, total in zip(sides_vox, totals, strict=True)]
    while math.prod(sides) > most_voxels and sides != totals:
        longest = max((axis for axis in range(len(sides)) if sides[axis] > totals[axis]), key=sides.__getitem__)
        total = totals[longest]
        sides[longest] = max(int(0.8 * sides[longest] / total), 1) * total
    return tuple(sides)


def flips(manifest: Manifest, config: TrainConfig) -> str:
    """Return the anatomical axes of mirroring: the data set's, or those that the option names."""
    if config.flips == "data":
        return manifest.flips
    if config.flips == "none":
        return ""
    return named_axes(config.flips, "data")


def mixed_sides(manifest: Manifest, plan: PatchPlan) -> str | None:
    """Say where samples are mirrored or turned along an axis that `prepare` left out because of the labels' names.

    Args:
        manifest: of the prepared folder.
        plan: of its samples.

    Returns:
        A line that names the axes and labels; None where labels keep their sides.
    """
    axes, labels = manifest.axes[-plan.spatial_dims :], manifest.labels
    moved = {axes[index] for index in (*plan.flip_axes, *(axis for pair in plan.turn_planes for axis in pair))}
    named = {axis: sided_names((*labels.names, *labels.regions), axis) for axis in sorted(moved - set(manifest.flips))}
    found = [f"{axis} ({' and '.join(names)})" for axis, names in named.items() if names]
    if not found:
        return None
    return (
        f"samples are mirrored or turned along {', '.join(found)}, where the names of labels say the side; a mirrored "
        "scan shows the other one. Leave these axes out of --flips and --turns, unless the names mean no side."
    )
