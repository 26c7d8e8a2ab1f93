"""What methods share: a task may have no target."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from equireg.batches.batch import Batch, Samples
from equireg.config import TrainConfig
from equireg.losses import masked_mean
from equireg.methods.base import Task, TaskMethod


class Entropy(TaskMethod):
    """Lowers the entropy of the answers on unlabelled samples; nobody predicts a target."""

    def task(self, samples: Samples, batch: Batch, step: int) -> Task:
        image, valid = self.geometric_view(samples, batch, "strong")
        return Task.without_target(image, valid, valid)

    def unsupervised_loss(self, logits: Tensor, task: Task) -> Tensor:
        entropy = torch.special.entr(functional.softmax(logits, dim=1)).sum(dim=1, keepdim=True)
        return masked_mean(entropy, task.mask)

    def weight_at(self, step: int) -> float:
        return 1.0


def samples(count: int) -> Samples:
    label = torch.zeros(count, 1, 8, 8, dtype=torch.uint8)
    return Samples(
        torch.randn(count, 1, 8, 8),
        torch.ones(count, 1, 8, 8),
        torch.zeros(count, 1),
        torch.ones(count, 2),
        ("a",) * count,
        label,
    )


def test_a_method_may_have_no_target() -> None:
    method = Entropy(TrainConfig(), lambda: nn.Conv2d(1, 3, 1), 10)
    batch = Batch(samples(2), samples(3), torch.Generator().manual_seed(0), ())
    losses = method.losses(batch, 0)
    losses["total"].backward()
    assert losses["unsupervised"] > 0
    shown = method.pictures(batch)
    assert list(shown) == ["scan", "student", "valid"]
    assert shown["student"].shape == (3, 1, 8, 8)
