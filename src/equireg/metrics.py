"""How good one segmentation is: overlap, surface distance and volume, each of one mask against another.

Conventions where a mask is empty: both empty is a perfect answer (Dice 1, HD95 0 mm, NSD 1); with one empty
there is no overlap (Dice 0, NSD 0) and no distance (HD95 is None).
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from monai.metrics.hausdorff_distance import compute_hausdorff_distance
from monai.metrics.surface_dice import compute_surface_dice

IGNORED_CLASS = 255
"""Class index of voxels that nobody annotated; they enter no metric."""

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
    prediction, reference = _masks(prediction, reference)
    total = int(np.count_nonzero(prediction)) + int(np.count_nonzero(reference))
    if total == 0:
        return 1.0
    return 2 * int(np.count_nonzero(prediction & reference)) / total


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
    prediction, reference = _masks(prediction, reference)
    spacing = _spacing(spacing_mm, prediction.ndim)
    if not (prediction.any() and reference.any()):
        return None if prediction.any() or reference.any() else 0.0
    predicted, referred, kept_spacing = _surface_inputs(prediction, reference, spacing)
    with _quiet_monai():
        distance = compute_hausdorff_distance(
            predicted, referred, include_background=True, percentile=95, spacing=kept_spacing
        )
    return float(distance)


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
    prediction, reference = _masks(prediction, reference)
    spacing = _spacing(spacing_mm, prediction.ndim)
    if not (np.isfinite(tolerance_mm) and tolerance_mm >= 0):
        raise ValueError(f"tolerance_mm = {tolerance_mm}: expected a finite number, 0 or more.")
    if not (prediction.any() and reference.any()):
        return 0.0 if prediction.any() or reference.any() else 1.0
    predicted, referred, kept_spacing = _surface_inputs(prediction, reference, spacing)
    with _quiet_monai():
        agreement = compute_surface_dice(
            predicted,
            referred,
            class_thresholds=[tolerance_mm + TOLERANCE_SLACK_MM],
            include_background=True,
            spacing=kept_spacing,
        )
    return float(agreement)


def volume_ml(mask: np.ndarray, spacing_mm: Sequence[float]) -> float:
    """Volume of a mask in ml (1 ml = 1000 mm^3); a 2D mask is taken as 1 mm thick.

    Args:
        mask: boolean mask, [X, Y, Z] or [X, Y].
        spacing_mm: size of a voxel along each axis, mm.

    Raises:
        ValueError: if there is not one positive spacing for each axis.
    """
    voxel_mm3 = float(np.prod(_spacing(spacing_mm, np.ndim(mask))))
    return int(np.count_nonzero(mask)) * voxel_mm3 / 1000


def region_dice(
    prediction: torch.Tensor, reference: torch.Tensor, regions: Mapping[str, Sequence[int]]
) -> dict[str, float]:
    """Dice of each region between two maps of class indices, for validation while training.

    Args:
        prediction: class indices, [D, H, W] or [H, W], any integer type.
        reference: class indices of the same shape; voxels of class 255 are left out of both.
        regions: region name to the class indices that it unites.

    Returns:
        Region name to Dice; 1 where a region is empty in both.

    Raises:
        ValueError: if shapes differ.
    """
    if prediction.shape != reference.shape:
        raise ValueError(
            f"prediction {tuple(prediction.shape)}, reference {tuple(reference.shape)}: expected one shape."
        )
    known = reference != IGNORED_CLASS
    scores = {}
    for name, classes in regions.items():
        members = torch.as_tensor(list(classes), device=reference.device)
        predicted = torch.isin(prediction, members.to(prediction)) & known
        referred = torch.isin(reference, members.to(reference)) & known
        total = int(predicted.sum()) + int(referred.sum())
        scores[name] = 2 * int((predicted & referred).sum()) / total if total else 1.0
    return scores


@contextmanager
def _quiet_monai() -> Iterator[None]:
    """Keep from the user what MONAI 1.5 and 1.6 warn of about their own inner calls."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*always_return_as_numpy", category=FutureWarning)
        yield


def _masks(prediction: np.ndarray, reference: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both as boolean arrays of one shape."""
    prediction, reference = np.asarray(prediction, dtype=bool), np.asarray(reference, dtype=bool)
    if prediction.shape != reference.shape:
        raise ValueError(f"prediction {prediction.shape}, reference {reference.shape}: expected one shape.")
    if prediction.ndim not in (2, 3):
        raise ValueError(f"masks of shape {prediction.shape}: expected [X, Y] or [X, Y, Z].")
    return prediction, reference


def _spacing(spacing_mm: Sequence[float], axes: int) -> tuple[float, ...]:
    """Return the spacing as floats, one positive number for each axis."""
    spacing = tuple(float(size) for size in spacing_mm)
    if len(spacing) != axes or not all(np.isfinite(size) and size > 0 for size in spacing):
        raise ValueError(f"spacing_mm = {spacing}: expected {axes} positive numbers, one for each axis.")
    return spacing


def _surface_inputs(
    prediction: np.ndarray, reference: np.ndarray, spacing: tuple[float, ...]
) -> tuple[torch.Tensor, torch.Tensor, list[float]]:
    """Return both masks as MONAI wants them, [1, 1, *S], cut to the box of their union, and the spacing.

    MONAI takes what lies beyond an array as outside, so the cut makes no surface that was not there, and the
    border of the image is surface. Axes of a single voxel are dropped, down to two axes: across them every
    voxel would be surface.
    """
    kept = [axis for axis, size in enumerate(prediction.shape) if size > 1]
    spare = [axis for axis in range(prediction.ndim) if axis not in kept]
    kept = sorted(kept + spare[: max(0, 2 - len(kept))])
    dropped = tuple(axis for axis in range(prediction.ndim) if axis not in kept)
    box = []
    union = (prediction | reference).squeeze(dropped)
    for axis in range(union.ndim):
        filled = np.flatnonzero(union.any(axis=tuple(other for other in range(union.ndim) if other != axis)))
        box.append(slice(int(filled[0]), int(filled[-1]) + 1))
    predicted, referred = (
        torch.from_numpy(mask.squeeze(dropped)[tuple(box)].copy())[None, None] for mask in (prediction, reference)
    )
    return predicted, referred, [spacing[axis] for axis in kept]
