"""The size of a training sample, from a data set's shapes."""

import math

from equireg.batches.loading import PatchPlan
from equireg.config import TrainConfig
from equireg.folders.prepared import Manifest
from equireg.networks import round_up_side
from equireg.preparation.plan import named_axes

_MOST_VOXELS = {2: 256 * 256, 3: 80 * 80 * 80}
"""Greatest sample by default: larger slices and volumes are trained on in parts."""


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
        sides = [round_up_side(size) for size in manifest.fingerprint["large_shape"][-dims:]]
        while math.prod(sides) > _MOST_VOXELS[dims]:
            longest = sides.index(max(sides))
            sides[longest] = round_up_side(0.8 * sides[longest])
        patch = tuple(sides)
    axes = manifest.axes[-dims:]
    return PatchPlan(dims, patch, tuple(index for index, axis in enumerate(axes) if axis in flips(manifest, config)))


def flips(manifest: Manifest, config: TrainConfig) -> str:
    """Return the anatomical axes of mirroring: the data set's, or those that the option names."""
    if config.flips == "data":
        return manifest.flips
    if config.flips == "none":
        return ""
    return named_axes(config.flips, "data")
