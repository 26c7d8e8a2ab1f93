"""Cross pseudo supervision: two networks, each of which takes the other's class for the truth."""

from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from equireg.batches.batch import Batch, Samples
from equireg.config import MethodConfig, TrainConfig
from equireg.config.methods import CPSConfig
from equireg.losses import argmax, cross_entropy
from equireg.methods.base import Method, NetworkFactory, predicted
from equireg.methods.pictures import task_pictures
from equireg.networks import Pyramid
from equireg.transforms import mixing


@dataclass(frozen=True)
class _CrossTask:
    """What both networks are asked on the unlabelled samples."""

    image: Tensor
    """[B, C, *S]."""
    area: Tensor
    """1 where the voxel is of a scan, [B, 1, *S]."""
    probs: tuple[Tensor, Tensor] | None
    """Predictions of both networks before mixing, mixed as the images are, [B, K, *S]. None without mixing: then the
    training pass itself gives the predictions."""


class CrossPseudoSupervision(Method):
    """CPS (Chen et al. 2021): two networks of different first weights see the same images.

    Each learns from the labels, and from the other's argmax class at every voxel of labelled and unlabelled
    scans (equations 2 to 4), by cross-entropy. The two kinds of scans are pooled, as in the authors' code. The
    weight is theirs for few labels, 1.5, from the first step. With ``cutmix`` the classes are predicted ahead of
    mixing and mixed like the images (section 3, "incorporation with the CutMix augmentation"). Inference uses the
    first network alone, as the paper does.
    """

    Options: ClassVar[type[MethodConfig]] = CPSConfig

    def __init__(self, config: TrainConfig, network_factory: NetworkFactory, max_steps: int) -> None:
        super().__init__(config, network_factory, max_steps)
        self.options = cast(CPSConfig, config.method)
        self.second = network_factory()

    @property
    def students(self) -> tuple[nn.Module, ...]:
        """Both networks."""
        return (self.student, self.second)

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Return ``supervised`` and ``unsupervised``, summed over both networks, and their weighted ``total``."""
        image, label, valid = self.augmented(batch)
        if batch.unlabelled is None:
            answers = [self.answer(student, image) for student in self.students]
            supervised = self._supervised(answers, label, valid, step)
            return {"total": supervised, "supervised": supervised.detach()}
        task = self._task(batch.unlabelled, batch)
        answers = [self.answer(student, torch.cat([image, task.image])) for student in self.students]
        supervised = self._supervised(answers, label, valid, step)
        unsupervised = self._crossed([logits for logits, _ in answers], task, torch.cat([valid, task.area]))
        return {
            "total": supervised + self.options.weight * unsupervised,
            "supervised": supervised.detach(),
            "unsupervised": unsupervised.detach(),
            "weight": torch.tensor(self.options.weight),
        }

    @torch.no_grad()
    def pictures(self, batch: Batch) -> dict[str, Tensor]:
        """Return the unlabelled task of the first network, whose target the second one predicts."""
        if batch.unlabelled is None:
            return super().pictures(batch)
        task = self._task(batch.unlabelled, batch)
        target = predicted(self.second, task.image) if task.probs is None else task.probs[1]
        return task_pictures(self.student, task.image, target, task.area)

    def _supervised(self, answers: list[Pyramid], label: Tensor, valid: Tensor, step: int) -> Tensor:
        """Return the sum of both networks' losses on the labelled samples, which come first in their answers."""
        one, other = (
            self.supervised_loss(logits[: len(label)], label, valid, step, [part[: len(label)] for part in lower])
            for logits, lower in answers
        )
        return one + other

    @torch.no_grad()
    def _task(self, samples: Samples, batch: Batch) -> _CrossTask:
        """Make the unlabelled images; with mixing, also both predictions; no statistic moves here."""
        view, area = self.geometric_view(samples, batch, "strong")
        image = self.changed_intensities(view, batch)
        if not self.options.cutmix:
            return _CrossTask(image, area, None)
        params = mixing.sample(len(image), image.shape[2:], batch.generator, self.options.cutmix)
        one, other = (mixing.apply(predicted(student, image), params) for student in self.students)
        return _CrossTask(mixing.apply(image, params), mixing.apply(area, params), (one, other))

    def _crossed(self, logits: list[Tensor], task: _CrossTask, area: Tensor) -> Tensor:
        """Return the sum of both networks' cross-entropies against the other's class, over all samples."""
        classes = [argmax(part.detach()) for part in logits]
        if task.probs is not None:
            for known, probs in zip(classes, task.probs, strict=True):
                known[-len(probs) :] = argmax(probs)
        return cross_entropy(logits[0], classes[1], area) + cross_entropy(logits[1], classes[0], area)
