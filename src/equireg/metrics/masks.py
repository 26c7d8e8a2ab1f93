"""Dice, HD95, NSD and volume of one mask against another.

Where a mask is empty: both empty is a perfect answer (Dice 1, HD95 0 mm, NSD 1); with one empty there is no
overlap (Dice 0, NSD 0) and no distance (HD95 is None).
"""

from collections.abc import Sequence

import numpy as np

from equireg.metrics.comparison import Comparison

TOLERANCE_SLACK_MM = 1e-4
"""Added to NSD's tolerance: a header's 1 mm often reads 1.0000001 mm, and must still be within 1 mm."""


def dice(prediction: np.ndarray, reference: np.ndarray) -> float:
    """Dice coefficient of two masks, 2 |P and R| / (|P| + |R|).

    Args:
        prediction: boolean mask, [X, Y, Z] or [X, Y].
        reference: boolean mask of the same shape.

    Returns:
        0 to 1; 1 where both are empty.

    Raises:
        ValueError: if shapes differ.
    """
    return dice_of(_compare(prediction, reference, (1.0,) * np.ndim(prediction)))


def hd95_mm(prediction: np.ndarray, reference: np.ndarray, spacing_mm: Sequence[float]) -> float | None:
    """95th percentile Hausdorff distance: the larger of the two directed 95th percentiles.

    The surface of a mask is the set of its voxels that have a face on the outside; what lies beyond the image
    is outside. Along an axis of a single voxel there is no surface, so a volume of one slice is judged by its
    contour.

    Args:
        prediction: boolean mask, [X, Y, Z] or [X, Y].
        reference: boolean mask of the same shape.
        spacing_mm: size of a voxel along each axis, mm.

    Returns:
        Distance in mm; 0 where both are empty, None where one is.

    Raises:
        ValueError: if shapes differ, or if there is not one positive spacing for each axis.
    """
    comparison = _compare(prediction, reference, spacing_mm)
    if not (comparison.predicted_voxels and comparison.reference_voxels):
        return None if comparison.predicted_voxels or comparison.reference_voxels else 0.0
    return hd95_of(comparison)


def nsd(prediction: np.ndarray, reference: np.ndarray, spacing_mm: Sequence[float], tolerance_mm: float = 1.0) -> float:
    """Normalised surface Dice: the part of both surfaces that lies within a tolerance of the other.

    Surfaces are sets of voxels, as in ``hd95_mm``, each of equal weight (Seidlitz et al. 2022,
    arXiv:2111.05408).

    Args:
        prediction: boolean mask, [X, Y, Z] or [X, Y].
        reference: boolean mask of the same shape.
        spacing_mm: size of a voxel along each axis, mm.
        tolerance_mm: the distance that still counts as agreement, mm.

    Returns:
        0 to 1; 1 where both are empty, 0 where one is.

    Raises:
        ValueError: if shapes differ, the tolerance is negative or not finite, or if there is not one positive
            spacing for each axis.
    """
    comparison = _compare(prediction, reference, spacing_mm, tolerance_mm)
    if not (comparison.predicted_voxels and comparison.reference_voxels):
        return 0.0 if comparison.predicted_voxels or comparison.reference_voxels else 1.0
    return nsd_of(comparison) or 0.0


def volume_ml(mask: np.ndarray, spacing_mm: Sequence[float]) -> float:
    """Volume of a mask in ml (1 ml = 1000 mm^3); a 2D mask is taken as 1 mm thick.

    Args:
        mask: boolean mask, [X, Y, Z] or [X, Y].
        spacing_mm: size of a voxel along each axis, mm.

    Raises:
        ValueError: if there is not one positive spacing for each axis.
    """
    return predicted_ml(_compare(mask, mask, spacing_mm))


def dice_of(comparison: Comparison) -> float:
    """Dice coefficient, 0 to 1; 1 where both are empty."""
    total = comparison.predicted_voxels + comparison.reference_voxels
    return 2 * comparison.common_voxels / total if total else 1.0


def hd95_of(comparison: Comparison) -> float | None:
    """95th percentile Hausdorff distance of two masks that are not empty, mm; None where one has no known surface."""
    if not all(map(len, comparison.distances_mm)):
        return None
    return max(float(np.percentile(distances, 95)) for distances in comparison.distances_mm)


def nsd_of(comparison: Comparison) -> float | None:
    """Normalised surface Dice of two masks that are not empty, 0 to 1; None where neither has a known surface."""
    if not any(map(len, comparison.distances_mm)):
        return None
    limit = comparison.tolerance_mm + TOLERANCE_SLACK_MM
    near = sum(int(np.count_nonzero(distances <= limit)) for distances in comparison.distances_mm)
    return near / sum(len(distances) for distances in comparison.distances_mm)


def predicted_ml(comparison: Comparison) -> float:
    """Volume of the prediction, ml."""
    return comparison.predicted_voxels * comparison.voxel_ml


def reference_ml(comparison: Comparison) -> float:
    """Volume of the reference, ml."""
    return comparison.reference_voxels * comparison.voxel_ml


def _compare(
    prediction: np.ndarray, reference: np.ndarray, spacing_mm: Sequence[float], tolerance_mm: float = 1.0
) -> Comparison:
    spacing = tuple(float(size) for size in spacing_mm)
    return Comparison(np.asarray(prediction, dtype=bool), np.asarray(reference, dtype=bool), spacing, tolerance_mm)
