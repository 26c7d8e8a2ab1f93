"""Masks whose edges were smoothed (antialiasing): a pixel there has a blend of the colours beside it."""

import numpy as np
import numpy.typing as npt
import scipy

_MOST = 0.1
"""Fraction of a mask's pixels that may be blends, at most; a photograph has more."""
_NEAR = 5
"""Pixels along each axis, around a blend, among whose colours its own is chosen."""


def settled(pixels: np.ndarray, known: npt.ArrayLike) -> np.ndarray | None:
    """Give each blend the colour that is nearest to it, of those close by.

    Blends are told by where they lie: at edges alone, so none has all its neighbours alike. Colours that are close by
    alone are asked, because a blend of two colours may look like a third one that means something else.

    Args:
        pixels: colours [H, W, C], or grey values [H, W, 1], uint8.
        known: colours that mean something, [K, C].

    Returns:
        Index of the colour of each pixel, [H, W]; None where other colours lie elsewhere than at edges.
    """
    colours = np.asarray(known, dtype=np.int64)
    distance = np.abs(pixels.astype(np.int64)[None] - colours[:, None, None]).sum(axis=-1)  # [K, H, W]
    blends = distance.min(axis=0) > 0
    if blends.mean() > _MOST or (blends & _amid_their_own(pixels)).any():
        return None
    close = scipy.ndimage.maximum_filter(distance == 0, size=(1, _NEAR, _NEAR))
    if (blends & ~close.any(axis=0)).any():
        return None
    return np.where(close, distance, np.iinfo(np.int64).max).argmin(axis=0)


def _amid_their_own(pixels: np.ndarray) -> np.ndarray:
    """Return where all neighbours [H, W] have a pixel's own colour."""
    high, low = (find(pixels, size=(3, 3, 1)) for find in (scipy.ndimage.maximum_filter, scipy.ndimage.minimum_filter))
    return (high == low).all(axis=-1)
