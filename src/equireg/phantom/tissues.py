"""What the head is made of, and how each contrast of MRI shows it."""

from enum import IntEnum

import numpy as np

from equireg.phantom.field import Field


class Tissue(IntEnum):
    """What a voxel may hold a fraction of; the index into an array of fractions, [9, X, Y, Z]."""

    CSF = 0
    GREY = 1
    WHITE = 2
    LESION = 3
    VESSEL = 4
    OEDEMA = 5
    NECROSIS = 6
    SOLID = 7
    ENHANCING = 8


# Mean intensity in T1, T1ce, T2 and FLAIR; about 1 is the brightest healthy tissue of a contrast.
INTENSITIES = {
    Tissue.CSF: (0.28, 0.30, 1.05, 0.26),
    Tissue.GREY: (0.62, 0.65, 0.64, 0.66),
    Tissue.WHITE: (0.88, 0.90, 0.46, 0.52),
    Tissue.LESION: (0.68, 0.70, 0.80, 0.95),
    Tissue.VESSEL: (0.60, 1.25, 0.45, 0.55),
    Tissue.OEDEMA: (0.64, 0.67, 0.80, 0.86),
    Tissue.NECROSIS: (0.38, 0.42, 0.92, 0.58),
    Tissue.SOLID: (0.52, 0.55, 0.86, 0.84),
    Tissue.ENHANCING: (0.62, 1.10, 0.68, 0.80),
}


def paint(tissues: np.ndarray, tissue: Tissue, fraction: np.ndarray) -> None:
    """Lay ``fraction`` of one tissue over what is there, in place."""
    tissues *= 1 - fraction
    tissues[tissue] += fraction


def acquire(field: Field, tissues: np.ndarray) -> np.ndarray:
    """Turn fractions of tissue into scans: gamma, texture, bias field and Rician noise; [4, X, Y, Z]."""
    rng = field.rng
    means = np.array([INTENSITIES[tissue] for tissue in Tissue])
    means = means * np.exp(rng.normal(0, 0.09, means.shape))
    pure = np.einsum("tc,t...->c...", means, tissues)
    images = np.empty_like(pure)
    texture = field.noise(4)
    for channel, mixed in enumerate(pure):
        signal = np.clip(mixed, 0.02, None) ** rng.uniform(0.75, 1.4)
        signal *= 1 + 0.04 * texture + 0.04 * field.noise(3)
        signal *= np.exp(rng.uniform(0.08, 0.2) * field.noise(38))
        deviation = rng.uniform(0.05, 0.1)
        real, imaginary = deviation * rng.standard_normal((2, *field.shape), dtype=np.float32)
        gain = rng.uniform(300, 900)
        images[channel] = np.clip(gain * np.hypot(signal + real, imaginary), 1, np.iinfo(np.int16).max)
    return images
