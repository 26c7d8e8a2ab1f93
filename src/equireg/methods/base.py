"""What every method promises to the training loop, and what they share."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from equireg.config import MethodConfig, TrainConfig
from equireg.data.batch import Batch, Samples
from equireg.data.labels import IGNORED
from equireg.losses import annealed_cross_entropy, cross_entropy, soft_dice_loss
from equireg.methods.schedules import annealing_threshold
from equireg.transforms.views import labelled_view

NetworkFactory = Callable[[], nn.Module]
"""Makes a network with new weights."""


class Method(nn.Module, ABC):
    """A way to train one network or several.

    Args:
        config: the options of the run; ``config.method`` are the method's own.
        network_factory: makes a network with new weights; called once for each network that is trained.
        max_steps: optimiser steps of the whole run.
    """

    Options: ClassVar[type[MethodConfig]] = MethodConfig
    """The dataclass of the method's options."""
    uses_unlabelled: ClassVar[bool] = True
    """Whether the method reads ``batch.unlabelled``."""

    def __init__(self, config: TrainConfig, network_factory: NetworkFactory, max_steps: int) -> None:
        super().__init__()
        self.config = config
        self.max_steps = max_steps
        self.student = network_factory()

    @abstractmethod
    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Compute the step's scalars; ``total`` alone is back-propagated."""

    def after_step(self, step: int) -> None:
        """Do what follows the optimiser's step, such as a moving average."""

    @property
    def predictor(self) -> nn.Module:
        """The network that inference uses."""
        return self.student

    @torch.no_grad()
    def pictures(self, batch: Batch) -> dict[str, Tensor]:
        """Return what TensorBoard shows of a batch: name to images or class maps, [B, C, *S]."""
        image, label, valid = self.augmented(batch)
        with evaluating(self.student):
            student = self.student(image)
        return {
            "scan": image[:, :1],
            "target": torch.where(label == IGNORED, 0, label),
            "student": student.argmax(dim=1, keepdim=True),
            "valid": valid,
        }

    def augmented(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return the labelled samples' view, strong unless the run says weak: the same in all methods.

        Returns:
            Image [B, C, *S], label [B, 1, *S], and ``valid`` [B, 1, *S], which is 0 where nobody annotated.
        """
        samples = batch.labelled
        image, label, valid = labelled_view(
            samples.image,
            label_of(samples),
            samples.valid,
            samples.fill,
            samples.spacing_mm,
            self.config.views,
            batch.generator,
            batch.flip_axes,
            self.config.labelled_view,
        )
        return image, label, valid * (label != IGNORED)

    def supervised_loss(self, logits: Tensor, label: Tensor, valid: Tensor, step: int) -> Tensor:
        """Cross-entropy, plus soft Dice unless the run leaves it out, over annotated voxels; of all methods.

        Training signal annealing acts on the cross-entropy.
        """
        config = self.config
        if config.tsa == "none":
            loss = cross_entropy(logits, label, valid)
        else:
            part = step / self.max_steps
            threshold = None if config.tsa == "soft" else annealing_threshold(config.tsa, part, logits.shape[1])
            loss = annealed_cross_entropy(logits, label, valid, threshold)
        return loss + soft_dice_loss(logits, label, valid) if config.supervised_loss == "ce+dice" else loss


def label_of(samples: Samples) -> Tensor:
    """Return the label that labelled samples carry.

    Raises:
        ValueError: if they carry none.
    """
    if samples.label is None:
        raise ValueError("got samples without a label; expected the labelled ones of the batch")
    return samples.label


class evaluating:
    """Within the block a network is in evaluation mode: no dropout, and BatchNorm statistics stay as they are."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network

    def __enter__(self) -> nn.Module:
        self._modes = {module: module.training for module in self.network.modules()}
        return self.network.eval()

    def __exit__(self, *_: object) -> None:
        for module, training in self._modes.items():
            module.training = training
