"""The resolution at which masks are carried over: large scans at a lower one, so that none takes more than seconds."""

from collections.abc import Sequence

import numpy as np

from equireg.atlas.registration import coarsening
from equireg.imaging.resampling import resample_box

MOST_VOXELS = 400_000
"""Voxels between which masks are carried."""


def coarse_shape(shape: Sequence[int], spacing_mm: Sequence[float]) -> tuple[int, int, int]:
    """Return the voxels [D, H, W] that a scan is worked on with; of a scan that is not large, its own."""
    factors = coarsening(shape, spacing_mm, MOST_VOXELS)
    d, h, w = (-(-size // factor) for size, factor in zip(shape, factors, strict=True))
    return d, h, w


def coarse_image(image: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Return an image [C, D, H, W] of the same extent with fewer voxels, blurred as it must be; float32."""
    keeps = [(0, size) for size in shape]
    each = [resample_box(channel.astype(np.float32), shape, keeps) for channel in image]
    return np.stack(each).astype(np.float32)


def classes_at(classes: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """Return class indices [D, H, W] of the same extent with other voxels: the class with most weight in each."""
    if classes.shape == tuple(shape):
        return classes
    keeps = [(0, size) for size in shape]
    found, most = np.zeros(shape, classes.dtype), np.zeros(shape, np.float32)
    for index in np.unique(classes):
        weight = resample_box((classes == index).astype(np.float32), shape, keeps)
        found[weight > most] = index
        most = np.maximum(most, weight)
    return found
