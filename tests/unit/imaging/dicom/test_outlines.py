"""Outlines of masks: half-way between voxels, and each one filled by itself gives the mask."""

import numpy as np
import pytest
from skimage.draw import polygon

from equireg.imaging.dicom.outlines import outlines


def filled(mask: np.ndarray) -> tuple[np.ndarray, int]:
    """Return what a program draws that fills one contour after the other, and how often it draws a voxel twice."""
    count = np.zeros(mask.shape, int)
    for points in outlines(mask):
        count[polygon(points[:, 0], points[:, 1], shape=mask.shape)] += 1
    return count > 0, int((count > 1).sum())


def test_an_outline_runs_half_way_between_voxels() -> None:
    mask = np.zeros((5, 5), bool)
    mask[2, 3] = True
    (points,) = outlines(mask)
    assert sorted(map(tuple, points.tolist())) == [(1.5, 3.0), (2.0, 2.5), (2.0, 3.5), (2.5, 3.0)]
    assert list(outlines(np.zeros((5, 5), bool))) == []


def test_holes_are_joined_with_the_outline_around_them() -> None:
    mask = np.zeros((30, 30), bool)
    mask[2:28, 3:27] = True
    for x, y, size in ((4, 5, 3), (10, 5, 6), (4, 12, 2), (18, 14, 8), (5, 20, 1)):  # some hide others along x
        mask[x : x + size, y : y + size] = False
    mask[20:23, 16:19] = True  # an island in a hole
    mask[21, 17] = False  # and a hole in the island
    assert len(list(outlines(mask))) == 2
    drawn, twice = filled(mask)
    np.testing.assert_array_equal(drawn, mask)
    assert twice == 0


@pytest.mark.parametrize("density", [0.3, 0.6, 0.8, 0.95])
def test_outlines_of_any_mask_give_the_mask(density: float) -> None:
    for seed in range(5):
        mask = np.random.default_rng(seed).random((24, 17)) < density
        drawn, twice = filled(mask)
        np.testing.assert_array_equal(drawn, mask)
        assert twice == 0
