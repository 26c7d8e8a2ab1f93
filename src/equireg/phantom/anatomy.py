"""The healthy head, and what in it could be taken for a tumour."""

import numpy as np
from scipy import ndimage

from equireg.phantom.field import Field, ellipsoid_mm, inside_fraction
from equireg.phantom.tissues import Tissue, paint

_HALF_AXES_MM = np.array([66.0, 82.0, 56.0])


def head_positions_mm(field: Field) -> np.ndarray:
    """Tilt, shift, resize and warp the grid, so that no two heads are alike; [3, X, Y, Z]."""
    tilt = np.deg2rad(field.rng.normal(0, (5, 2, 6)))
    (cx, cy, cz), (sx, sy, sz) = np.cos(tilt), np.sin(tilt)
    rotation = (
        np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
        @ np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        @ np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    )
    size = np.clip(field.rng.normal(1.0, 0.045, 3), 0.88, 1.08)
    shift = np.clip(field.rng.normal(0, (3, 3, 2)), -5, 5) - (0, 0, 3)
    centred = field.positions_mm() - shift.reshape(3, 1, 1, 1)
    place = np.einsum("ij,j...->i...", rotation, centred) / size.reshape(3, 1, 1, 1)
    return (place + np.stack([2.5 * field.noise(24) for _ in range(3)])).astype(np.float32)


def brain_depth_mm(field: Field, place: np.ndarray) -> np.ndarray:
    """Return the depth below the brain's surface: an egg, narrow in front and flat below."""
    x, y, z = place / _HALF_AXES_MM.reshape(3, 1, 1, 1)
    x = x / (1 - 0.12 * y)
    z = np.where(z < 0, z * 1.17, z)
    radius = (np.abs(x) ** 2.3 + np.abs(y) ** 2.3 + np.abs(z) ** 2.3) ** (1 / 2.3)
    return (1 - radius) * 62 + 0.9 * field.noise(7)


