"""The grid that phantoms are drawn on, its smooth noise, and soft shapes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage


@dataclass(frozen=True)
class Field:
    """The grid in standard-head millimetres, and the only source of random numbers of a phantom."""

    shape: tuple[int, int, int]
    spacing_mm: np.ndarray
    rng: np.random.Generator

    def noise(self, length_mm: float) -> np.ndarray:
        """Draw smooth noise of mean 0 and deviation 1 that changes over about ``length_mm``."""
        white = self.rng.standard_normal(self.shape, dtype=np.float32)
        smooth = ndimage.gaussian_filter(white, length_mm / self.spacing_mm, mode="nearest", truncate=3.0)
        return (smooth - smooth.mean()) / smooth.std()

    def positions_mm(self) -> np.ndarray:
        """Return each voxel's place right, anterior and up from the centre, [3, X, Y, Z]."""
        axes = [
            sign * (np.arange(count, dtype=np.float32) - (count - 1) / 2) * np.float32(step)
            for sign, count, step in zip((-1, -1, 1), self.shape, self.spacing_mm, strict=True)
        ]
        return np.stack(np.meshgrid(*axes, indexing="ij"))


def inside_fraction(depth_mm: np.ndarray, blur_mm: float = 0.8) -> np.ndarray:
    """Turn a depth below a surface into the fraction of the voxel inside it: partial volume."""
    return 1 / (1 + np.exp(np.clip(-depth_mm / blur_mm, -30, 30)))


def ellipsoid_mm(place: np.ndarray, centre_mm: Sequence[float], half_axes_mm: Sequence[float]) -> np.ndarray:
    """Return about how deep each place of [3, X, Y, Z] lies inside an ellipsoid, negative outside."""
    axes = zip(place, centre_mm, half_axes_mm, strict=True)
    return (1 - np.sqrt(sum(((p - c) / a) ** 2 for p, c, a in axes))) * min(half_axes_mm)


def largest_part(mask: np.ndarray) -> np.ndarray:
    """Keep the largest connected part of a mask; voxels connect by their faces."""
    parts, _ = ndimage.label(mask)  # pyright: ignore[reportGeneralTypeIssues]
    return parts == 1 + np.argmax(np.bincount(parts.ravel())[1:]) if mask.any() else mask
