"""Gliomas: an irregular core, its enhancing rim, oedema around it, and the room that they take."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from equireg.phantom.field import Field, inside_fraction, largest_part
from equireg.phantom.tissues import Tissue, paint

NECROSIS, OEDEMA, ENHANCING = 1, 2, 4
"""Label values, as in BraTS to 2021: necrotic or non-enhancing core, oedema, enhancing rim."""


@dataclass(frozen=True)
class Tumour:
    """Where a tumour lies: depth below each part's surface in mm, positive inside, and its power to push."""

    core_mm: np.ndarray
    oedema_mm: np.ndarray
    rim_mm: np.ndarray
    """Thickness of the enhancing rim: 0 where none enhances, more than the core's radius where all does."""
    centre_mm: np.ndarray
    radius_mm: float


def draw_tumours(field: Field, place: np.ndarray, depth: np.ndarray) -> list[Tumour]:
    """Draw one tumour, or now and then two, deep enough in the cerebrum."""
    x, _, z = place
    room = np.flatnonzero((depth > 12) & (np.abs(x) > 14) & (z > -22) & (z < 38))
    count = 1 + int(field.rng.random() < 0.15)
    return [_tumour(field, place, int(field.rng.choice(room)), 1.0 if k == 0 else 0.65) for k in range(count)]


def _tumour(field: Field, place: np.ndarray, at: int, size: float) -> Tumour:
    rng = field.rng
    centre = place.reshape(3, -1)[:, at]
    radius = size * rng.uniform(9, 18)
    stretch = np.exp(rng.normal(0, 0.18, 3))
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
    local = np.einsum("ij,j...->i...", turn, place - centre.reshape(3, 1, 1, 1))
    distance = np.sqrt(np.einsum("i,i...->...", stretch**2, local**2))
    spread = rng.uniform(6, 15)
    skew = rng.normal(size=3)
    skewed = distance - 0.25 * np.einsum("i,i...->...", skew / np.linalg.norm(skew), local)
    kind = rng.random()
    rim = rng.uniform(3.5, 6.5) + 1.2 * field.noise(7)
    if kind < 0.12:
        rim = np.zeros_like(rim)  # nothing enhances, as in most low-grade tumours
    elif kind < 0.24:
        rim = np.full_like(rim, 99.0)  # enhances throughout: no necrosis
    return Tumour(
        core_mm=radius - distance + 0.16 * radius * field.noise(7),
        oedema_mm=radius + spread - skewed + 4.0 * field.noise(8),
        rim_mm=rim,
        centre_mm=centre,
        radius_mm=radius,
    )


def pushed_away(place: np.ndarray, tumour: Tumour) -> np.ndarray:
    """Return the places whose healthy tissue a growing tumour pushed here (mass effect), [3, X, Y, Z]."""
    away = place - tumour.centre_mm.reshape(3, 1, 1, 1)
    reach = 1.8 * tumour.radius_mm
    return place - 0.35 * away * np.exp(-np.sum(away**2, axis=0) / (2 * reach**2))


def paint_tumours(field: Field, tissues: np.ndarray, tumours: list[Tumour], brain: np.ndarray) -> np.ndarray:
    """Lay the tumours over the anatomy, in place, and return the mask that an expert would draw."""
    fluid = tissues[Tissue.CSF].copy()
    cortex, cavity = (
        ndimage.gaussian_filter(tissues[tissue], 3.0 / field.spacing_mm) for tissue in (Tissue.GREY, Tissue.CSF)
    )
    label = np.zeros(field.shape, np.uint8)
    cores = []
    for tumour in tumours:
        # Oedema follows white matter, halts at cortex and ventricles, and is drawn across narrow sulci.
        oedema = np.where(cavity < 0.5, tumour.oedema_mm - 5 * cortex, -9.0)
        whole = np.maximum(oedema, tumour.core_mm)
        stray = (whole > 0) & ~largest_part((whole > 0) & brain)
        oedema, core = (np.where(stray, -9.0, depth) for depth in (oedema, tumour.core_mm))
        paint(tissues, Tissue.OEDEMA, inside_fraction(oedema, 1.2) * (1 - fluid))
        label[oedema > 0] = OEDEMA
        cores.append(core)
    for tumour, core in zip(tumours, cores, strict=True):
        inner = core - tumour.rim_mm
        paint(tissues, Tissue.ENHANCING, inside_fraction(core))
        paint(tissues, Tissue.NECROSIS if tumour.rim_mm.any() else Tissue.SOLID, inside_fraction(inner))
        label[core > 0] = ENHANCING
        label[inner > 0] = NECROSIS
    return label
