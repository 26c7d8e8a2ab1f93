"""Cheap features of prepared scans, which say without any mask how alike two scans are.

Prepared scans have one orientation and one spacing, so they can be compared voxel by voxel once their bodies lie on
each other, roughly.
"""

from collections.abc import Sequence

import numpy as np

from equireg.imaging.boxes import bounding_box

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_STEEP = (0.5, 0.75, 0.9, 0.97)
"""Quantiles of the gradient's magnitude; the lower ones are of flat tissue, where there is only noise."""
_COARSE = (8, 12, 12)
"""Cells along D, H and W in which the volumes of two scans are compared."""
_KEPT = 0.95
"""Part of the variance that the principal components keep."""
_MOST_COMPONENTS = 32
_MOST_VOXELS = 2**19
"""Voxels of a channel that quantiles are taken over, about."""


def describe(image: np.ndarray, background: Sequence[float], spacing_mm: Sequence[float]) -> list[np.ndarray]:
    """Measure a scan.

    Args:
        image: normalised intensities, [C, D, H, W].
        background: value of each channel's background.
        spacing_mm: spacing of D, H and W, mm.

    Returns:
        Groups of features, each of which weighs as much as the others: quantiles of the intensities inside the body
        and the part of the scan that the body fills; quantiles of the gradient's magnitude, as logarithms; extent of
        the body in mm, as logarithms; the body in coarse cells.
    """
    level = np.asarray(background, dtype=np.float32).reshape(-1, 1, 1, 1)
    body = (image != level).any(axis=0)
    box = bounding_box(body)
    if box is None:
        box, body = (slice(None),) * 3, np.ones_like(body)
    inner, within = image[(slice(None), *box)].astype(np.float32), body[box]
    step = max(1, round((within.size / _MOST_VOXELS) ** (1 / 3)))
    thinned = (slice(None, None, step),) * 3
    inside = within[thinned] if within[thinned].any() else np.ones_like(within[thinned])
    intensities = [np.quantile(channel[thinned][inside], _QUANTILES) for channel in inner]
    steepness = [np.quantile(_gradient(channel, spacing_mm)[thinned][inside], _STEEP) for channel in inner]
    extent_mm = np.array(within.shape) * np.asarray(spacing_mm)
    return [
        np.concatenate([*intensities, [within.mean(), body.mean()]]),
        np.log(np.concatenate(steepness) + 1e-6),
        np.log(extent_mm),
        np.concatenate([coarse(channel, _COARSE).ravel() for channel in np.where(within, inner, level)]),
    ]


def embed(described: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Turn the features of all scans into points; scans that are alike lie near each other.

    Each feature is standardised over the scans and each group divided by the root of its length. The points are the
    principal components that hold 95 % of the variance.

    Args:
        described: of each scan what ``describe`` returns.

    Returns:
        [scans, components], float64.
    """
    groups = []
    for group in zip(*described, strict=True):
        values = np.stack(group)
        spread = values.std(axis=0)
        varying = spread > 1e-6 * np.abs(values).max(axis=0)
        scaled = (values - values.mean(axis=0))[:, varying] / spread[varying]
        groups.append(scaled / max(1.0, np.sqrt(scaled.shape[1])))
    points = np.concatenate(groups, axis=1)
    if not points.shape[1]:
        return np.zeros((len(points), 1))
    left, strengths, _ = np.linalg.svd(points, full_matrices=False)
    held = np.cumsum(strengths**2) / max(float(np.sum(strengths**2)), 1e-12)
    count = min(int(np.searchsorted(held, _KEPT)) + 1, _MOST_COMPONENTS, len(strengths))
    return left[:, :count] * strengths[:count]


def coarse(volume: np.ndarray, cells: Sequence[int]) -> np.ndarray:
    """Average a volume over cells that divide it evenly; a voxel counts for several cells where there are fewer."""
    for axis, count in enumerate(cells):
        size = volume.shape[axis]
        edges = np.arange(count) * size / count
        starts = edges.astype(int)
        stops = np.maximum(np.ceil(edges + size / count - 1e-9).astype(int), starts + 1)
        sums = np.concatenate([np.zeros_like(volume.take([0], axis)), volume.cumsum(axis, dtype=np.float64)], axis)
        shape = [-1 if place == axis else 1 for place in range(volume.ndim)]
        volume = (sums.take(stops, axis) - sums.take(starts, axis)) / (stops - starts).reshape(shape)
    return volume


def _gradient(channel: np.ndarray, spacing_mm: Sequence[float]) -> np.ndarray:
    """Return the gradient's magnitude, a unit of intensity a mm; an axis of one voxel has none."""
    total = np.zeros_like(channel)
    for axis, step in enumerate(spacing_mm):
        if channel.shape[axis] > 1:
            total += np.gradient(channel, step, axis=axis) ** 2
    return np.sqrt(total)
