"""A method: supervised training whose loss is weighted."""

from dataclasses import dataclass
from typing import ClassVar, cast

from torch import Tensor

from equireg.batches.batch import Batch
from equireg.config import MethodConfig
from equireg.methods import Method


@dataclass(frozen=True)
class WeightedConfig(MethodConfig):
    """Options of the weighted method."""

    name: str = "weighted"
    """the method"""
    factor: float = 2.0
    """weight of the supervised loss"""


class Weighted(Method):
    """Train on the labelled scans alone, with a weight."""

    Options: ClassVar[type[MethodConfig]] = WeightedConfig
    uses_unlabelled: ClassVar[bool] = False

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Return the weighted supervised loss as ``total``."""
        image, label, valid = self.augmented(batch)
        factor = cast(WeightedConfig, self.config.method).factor
        return {"total": factor * self.supervised_loss(self.student(image), label, valid, step)}
