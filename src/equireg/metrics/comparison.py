"""Two masks of one region, as every metric sees them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from equireg.metrics.surfaces import surface_distances_mm


@dataclass(frozen=True)
class Comparison:
    """A prediction and its reference, on one voxel grid.

    Both may be cut to a box that holds all voxels of both, with a margin of one voxel where the image reaches so far.

    Raises:
        ValueError: if shapes differ, the tolerance is negative or not finite, or there is not one positive spacing
            for each axis.
    """

    prediction: np.ndarray
    """Boolean mask, [X, Y, Z] or [X, Y]."""
    reference: np.ndarray
    """Boolean mask of the same shape."""
    spacing_mm: Sequence[float]
    """Size of a voxel along each axis."""
    tolerance_mm: float = 1.0
    """Surface distance that still counts as agreement."""
    voxel_mm3: float | None = None
    """Volume of a voxel; None: the product of the spacings, as where the axes are perpendicular."""
    known: np.ndarray | None = None
    """Where it is known what a voxel is, boolean, of the same shape: both masks lie inside. None: everywhere."""

    def __post_init__(self) -> None:
        ours, theirs = self.prediction.shape, self.reference.shape
        if ours != theirs:
            raise ValueError(f"prediction {ours}, reference {theirs}: expected one shape.")
        if len(ours) not in (2, 3):
            raise ValueError(f"masks of shape {ours}: expected [X, Y] or [X, Y, Z].")
        if len(self.spacing_mm) != len(ours) or not all(np.isfinite(size) and size > 0 for size in self.spacing_mm):
            raise ValueError(
                f"spacing_mm = {tuple(self.spacing_mm)}: expected {len(ours)} positive numbers, one for each axis."
            )
        if not (np.isfinite(self.tolerance_mm) and self.tolerance_mm >= 0):
            raise ValueError(f"tolerance_mm = {self.tolerance_mm}: expected a finite number, 0 or more.")

    @cached_property
    def predicted_voxels(self) -> int:
        """Voxels of the prediction."""
        return int(np.count_nonzero(self.prediction))

    @cached_property
    def reference_voxels(self) -> int:
        """Voxels of the reference."""
        return int(np.count_nonzero(self.reference))

    @cached_property
    def common_voxels(self) -> int:
        """Voxels of both."""
        return int(np.count_nonzero(self.prediction & self.reference))

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel (1 ml = 1000 mm^3); a 2D mask is taken as 1 mm thick."""
        volume = np.prod(np.asarray(self.spacing_mm, dtype=float)) if self.voxel_mm3 is None else self.voxel_mm3
        return float(volume) / 1000

    @cached_property
    def distances_mm(self) -> tuple[np.ndarray, np.ndarray]:
        """Distance of each surface voxel of the prediction to the reference's surface, and the other way round.

        Neither mask may be empty. Computed once for all metrics that need it. Without a distance where all of a mask's
        surface lies at voxels that are not known, and infinite where all of the other's does.
        """
        return surface_distances_mm(self.prediction, self.reference, self.spacing_mm, self.known)
