"""What of a mask is lost on the way to the working array: resampled away, or cropped with the background."""

import math
from collections.abc import Sequence
from typing import cast

from equireg.imaging.grid import SliceAxis, WorkingGrid
from equireg.imaging.labels import LabelTable

_CROPPED = 0.01
"""Part of a mask's voxels from which cropping is told."""
_LEFT = 0.5
"""Part of a mask's volume below which what resampling left is told."""


def notes(native: Sequence[int], working: Sequence[int], labels: LabelTable, grid: WorkingGrid) -> tuple[str, ...]:
    """Return what training will not see of a mask, one sentence each; scores are computed in the scan's own voxels.

    Args:
        native: voxels of each class in the scan's own voxels.
        working: the same in the working array.
        labels: what the classes are.
        grid: the way from the one to the other.
    """
    own, new = WorkingGrid.plan(grid.native, None, cast("SliceAxis", grid.axes[0])).full_shape, grid.full_shape
    resampled, volume = own != new, math.prod(own) / math.prod(new)
    way = f"resampling to {' x '.join(f'{mm:.3g}' for mm in grid.spacing_mm)} mm" if resampled else "cropping"
    found = [
        f"its mask shows {name!r} in {before} voxels, of which {way} leaves none: training takes them for background"
        for name, before, after in zip(labels.names[1:], native[1:], working[1:], strict=True)
        if before and not after
    ]
    before, after = sum(native[1:]), sum(working[1:])
    if found or not before:
        return tuple(found)
    if not resampled and before - after >= _CROPPED * before:
        found.append(
            f"{before - after} of {before} voxels of its mask lie outside of what is kept of the scan, where it is "
            "background. Is it the mask of this scan?"
        )
    elif resampled and after * volume < _LEFT * before:
        found.append(f"{way} and cropping leave {after * volume / before:.0%} of the volume of its mask")
    return tuple(found)
