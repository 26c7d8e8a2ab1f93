"""The prepared scans that scores are computed on."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from equireg.folders.prepared import PreparedSet


@dataclass(frozen=True)
class Case:
    """A prepared scan."""

    name: str
    image: Tensor
    """[C, D, H, W]"""
    label: np.ndarray
    """class indices, [D, H, W]"""
    background: Sequence[float]
    spacing_mm: Sequence[float]

    @cached_property
    def features(self) -> np.ndarray:
        """Smoothed intensities, places, and their products, [voxels, F]."""
        image = self.image.numpy()
        width = [1 / spacing for spacing in self.spacing_mm]
        smooth = [ndimage.gaussian_filter(channel, [s * w for w in width]) for channel in image for s in (3.0, 8.0)]
        places = np.meshgrid(*(np.linspace(-1, 1, size) for size in image.shape[1:]), indexing="ij")
        single = np.stack([*image, *smooth, *places]).reshape(len(image) * 3 + 3, -1)
        products = [single[i] * single[j] for i, j in itertools.combinations_with_replacement(range(len(single)), 2)]
        return np.vstack([np.ones_like(single[:1]), single, products]).T


def dice_of(one: np.ndarray, other: np.ndarray, classes: int) -> float:
    """Return the mean Dice over the classes; 1 for one that neither has."""
    found = []
    for index in range(1, classes):
        sizes = np.sum(one == index) + np.sum(other == index)
        found.append(2 * np.sum((one == index) & (other == index)) / sizes if sizes else 1.0)
    return float(np.mean(found))


def read_case(data: PreparedSet, name: str) -> Case:
    """Read one case of a prepared folder."""
    record = data.by_name[name]
    image = torch.from_numpy(np.asarray(data.image(name)[:], dtype=np.float32))
    return Case(name, image, np.asarray(data.label(name)[:]), record.background, record.spacing_mm)
