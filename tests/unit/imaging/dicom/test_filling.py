"""Contours to voxels: by a count of crossings for each voxel, at edges through centres, and as outlines of masks."""

from collections.abc import Sequence

import numpy as np
import pytest
from skimage.draw import polygon
from skimage.measure import find_contours

from equireg.imaging.dicom.filling import fill, in_units

SHAPE = (14, 11)


def filled(*contours: Sequence[tuple[float, float]], shape: tuple[int, int] = SHAPE) -> np.ndarray:
    return fill([in_units(np.array(points, float)) for points in contours], shape)


def box(x: tuple[float, float], y: tuple[float, float]) -> list[tuple[float, float]]:
    return [(x[0], y[0]), (x[1], y[0]), (x[1], y[1]), (x[0], y[1])]


def block(x: slice, y: slice) -> np.ndarray:
    mask = np.zeros(SHAPE, bool)
    mask[x, y] = True
    return mask


def test_contours_that_touch_leave_no_gap() -> None:
    both = block(slice(2, 11), slice(3, 9))
    for middle in (6.0, 6.5, 6.00004):
        assert np.array_equal(filled(box((2, middle), (3, 8)), box((middle, 10), (3, 8))), both)
    assert np.array_equal(filled(box((2, 10), (3, 5)), box((2, 10), (5, 8))), both)


@pytest.mark.parametrize("noise", [-4e-4, 0, 4e-4])
def test_edges_through_centres_are_inside_whatever_their_rounding(noise: float) -> None:
    corners = [(x + noise, y - noise) for x, y in box((4, 9), (2, 7))]
    assert np.array_equal(filled(corners), block(slice(4, 10), slice(2, 8)))
    assert np.array_equal(filled([(3 + noise, 3)]), block(slice(3, 4), slice(3, 4)))
    assert np.array_equal(filled([(3, 3 + noise), (7, 3)]), block(slice(3, 8), slice(3, 4)))
    assert np.array_equal(filled([(3, 2), (3 - noise, 9)]), block(slice(3, 4), slice(2, 10)))
    assert np.array_equal(filled([(2 + noise, 2), (6, 6)]), np.eye(*SHAPE, dtype=bool) & block(slice(2, 7), slice(11)))


def test_a_hole_keeps_the_voxels_on_its_edge() -> None:
    ring = block(slice(2, 11), slice(1, 10))
    ring[5:8, 4:7] = False
    assert np.array_equal(filled(box((2, 10), (1, 9)), box((4, 8), (3, 7))), ring)
    assert np.array_equal(filled(box((1.5, 10.5), (0.5, 9.5)), box((4.5, 7.5), (3.5, 6.5))), ring)


def test_contours_may_reach_beyond_the_slice() -> None:
    assert np.array_equal(filled(box((-5, 4), (-1e12, 1e12))), block(slice(0, 5), slice(11)))
    assert np.array_equal(filled(box((9, 50), (7, 50))), block(slice(9, 14), slice(7, 11)))
    assert not filled(box((-9, -4), (2, 5))).any()
    assert not filled(box((20, 30), (2, 5)), box((2, 5), (-9, -3))).any()


@pytest.mark.parametrize("seed", range(5))
def test_random_contours_are_filled_as_by_a_count_for_each_voxel(seed: int) -> None:
    rng = np.random.default_rng(seed)
    contours = [rng.integers(-3, 14, (number, 2)) * rng.choice([0.5, 1.0, 0.25]) for number in rng.integers(3, 9, 3)]
    found = fill([in_units(points) for points in contours], SHAPE)
    expected, edges = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    for points in contours:
        for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
            x, y = np.mgrid[: SHAPE[0], : SHAPE[1]]
            between = (min(y0, y1) <= y) & (y < max(y0, y1))
            side = (x - x0) * (y1 - y0) - (y - y0) * (x1 - x0)  # 0 on the line, more to the right of it
            expected ^= between & (side * np.sign(y1 - y0) > 0)
            within = (min(x0, x1) <= x) & (x <= max(x0, x1)) & (min(y0, y1) <= y) & (y <= max(y0, y1))
            edges |= within & (side == 0)
    assert np.array_equal(found, expected | edges)


def test_outlines_between_voxels_give_their_mask() -> None:
    mask = np.random.default_rng(0).random((60, 50)) > 0.5
    outlines = [points - 1 for points in find_contours(np.pad(mask, 1).astype(float), 0.5)]
    assert np.array_equal(fill([in_units(points) for points in outlines], mask.shape), mask)


def test_a_smooth_contour_is_filled_as_by_scikit_image() -> None:
    angle = np.linspace(0, 2 * np.pi, 3000, endpoint=False)
    points = np.stack([100.3 + 80 * np.cos(angle), 90.7 + 60 * np.sin(3 * angle)], axis=1)
    expected = np.zeros((220, 200), bool)
    expected[polygon(*points.T, shape=expected.shape)] = True
    assert np.count_nonzero(fill([in_units(points)], expected.shape) ^ expected) <= 4
