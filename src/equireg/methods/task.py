"""What a student is asked on samples whose masks are not used."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Task:
    """What a student is asked on unlabelled samples."""

    image: Tensor
    """What it sees, [B, C, *S]."""
    target: Tensor
    """Probabilities that it should answer, [B, K, *S]; [B, 0, *S] where the method has none (``without_target``)."""
    area: Tensor
    """1 where the target is known, [B, 1, *S]."""
    mask: Tensor
    """1 where the loss is computed, a part of ``area``, [B, 1, *S]."""

    @classmethod
    def without_target(cls, image: Tensor, area: Tensor, mask: Tensor) -> "Task":
        """Return a task whose loss needs no target, such as the entropy of the answer."""
        return Task(image, image[:, :0], area, mask)
