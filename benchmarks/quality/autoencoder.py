"""A rival score: how well an auto-encoder that knows plausible masks repeats a predicted one.

A small convolutional denoising auto-encoder of slices learns the labelled training masks under the run's own spatial
transforms; a prediction unlike them comes back changed (after Galati and Zuluaga 2021; Wang et al. 2020).
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional

from equireg.config import SpatialConfig
from equireg.transforms import sampling, spatial

STEPS, BATCH, POOL, FEATURES, CODE = 400, 16, 320, 16, 4
"""Optimiser steps, slices a step, transformed slices that they are drawn from, features of the first resolution,
and numbers of a place of the code."""
_CELL = 8
"""Voxels of a slice behind a place of the code, along each axis."""
_DAMAGE = 0.4
"""Range below 1 of smoothed uniform noise that is painted over with another class; at most about a fifth of a slice."""


class MaskAutoencoder:
    """What the labelled masks look like.

    Args:
        masks: class indices of the labelled cases, each [D, H, W].
        classes: their number, K, with the background.
        spacing_mm: of a slice's two axes, mm.
        transform: ranges of the random transforms.
        flip_axes: axes of a slice along which a mirrored scan is a plausible one.
    """

    def __init__(
        self,
        masks: Sequence[np.ndarray],
        classes: int,
        spacing_mm: Sequence[float],
        transform: SpatialConfig,
        flip_axes: Sequence[int],
    ) -> None:
        self._classes = classes
        self._always = [index for index in range(1, classes) if all(np.any(mask == index) for mask in masks)]
        shape = [_whole(max(mask.shape[axis] for mask in masks)) for axis in (1, 2)]
        slices = [_padded(self._planes(mask), shape) for mask in masks]
        pool = torch.cat([own[own[:, 1:].sum(dim=(1, 2, 3)) > 0] for own in slices])
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self._network = _network(classes)
        self._learn(pool, spacing_mm, transform, flip_axes)

    def score(self, mask: np.ndarray) -> float:
        """Return the mean Dice of a mask [D, H, W] and what comes back of it; 0 for a class that should be there."""
        planes = self._planes(mask)
        shape = [_whole(size) for size in mask.shape[1:]]
        with torch.no_grad():
            again = self._network(_padded(planes, shape)).argmax(dim=1).numpy()
        top, left = ((full - size) // 2 for full, size in zip(shape, mask.shape[1:], strict=True))
        again = again[:, top : top + mask.shape[1], left : left + mask.shape[2]]
        found = []
        for index in range(1, self._classes):
            sizes = np.sum(mask == index) + np.sum(again == index)
            if sizes or index in self._always:
                found.append(2 * np.sum((mask == index) & (again == index)) / max(sizes, 1))
        return float(np.mean(found)) if found else 0.0

    def _planes(self, mask: np.ndarray) -> Tensor:
        """Return the slices of a mask [D, H, W] as probabilities, [D, K, H, W]."""
        return functional.one_hot(torch.from_numpy(mask.astype(np.int64)), self._classes).movedim(-1, 1).float()

    def _learn(
        self, pool: Tensor, spacing_mm: Sequence[float], transform: SpatialConfig, flip_axes: Sequence[int]
    ) -> None:
        generator = Generator().manual_seed(0)
        drawn = pool[torch.randint(len(pool), (POOL,), generator=generator)].argmax(dim=1, keepdim=True).float()
        params = sampling.sample(transform, POOL, drawn.shape[2:], spacing_mm, generator, flip_axes)
        moved = spatial.apply(drawn, params, mode="nearest")[0][:, 0].long()  # [POOL, H, W]
        optimiser = torch.optim.Adam(self._network.parameters(), lr=3e-3)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
        for _ in range(STEPS):
            label = moved[torch.randint(POOL, (BATCH,), generator=generator)]
            loss = functional.cross_entropy(self._network(self._damaged(label, generator)), label)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        self._network.eval()

    def _damaged(self, label: Tensor, generator: Generator) -> Tensor:
        """Return slices [B, K, H, W] of class indices [B, H, W] with smooth patches of another class."""
        coarse = torch.rand((len(label), 1, *(size // 4 for size in label.shape[1:])), generator=generator)
        field = functional.interpolate(coarse, label.shape[1:], mode="bilinear", align_corners=False)[:, 0]
        edge = 1 - _DAMAGE * torch.rand((len(label), 1, 1), generator=generator)
        other = torch.randint(self._classes, (len(label), 1, 1), generator=generator)
        return functional.one_hot(torch.where(field > edge, other, label), self._classes).movedim(-1, 1).float()


def _whole(size: int) -> int:
    """Return the next multiple of the code's cells."""
    return math.ceil(size / _CELL) * _CELL


def _padded(planes: Tensor, shape: Sequence[int]) -> Tensor:
    """Centre slices [D, K, H, W] in a larger field of background."""
    margins = [(full - size, (full - size) // 2) for full, size in zip(shape, planes.shape[2:], strict=True)]
    (more_h, top), (more_w, left) = margins
    result = functional.pad(planes, (left, more_w - left, top, more_h - top))
    result[:, 0] = 1 - result[:, 1:].sum(dim=1)
    return result


def _network(classes: int) -> nn.Module:
    """Return three resolutions down to the code and three up."""

    def block(incoming: int, outgoing: int, stride: int = 1) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(incoming, outgoing, 3, stride, 1), nn.BatchNorm2d(outgoing), nn.LeakyReLU(0.01))

    def up(incoming: int, outgoing: int) -> nn.Sequential:
        return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), block(incoming, outgoing))

    width = FEATURES
    return nn.Sequential(
        block(classes, width, 2),
        block(width, 2 * width, 2),
        block(2 * width, 4 * width, 2),
        nn.Conv2d(4 * width, CODE, 1),
        block(CODE, 4 * width),
        up(4 * width, 2 * width),
        up(2 * width, width),
        up(width, width),
        nn.Conv2d(width, classes, 1),
    )
