"""Slices at unequal distances, as rounding and drift leave them, and what of a scan lies at a place in the patient."""

import numpy as np

from equireg.imaging.geometry import Geometry

_EVEN = 1e-3
"""How far slices may lie beside equal distances that are equal, in slices."""
_OWN = 0.05
"""How far masks may lie beside the slices, in slices, that are drawn in these."""


def slices_of(heights: np.ndarray) -> tuple[float, ...] | None:
    """Return where slices lie, in their mean distance from the first one; None where all distances are equal.

    ``heights`` are along their normal, in order.
    """
    if len(heights) < 2:
        return None
    places = (heights - heights[0]) / (heights[-1] - heights[0]) * (len(heights) - 1)
    if np.abs(places - np.arange(len(places))).max() <= _EVEN:
        return None
    return tuple(places.round(6).tolist())


class Lookup:
    """Turns places in the patient into voxels of a scan, whose slices may lie at unequal distances.

    Some programs draw in the planes of the images, others on a grid of equal distances. What the planes of a mask lie
    nearer to counts for all of it; ``drawn`` is a point of each plane, [3, planes], RAS mm.
    """

    def __init__(self, grid: Geometry, drawn: np.ndarray) -> None:
        self.inverse = np.linalg.inv(grid.affine_array)
        self._slices = grid.slices
        if grid.slices is not None and drawn.size:
            even = (self.inverse[:3, :3] @ drawn + self.inverse[:3, [3]])[2]
            if _beside(self.voxels(drawn)[2]) > max(_beside(even), _OWN):
                self._slices = None

    def voxels(self, points: np.ndarray) -> np.ndarray:
        """Return points [3, n], RAS mm, in voxels; along the third axis whole numbers are the middles of slices."""
        found = self.inverse[:3, :3] @ points + self.inverse[:3, [3]]
        if self._slices is not None:
            inside = (found[2] >= 0) & (found[2] <= self._slices[-1])
            numbers = np.interp(found[2], self._slices, np.arange(len(self._slices)))
            found[2] = np.where(inside, numbers, found[2])
        return found


def _beside(places: np.ndarray) -> float:
    """Return how far places lie beside slices."""
    return float(np.abs(places - np.rint(places)).mean())
