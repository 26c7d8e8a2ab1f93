"""Pseudo-label: the student takes its own most probable class for the truth."""

from typing import ClassVar, cast

from torch import Tensor

from equireg.batches.batch import Batch, Samples
from equireg.config import MethodConfig, TrainConfig
from equireg.config.methods import PseudoLabelConfig
from equireg.losses import argmax
from equireg.methods.base import NetworkFactory, Task, TaskMethod, predicted


class PseudoLabel(TaskMethod):
    """Pseudo-label (Lee 2013), for segmentation.

    The target is the student's own class, predicted again at each step for the very image that it then learns from;
    all voxels inside the scan count, with the loss of an annotation. The weight is the paper's (equation 16): 0 up to
    epoch 100, then evenly to 3 at epoch 600. The paper does not tie these epochs to the length of a run; here
    they are tenths of it, as if a run were of 1,000 epochs.
    """

    Options: ClassVar[type[MethodConfig]] = PseudoLabelConfig

    def __init__(self, config: TrainConfig, network_factory: NetworkFactory, max_steps: int) -> None:
        super().__init__(config, network_factory, max_steps)
        self.options = cast(PseudoLabelConfig, config.method)

    def weight_at(self, step: int) -> float:
        """Return the weight of the unlabelled loss at a step."""
        options = self.options
        begin, length = options.start * self.max_steps, options.ramp_up * self.max_steps
        if step < begin:
            return 0.0
        return options.weight * (min(1.0, (step - begin) / length) if length else 1.0)

    def task(self, samples: Samples, batch: Batch, step: int) -> Task:
        """Ask for what the student itself predicts for the image; no statistic moves here."""
        view, valid = self.geometric_view(samples, batch, "strong")
        image = self.changed_intensities(view, batch)
        return Task(image, predicted(self.student, image), valid, valid)

    def unsupervised_loss(self, logits: Tensor, task: Task) -> Tensor:
        """Return the loss of an annotation against the predicted class."""
        return self.segmentation_loss(logits, argmax(task.target), task.mask)
