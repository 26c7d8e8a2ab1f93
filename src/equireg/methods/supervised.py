"""The baseline: labelled scans alone."""

from typing import ClassVar

from torch import Tensor

from equireg.batches.batch import Batch
from equireg.config import MethodConfig
from equireg.config.methods import SupervisedConfig
from equireg.methods.base import Method


class Supervised(Method):
    """Train on the labelled scans alone, with the augmentation and the loss that all methods share."""

    Options: ClassVar[type[MethodConfig]] = SupervisedConfig
    uses_unlabelled: ClassVar[bool] = False

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Return the supervised loss as ``total``."""
        image, label, valid = self.augmented(batch)
        logits, lower = self.answer(self.student, image)
        return {"total": self.supervised_loss(logits, label, valid, step, lower)}