def paint_anatomy(field: Field, place: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """Paint the healthy brain and what a tumour could be confused with; fractions [9, X, Y, Z] that sum to 1."""
    rng = field.rng
    x, y, z = place
    tissues = np.zeros((len(Tissue), *field.shape), np.float32)
    tissues[Tissue.WHITE] = 1
    folds, fade = (
        np.abs(_radial(field, field.noise(5.5), place)),
        np.clip(1.15 - depth / rng.uniform(14, 20), 0, 1),
    )
    midline = np.abs(x + 1.5 * field.noise(15))
    cerebrum_gap = np.where((y / 42) ** 2 + ((z - 4) / 24) ** 2 > 1, 1.0, -9.0)
    paint(tissues, Tissue.GREY, inside_fraction((0.85 * fade - folds) / 0.2))
    paint(tissues, Tissue.GREY, inside_fraction(3.2 - depth))
    paint(tissues, Tissue.GREY, inside_fraction(4.0 * cerebrum_gap - midline))
    _paint_deep_grey(tissues, place)
    _paint_hindbrain(field, tissues, place)
    paint(tissues, Tissue.CSF, inside_fraction((rng.uniform(0.18, 0.32) * fade - folds) / 0.2, 0.6))
    paint(tissues, Tissue.CSF, inside_fraction(0.9 * cerebrum_gap - midline, 0.6))
    paint(tissues, Tissue.CSF, 0.8 * inside_fraction(0.6 - depth, 0.6))
    _paint_distractors(field, tissues, place, depth)
    return tissues


def _radial(field: Field, noise: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Draw noise out along the way to the brain's middle, so that folds run inward from the surface."""
    radius = np.linalg.norm(place / _HALF_AXES_MM.reshape(3, 1, 1, 1), axis=0)
    drawn = place * (0.3 + 0.7 * 0.85 / np.clip(radius, 0.3, None))
    steps = np.array([-1, -1, 1]) * field.spacing_mm
    middle = (np.array(field.shape) - 1) / 2
    return ndimage.map_coordinates(
        noise, drawn / steps.reshape(3, 1, 1, 1) + middle.reshape(3, 1, 1, 1), order=1, mode="reflect"
    )


def _paint_deep_grey(tissues: np.ndarray, place: np.ndarray) -> None:
    mirrored = np.stack([np.abs(place[0]), place[1], place[2]])
    nuclei = (((12, -14, 2), (8, 13, 9)), ((26, 3, 0), (7, 16, 9)), ((15, 18, 8), (5, 10, 9)))
    for centre, half_axes in nuclei:  # thalamus, lentiform nucleus, head of the caudate
        paint(tissues, Tissue.GREY, 0.8 * inside_fraction(ellipsoid_mm(mirrored, centre, half_axes)))


def _paint_hindbrain(field: Field, tissues: np.ndarray, place: np.ndarray) -> None:
    x, y, z = place
    cerebellum = ellipsoid_mm(place, (0, -46, -36), (46, 30, 22))
    paint(tissues, Tissue.CSF, inside_fraction(2.0 - np.abs(cerebellum + 1)) * (z < -8))
    paint(tissues, Tissue.GREY, inside_fraction(cerebellum))
    leaves = np.abs(field.noise(3.5))
    paint(tissues, Tissue.WHITE, 0.8 * inside_fraction(cerebellum - 5) * inside_fraction((leaves - 0.5) / 0.2))
    stem = 12 - np.hypot(x, 1.1 * (y + 13))
    paint(tissues, Tissue.CSF, inside_fraction(stem + 4) * inside_fraction(-20 - z, 2.0))
    paint(tissues, Tissue.WHITE, inside_fraction(stem) * inside_fraction(-12 - z, 2.0))


def _ventricles_mm(field: Field, place: np.ndarray) -> np.ndarray:
    """Return the depth inside the ventricles, whose width differs by a factor of two between heads."""
    x, y, z = np.abs(place[0]), place[1], place[2]
    width = field.rng.uniform(0.65, 1.35)
    bent = np.stack([x - 0.006 * (y - 2) ** 2, y, z + 0.007 * (y - 2) ** 2])
    return np.maximum.reduce(
        [
            ellipsoid_mm(bent, (7, -4, 12), (5.5 * width, 34, 9 * width)),
            ellipsoid_mm(np.stack([x, y, z]), (25, -32, -2), (4.5 * width, 17, 9 * width)),
            ellipsoid_mm(np.stack([x, y, z]), (0, -10, -2), (2.6 * width, 14, 10)),
        ]
    )


def _paint_distractors(field: Field, tissues: np.ndarray, place: np.ndarray, depth: np.ndarray) -> None:
    """Paint ventricles, white-matter lesions (bright in FLAIR) and vessels (bright in T1ce)."""
    rng = field.rng
    ventricles = _ventricles_mm(field, place)
    white = tissues[Tissue.WHITE].copy()
    caps = inside_fraction(rng.uniform(1.0, 7.0) + ventricles + 2.0 * field.noise(8))
    spots = inside_fraction((field.noise(3.5) - rng.uniform(1.6, 2.6)) / 0.25) * (depth > 8)
    paint(tissues, Tissue.LESION, rng.uniform(0.6, 1.0) * white * np.maximum(caps, spots))
    paint(tissues, Tissue.CSF, inside_fraction(ventricles))
    plexus = inside_fraction(1.5 - np.abs(ventricles - 2)) * inside_fraction((field.noise(5) - 0.8) / 0.2)
    # Two sheets cross along lines, which makes tubes.
    tubes = 1.6 - np.hypot(field.noise(9), field.noise(9)) * 9
    sinus = 4.0 - np.hypot(place[0], depth - 1.5)
    vessels = np.maximum(inside_fraction(tubes), inside_fraction(sinus) * (place[2] > -5))
    meninges = 0.5 * inside_fraction(1.0 - depth) * inside_fraction((field.noise(12) - 0.3) / 0.3)
    paint(tissues, Tissue.VESSEL, np.maximum.reduce([0.9 * vessels, 0.6 * plexus, meninges]))
