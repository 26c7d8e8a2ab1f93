"""Interpolation consistency: the prediction for a mix of two scans is the mix of their predictions."""

from typing import ClassVar, cast

import numpy as np
import torch
from torch import Generator, Tensor

from equireg.batches.batch import Batch, Samples
from equireg.config import MethodConfig, TrainConfig
from equireg.config.methods import ICTConfig
from equireg.methods.base import NetworkFactory, Task
from equireg.methods.mean_teacher import MeanTeacher
from equireg.processes import ranks


class InterpolationConsistency(MeanTeacher):
    """ICT (Verma et al. 2019), for segmentation.

    The student sees a mix of two scans. Its target is the same mix of the averaged teacher's predictions for both
    (section 2); the loss is the squared error of probabilities. Each sample is mixed with another of the
    batch, by a fraction of its own. The paper's settings are for classification; alpha 0.2, weight 0.1, decay 0.99 and
    a weight that rises over the whole run are those of SSL4MIS (Luo et al. 2020).
    """

    Options: ClassVar[type[MethodConfig]] = ICTConfig

    def __init__(self, config: TrainConfig, network_factory: NetworkFactory, max_steps: int) -> None:
        super().__init__(config, network_factory, max_steps)
        self.options = cast(ICTConfig, config.method)

    def task(self, samples: Samples, batch: Batch, step: int) -> Task:
        """Ask for the mix of the teacher's predictions; known where both scans are."""
        view, valid = self.geometric_view(samples, batch, "strong")
        image = self.changed_intensities(view, batch)
        fraction, partner = draw_mix(len(image), self.options.alpha, batch.generator)
        target = mixed(self.predicted(image), fraction, partner)
        valid = valid * ranks.gathered(valid)[partner.to(valid.device)]
        return Task(mixed(image, fraction, partner), target, valid, valid)


def draw_mix(batch_size: int, alpha: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Draw how a batch is mixed.

    Args:
        batch_size: samples, B; a single one is mixed with itself, which changes nothing.
        alpha: both parameters of the beta distribution.
        generator: the only source of random numbers, on the CPU.

    Returns:
        The fraction that each sample keeps, [B], and the index of the sample that the rest comes from, [B], counted
        in the whole batch over all ranks.
    """
    own, batch_size = ranks.rank_of(generator).slice_of(batch_size), ranks.rank_of(generator).whole(batch_size)
    # Torch's beta distribution takes no generator.
    seed = ranks.Random(generator).seed()
    fraction = torch.from_numpy(np.random.default_rng(seed).beta(alpha, alpha, batch_size))
    shift = 1 + torch.randint(max(batch_size - 1, 1), (1,), generator=generator)
    return fraction[own], ((torch.arange(batch_size) + shift) % batch_size)[own]


def mixed(values: Tensor, fraction: Tensor, partner: Tensor) -> Tensor:
    """Return ``fraction`` of each sample plus the rest of its partner, [B, C, *S]."""
    keep = fraction.to(values.device, values.dtype).view(-1, *[1] * (values.ndim - 1))
    return keep * values + (1 - keep) * ranks.gathered(values)[partner.to(values.device)]
