"""How a scan is cut, and how much goes through the network at once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

_PASS_VOXELS = 2**19
"""Voxels that go through the network at once."""
SLAB_BYTES = 2**27
"""Most bytes of probabilities, in 32 bits, that are worked on at once; a single slice or window may need more."""


@dataclass(frozen=True)
class InferencePlan:
    """How a scan is cut, and over which transformed scans the prediction is averaged."""

    spatial_dims: int
    patch_size: tuple[int, ...]
    flip_axes: tuple[int, ...] = ()
    """Spatial axes of mirroring, used unless ``test_time`` is none."""
    test_time: Literal["none", "flips", "equivariance"] = "none"
    passes: int = 8
    """Random transforms of ``equivariance``."""
    overlap: float = 0.5
    """Part that neighbouring windows share, where a scan is larger than the patch."""
    quality_views: int = 0
    """Random transforms by which the prediction is doubted; they enter no average."""
    classes: int = 1
    """Of the network's output; many classes make the pieces smaller that are worked on at once."""

    @property
    def mirrored_views(self) -> int:
        """Views that differ by mirroring alone, the scan itself among them; they come first."""
        return 1 if self.test_time == "none" else 2 ** len(self.flip_axes)

    @property
    def compared_views(self) -> int:
        """Views whose agreement tells how far a prediction is to be trusted."""
        random = self.passes if self.test_time == "equivariance" else 0
        return self.mirrored_views + random + self.quality_views

    @property
    def windows_at_once(self) -> int:
        """Windows of a patch that go through the network at once."""
        patch = math.prod(self.patch_size)
        return max(1, min(_PASS_VOXELS // patch, self.slices_at_once(patch)))

    def slices_at_once(self, voxels: int) -> int:
        """Slices of so many voxels whose probabilities are worked on at once."""
        return max(1, SLAB_BYTES // (4 * self.classes * voxels))

    def windows_of(self, shape: Sequence[int]) -> int:
        """Return how many windows of a scan [D, H, W] go through the network, in all views that are averaged."""
        sides = shape[len(shape) - self.spatial_dims :]
        count = self.mirrored_views + (self.passes if self.test_time == "equivariance" else 0)
        for size, length in zip(sides, self.patch_size, strict=True):
            step = max(1, int(length * (1 - self.overlap)))
            count *= 1 + math.ceil(max(size - length, 0) / step)
        return count * math.prod(shape[: len(shape) - self.spatial_dims])
