"""The size of a training sample, from a data set's shapes."""

import math

from equireg.config import TrainConfig
from equireg.data.loading import PatchPlan
from equireg.data.store import Manifest
from equireg.errors import UsageError

_MOST_VOXELS = {2: 256 * 256, 3: 80 * 80 * 80}
"""Greatest sample by default: larger slices and volumes are trained on in parts."""
_STEP = 8
"""Sides are rounded up to this, so that at least four resolutions fit."""


def plan_patches(manifest: Manifest, config: TrainConfig) -> PatchPlan:
    """Choose the patch and the axes of mirroring.

    By default a patch covers nine cases of ten whole, up to a limit of voxels, beyond which its longest
    sides shrink first.

    Raises:
        UsageError: if a named axis is unknown.
    """
    dims = config.spatial_dims
    if config.patch_size is not None:
        patch = config.patch_size
    else:
        sides = [_round_up(size) for size in manifest.fingerprint["large_shape"][-dims:]]
        while math.prod(sides) > _MOST_VOXELS[dims]:
            longest = sides.index(max(sides))
            sides[longest] -= _STEP
        patch = tuple(sides)
    axes = manifest.axes[-dims:]
    return PatchPlan(dims, patch, tuple(index for index, axis in enumerate(axes) if axis in flips(manifest, config)))


def flips(manifest: Manifest, config: TrainConfig) -> str:
    """Return the anatomical axes of mirroring: the data set's, or those that the option names."""
    if config.flips == "data":
        return manifest.flips
    if config.flips == "none":
        return ""
    axes = config.flips.replace(",", "").replace(" ", "")
    if not axes or set(axes) - set("xyz"):
        raise UsageError(f"--flips is {config.flips}; expected data, none or some of x,y,z.")
    return axes


def _round_up(size: float) -> int:
    return max(_STEP, math.ceil(size / _STEP) * _STEP)
