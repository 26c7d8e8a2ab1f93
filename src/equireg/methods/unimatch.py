"""UniMatch: two strong views and one with gaps in its features learn from the weak view."""

from typing import ClassVar, cast

import torch
from torch import Tensor

from equireg.batches.batch import Batch, Samples
from equireg.config import MethodConfig, TrainConfig
from equireg.config.methods import UniMatchConfig
from equireg.losses import argmax, soft_dice_loss
from equireg.methods.base import NetworkFactory, Task
from equireg.methods.feature_dropout import feature_dropout
from equireg.methods.fixmatch import WeakToStrong
from equireg.networks import encoder_stages

_WEIGHTS = (0.25, 0.25, 0.5)
"""Part of the unlabelled loss that each strong view has, and the view with gaps in its features."""


class UniMatch(WeakToStrong):
    """UniMatch (Yang et al. 2023), as its authors set it for medical scans.

    The student's own class in the weak view, where its probability is 0.95 or more, is the target for three: two
    strong views, each with its own intensities and CutMix (section 3.3), and the weak view itself with half of the
    encoder's feature maps kept from the decoder (section 3.2). For each, the loss is the soft Dice over the voxels
    that count; the weights are 1/4, 1/4 and 1/2 (equation 8). The authors halve the sum of cross-entropy and Dice on
    the labelled scans and not the Dice on the unlabelled ones; ours is the whole sum, hence the weight 2.

    Difference: the Dice is that of our supervised loss, which leaves the background out; theirs has it in.
    """

    Options: ClassVar[type[MethodConfig]] = UniMatchConfig

    def __init__(self, config: TrainConfig, network_factory: NetworkFactory, max_steps: int) -> None:
        super().__init__(config, network_factory, max_steps)
        self.options = cast(UniMatchConfig, config.method)
        encoder_stages(self.student)  # a network whose encoder is not known is refused before training

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Return ``supervised``, ``unsupervised``, the part of voxels that counted, and their weighted ``total``."""
        if batch.unlabelled is None:
            return super().losses(batch, step)
        # Rows of the student's pass that hold the weak view. The pass that makes the target has fewer rows than
        # that, so that all of its maps stay.
        weak = slice(len(batch.labelled.image) + 2 * len(batch.unlabelled.image), None)
        with feature_dropout(self.student, batch.generator, self.options.dropout, weak):
            return super().losses(batch, step)

    def task(self, samples: Samples, batch: Batch, step: int) -> Task:
        """Ask three times for what the student is sure of in the weak view: in two strong views, and in itself."""
        weak = self.weak_task(samples, batch)
        tasks = (self.strong_task(weak, batch), self.strong_task(weak, batch), weak)
        return Task(*(torch.cat([vars(task)[name] for task in tasks]) for name in vars(weak)))

    def unsupervised_loss(self, logits: Tensor, task: Task) -> Tensor:
        """Return the weighted soft Dice of the three views, each inside its mask."""
        target = argmax(task.target)
        parts = zip(_WEIGHTS, logits.chunk(3), target.chunk(3), task.mask.chunk(3), strict=True)
        return sum((weight * soft_dice_loss(*part) for weight, *part in parts), start=logits.new_zeros(()))
