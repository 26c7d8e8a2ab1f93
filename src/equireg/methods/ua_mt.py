"""Uncertainty-aware mean teacher: the student learns where the teacher is certain."""

import math
from typing import ClassVar, cast

import torch
from torch import Generator, Tensor

from equireg.batches.batch import Batch, Samples
from equireg.config import MethodConfig, TrainConfig
from equireg.config.methods import UAMTConfig
from equireg.methods.base import NetworkFactory, Task
from equireg.methods.feature_dropout import feature_dropout
from equireg.methods.mean_teacher import MeanTeacher
from equireg.methods.schedules import ramp_up
from equireg.processes.ranks import Random, rank_of

_NOISE = 0.1
"""Standard deviation of the noise on the input of each pass; scans have a standard deviation of about 1."""
_MOST_NOISE = 0.2
"""Noise beyond this is cut off."""


class UncertaintyAwareMeanTeacher(MeanTeacher):
    """UA-MT (Yu et al. 2019): a mean teacher whose loss is computed only where the teacher's predictive entropy is low.

    The entropy is that of the mean of 8 passes with dropout and input noise (equation 2). A voxel counts where it is
    below (3/4 + 1/4 r) ln K, with K classes and r the ramp-up over the whole run (section 3, implementation); the
    squared error is averaged over those voxels (equation 3). Weight, decay and rise of the weight are the paper's.

    Differences: the paper's V-Net has two dropout layers of 0.5, and its student is trained with them. Ours has none,
    so the teacher's passes leave out feature maps of all stages of its encoder, and fewer of them: 0.2, near the mean
    over the stages of the U-Net of SSL4MIS (Luo et al. 2020).
    """

    Options: ClassVar[type[MethodConfig]] = UAMTConfig

    def __init__(self, config: TrainConfig, network_factory: NetworkFactory, max_steps: int) -> None:
        super().__init__(config, network_factory, max_steps)
        self.options = cast(UAMTConfig, config.method)

    def task(self, samples: Samples, batch: Batch, step: int) -> Task:
        """Ask for the teacher's probabilities, and count the voxels where it is certain."""
        image, image_of_teacher, valid = self.two_images(samples, batch)
        target = self.predicted(image_of_teacher)
        threshold = entropy_threshold(step, self.max_steps, target.shape[1])
        certain = self.uncertainty(image_of_teacher, batch.generator) < threshold
        return Task(image, target, valid, valid * certain)

    @torch.no_grad()
    def uncertainty(self, image: Tensor, generator: Generator) -> Tensor:
        """Return the entropy of the teacher's mean prediction over its random passes, [B, 1, *S], nats."""
        options = self.options
        with feature_dropout(self.teacher, generator, options.dropout):
            total = self.predicted(noisy(image, generator))
            for _ in range(options.passes - 1):
                total = total + self.predicted(noisy(image, generator))
        return predictive_entropy(total / options.passes)


def entropy_threshold(step: int, max_steps: int, classes: int) -> float:
    """Return the entropy, in nats, below which a voxel is certain: from about 3/4 of the greatest one to all of it."""
    return (0.75 + 0.25 * ramp_up(step, max_steps)) * math.log(classes)


def predictive_entropy(probs: Tensor) -> Tensor:
    """Return the entropy of each voxel's distribution [B, K, *S] as [B, 1, *S], nats."""
    return torch.special.entr(probs).sum(dim=1, keepdim=True)


def noisy(image: Tensor, generator: Generator) -> Tensor:
    """Return images [B, C, *S] with Gaussian noise of 0.1, cut off at 0.2.

    The noise is drawn on the image's device, from a seed that ``generator`` draws.
    """
    rank = rank_of(generator)
    there = Generator(image.device).manual_seed(Random(generator).seed())
    shape = (rank.whole(len(image)), *image.shape[1:])
    noise = _NOISE * torch.randn(shape, generator=there, device=image.device, dtype=image.dtype)
    noise = noise[rank.slice_of(len(image))]
    return image + noise.clamp(-_MOST_NOISE, _MOST_NOISE)
