"""Removing the slow brightness changes that a coil leaves over a scan: N4 (Tustison et al., N4ITK, 2010)."""

from typing import TYPE_CHECKING

import numpy as np

from equireg.processes.cores import one_itk_thread

if TYPE_CHECKING:
    import SimpleITK as sitk

_TINY = 1e-3
"""Range of intensities below which a step of 1 would drown them."""
_LEAST_VOX = 8
"""Voxels that coarsening leaves along an axis: fewer do not carry the field's control points."""


def correct(channel: np.ndarray, mask: np.ndarray, spacing_mm: tuple[float, float, float], shrink: int) -> np.ndarray:
    """Divide one contrast by its bias field, which N4 estimates inside the mask with SimpleITK's default settings.

    The field is smooth, so it is estimated on every ``shrink``-th voxel along each axis and applied at full
    resolution. An axis of few voxels is coarsened less.

    Args:
        channel: intensities [D, H, W]; where tissue has numbers at or below 0, all are moved above it for N4, which
            takes logarithms, and moved back.
        mask: where there is tissue, bool [D, H, W].
        spacing_mm: voxel size along D, H, W.
        shrink: factor by which each axis is coarsened for the estimate; 1 for none.

    Returns:
        A new float32 [D, H, W]; outside the mask the channel as it came.
    """
    corrected = channel.astype(np.float32)
    inside = corrected[mask]
    if inside.size == 0 or inside.min() == inside.max():
        return corrected
    # The least tissue becomes 1, the least step of a scanner's intensities; of tiny maps a like part of their range.
    low, high = float(inside.min()), float(inside.max())
    least = 1.0 if high - low > _TINY else (high - low) / 256
    shift = np.float32(least - low if low <= 0 else 0)
    positive = np.where(mask, corrected + shift, np.float32(0))
    with one_itk_thread():
        field = _log_field(positive, mask, spacing_mm, shrink)
    corrected[mask] = positive[mask] / np.exp(field[mask]) - shift
    return corrected


def _log_field(
    positive: np.ndarray, mask: np.ndarray, spacing_mm: tuple[float, float, float], shrink: int
) -> np.ndarray:
    """Return the logarithm of the bias field at full resolution, [D, H, W]."""
    import SimpleITK as sitk

    image, inside = _itk_image(positive, spacing_mm), _itk_image(mask.astype(np.uint8), spacing_mm)
    factors = [max(1, min(shrink, size // _LEAST_VOX)) for size in image.GetSize()]
    small, small_inside = sitk.Shrink(image, factors), sitk.Shrink(inside, factors)
    if not sitk.GetArrayViewFromImage(small_inside).any():  # so little tissue that coarsening misses it
        small, small_inside = image, inside
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.Execute(small, small_inside)
    d, h, w = positive.shape
    return sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image))[:d, :h, :w]


def _itk_image(array: np.ndarray, spacing_mm: tuple[float, float, float]) -> "sitk.Image":
    """Return [D, H, W] as N4 takes it: with two voxels along each axis at least, so a single slice comes twice."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.pad(array, [(0, int(size == 1)) for size in array.shape], mode="edge"))
    image.SetSpacing(spacing_mm[::-1])
    return image
