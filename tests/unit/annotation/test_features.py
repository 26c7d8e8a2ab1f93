"""Features of scans: alike scans lie near each other, and what a scan is not does not count."""

import numpy as np
import pytest

from equireg.annotation.features import coarse, describe, embed

SPACING_MM = (2.0, 1.0, 1.0)


def scan(
    radius: float, brightness: float = 1.0, seed: int = 0, shape: tuple[int, int, int] = (12, 24, 24)
) -> np.ndarray:
    """Return a ball [1, D, H, W] on a background of -1, with noise inside."""
    grid = np.stack(np.meshgrid(*[np.arange(size) - size / 2 for size in shape], indexing="ij"))
    grid[0] *= 2
    body = np.sqrt((grid**2).sum(axis=0)) < radius
    noise = np.random.default_rng(seed).normal(brightness, 0.1, shape)
    return np.where(body, noise, -1)[None].astype(np.float32)


def points_of(*scans: np.ndarray) -> np.ndarray:
    return embed([describe(image, [-1.0], SPACING_MM) for image in scans])


def test_another_drawing_of_the_noise_is_nearer_than_another_body_or_brightness():
    like, other, dark = scan(8, seed=1), scan(5), scan(8, brightness=0.3)
    points = points_of(scan(8), like, other, dark)
    far = np.linalg.norm(points - points[0], axis=1)
    assert far[1] < 0.5 * far[2]
    assert far[1] < 0.5 * far[3]


def test_where_the_body_lies_and_how_wide_the_background_is_do_not_matter():
    centred = scan(6)
    moved = np.full((1, 18, 40, 36), -1, np.float32)
    moved[:, 5:17, 12:36, 3:27] = centred
    here, there = (describe(image, [-1.0], SPACING_MM) for image in (centred, moved))
    for group in (1, 2, 3):
        np.testing.assert_allclose(here[group], there[group], rtol=1e-5)
    np.testing.assert_allclose(here[0][:-1], there[0][:-1], rtol=1e-5)


def test_extent_is_measured_in_mm():
    assert np.exp(describe(scan(8), [-1.0], SPACING_MM)[2]) == pytest.approx([14, 15, 15], abs=1.5)


def test_an_empty_scan_and_equal_scans_have_points():
    empty = np.full((1, 4, 8, 8), -1, np.float32)
    assert np.isfinite(points_of(empty, empty)).all()
    assert np.isfinite(points_of(scan(8), empty)).all()
    assert points_of(scan(8)).shape[0] == 1


@pytest.mark.parametrize("size", [3, 8, 20])
def test_cells_average_what_they_cover(size):
    ramp = np.arange(size, dtype=np.float32)[:, None, None] * np.ones((1, 2, 2), np.float32)
    cells = coarse(ramp, (8, 1, 1))
    assert cells.shape == (8, 1, 1)
    assert (np.diff(cells[:, 0, 0]) >= 0).all()
    assert float(cells.mean()) == pytest.approx(float(ramp.mean()), rel=0.05)
    assert coarse(np.ones((size, 5, 7)), (4, 4, 4)) == pytest.approx(np.ones((4, 4, 4)))
