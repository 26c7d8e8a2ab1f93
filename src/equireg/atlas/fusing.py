"""The mask of one scan from those of others: the most alike are registered to it, and vote voxel by voxel."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from equireg.atlas.registration import Overlay, Scan, affine, bent
from equireg.imaging.labels import IGNORED

MOST_VOTES = 3
"""Labelled scans that vote."""
_MARGIN = 0.5
"""Width of what is compared about a mask, in radii of a ball of the mask's volume."""


@dataclass(frozen=True)
class Labelled:
    """A scan whose classes are known."""

    scan: Scan
    classes: np.ndarray
    """Class indices, uint8 [D, H, W]; ``IGNORED`` where nobody annotated."""


@dataclass(frozen=True)
class Fused:
    """A mask that others have voted for."""

    classes: np.ndarray
    """Class indices, uint8 [D, H, W]; ``IGNORED`` where no labelled scan reaches."""
    likeness: float
    """Correlation of the scan and those that voted, about the mask, -1 to 1: the mean over scans and channels."""


def fuse(target: Scan, labelled: Sequence[Labelled], count: int) -> Fused | None:
    """Register labelled scans to a scan, and let those that vote choose each voxel's class.

    Where there are more than ``MOST_VOTES``, those vote whose affine registration makes them most alike. Masks are
    interpolated linearly class by class, and the class with the highest mean wins.

    Args:
        target: the scan.
        labelled: scans with their classes, of the same channels.
        count: number of classes.

    Returns:
        None where no labelled scan can be brought onto the target.
    """
    placed = [(overlay, each) for each in labelled if (overlay := affine(target, each.scan)) is not None]
    if len(placed) > MOST_VOTES:
        placed.sort(key=lambda pair: -likeness(pair[0], np.ones(target.image.shape[1:], bool)))
    pairs = [(overlay, each) for near, each in placed[:MOST_VOTES] if (overlay := bent(near)) is not None]
    if not pairs:
        return None
    classes = _elected(pairs, count)
    about = neighbourhood((classes > 0) & (classes != IGNORED), target.spacing_mm)
    return Fused(classes, float(np.mean([likeness(overlay, about) for overlay, _ in pairs])))


def _elected(pairs: Sequence[tuple[Overlay, Labelled]], count: int) -> np.ndarray:
    """Return the class with most votes on the fixed scan, uint8 [D, H, W]; class by class, to need little memory."""
    shape = pairs[0][0].fixed.image.shape[1:]
    winner = np.full(shape, IGNORED, np.uint8)
    most, all_ = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for index in range(count):
        voters = [(overlay, each.classes == index) for overlay, each in pairs if (each.classes == index).any()]
        votes = sum((overlay.carried(mask, 0.0) for overlay, mask in voters), np.zeros(shape, np.float32))
        winner[votes > most] = index
        most, all_ = np.maximum(most, votes), all_ + votes
    winner[all_ <= 0.5 * len(pairs)] = IGNORED
    return winner


def neighbourhood(mask: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """Return a mask with what lies about it, bool [D, H, W]: as far as half the radius of a ball of its size."""
    if not mask.any():
        return mask
    if mask.shape[0] == 1:  # a picture: a disc of its area
        radius_mm = (mask.sum() * float(np.prod(spacing_mm[1:])) / np.pi) ** (1 / 2)
    else:
        radius_mm = (3 * mask.sum() * float(np.prod(spacing_mm)) / (4 * np.pi)) ** (1 / 3)
    margin_mm = max(_MARGIN * radius_mm, *spacing_mm[1:])
    near = np.zeros_like(mask)
    reach = [math.ceil(margin_mm / step) for step in spacing_mm]
    sides = zip(scipy.ndimage.find_objects(mask.astype(np.uint8))[0], reach, mask.shape, strict=True)
    box = tuple(slice(max(side.start - far, 0), min(side.stop + far, size)) for side, far, size in sides)
    near[box] = scipy.ndimage.distance_transform_edt(~mask[box], sampling=spacing_mm) <= margin_mm
    return near


def likeness(overlay: Overlay, about: np.ndarray) -> float:
    """Return the correlation of two scans in a part of the fixed one, the mean over channels; -1 where it is empty.

    A channel that is constant there has a correlation of 0.
    """
    if not about.any():
        return -1.0
    found = []
    for fixed, moving in zip(overlay.fixed.image, overlay.moving.image, strict=True):
        one, other = (values - values.mean() for values in (fixed[about], overlay.carried(moving, 0.0)[about]))
        size = float(np.sqrt((one**2).sum() * (other**2).sum()))
        found.append(float((one * other).sum()) / size if size > 1e-8 else 0.0)
    return float(np.mean(found))


def mean_dice(mask: np.ndarray, known: np.ndarray) -> float:
    """Return the mean Dice over the classes that a known mask shows, but the background; 0 where it shows none."""
    counted = known != IGNORED
    shown = [index for index in np.unique(known[counted]) if index]
    sizes = [(counted & (mask == index)).sum() + (known == index).sum() for index in shown]
    overlaps = [((mask == index) & (known == index)).sum() for index in shown]
    return float(np.mean([2 * one / all_ for one, all_ in zip(overlaps, sizes, strict=True)])) if shown else 0.0
