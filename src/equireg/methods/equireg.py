"""Equivariance Regularization: the prediction for a transformed scan is the transformed prediction."""

from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor
from torch.nn import functional

from equireg.config import MethodConfig, TrainConfig
from equireg.data.batch import Batch, Samples
from equireg.errors import UsageError
from equireg.losses import Averaging, cross_entropy, equivariance_loss, soft_dice_loss
from equireg.methods.base import Method, NetworkFactory, evaluating
from equireg.methods.schedules import ramp_up
from equireg.methods.teacher import copy_as_teacher, follow
from equireg.transforms import mixing
from equireg.transforms.spatial import warp_probabilities
from equireg.transforms.views import two_views


@dataclass(frozen=True)
class EquiRegConfig(MethodConfig):
    """Options of EquiReg; the thesis' objective is teacher self, targets soft, loss kl, threshold 0, cutmix 0."""

    name: str = "equireg"
    """the method"""
    teacher: Literal["self", "ema"] = "ema"
    """who predicts the target: the network itself, or the moving average of its weights"""
    ema_decay: float = 0.99
    """decay of that average a step"""
    targets: Literal["soft", "hard"] = "hard"
    """the teacher's probabilities, or its most probable class"""
    threshold: float = 0.9
    """least probability of the teacher's class for a voxel to count; 0 for every voxel"""
    loss: Literal["kl", "ce", "ce+dice"] = "ce+dice"
    """divergence from the target to the student"""
    cutmix: float = 0.5
    """chance that a box of an unlabelled sample is replaced by another sample's"""
    weight: float = 1.0
    """weight of the unlabelled loss"""
    ramp_up: float = 0.3
    """fraction of the steps over which that weight rises from 0"""
    temperature: float = 1.0
    """divides the teacher's logits: below 1 sharpens the target"""
    averaging: Literal["valid", "tissue", "all"] = "valid"
    """average over voxels from inside the scan, pooled over the batch; over voxels that are not background in the
    strong view, image by image (the thesis' unsup_crop); or over all, those from outside with background as target"""

    def __post_init__(self) -> None:
        ranges = {
            "ema_decay": (0.0, 1.0),
            "threshold": (0.0, 1.0),
            "cutmix": (0.0, 1.0),
            "ramp_up": (0.0, 1.0),
        }
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) <= high:
                raise UsageError(f"--method.{name} is {getattr(self, name)}; expected {low:g} to {high:g}.")
        if self.weight < 0 or self.temperature <= 0:
            raise UsageError(
                f"--method.weight is {self.weight} and --method.temperature {self.temperature}; "
                "expected 0 or more, and more than 0."
            )


@dataclass(frozen=True)
class _Task:
    """What the student is asked on the unlabelled samples."""

    image: Tensor
    """Strong view, [B, C, *S]."""
    target: Tensor
    """The teacher's prediction for the weak view, transformed to the strong one, [B, K, *S]."""
    area: Tensor
    """1 where the loss may count, [B, 1, *S]: as ``averaging`` says."""


class EquiReg(Method):
    """EquiReg (Scholin 2020) with a choice of teacher, target, confidence and mixing.

    The teacher sees the weak view of an unlabelled scan. Its prediction, transformed by T, is the target for
    the student, who sees T of the weak view. Confident hard targets follow FixMatch (Sohn et al. 2020),
    CutMix follows French et al. (2020).
    """

    Options: ClassVar[type[MethodConfig]] = EquiRegConfig

    def __init__(self, config: TrainConfig, network_factory: NetworkFactory, max_steps: int) -> None:
        super().__init__(config, network_factory, max_steps)
        self.options = cast(EquiRegConfig, config.method)
        self.teacher = copy_as_teacher(self.student) if self.options.teacher == "ema" else None

    @property
    def predictor(self):
        """The teacher where it is an average, else the network itself."""
        return self.student if self.teacher is None else self.teacher

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Return ``supervised``, ``unsupervised``, the part of voxels that counted, and their weighted ``total``."""
        image, label, valid = self.augmented(batch)
        if batch.unlabelled is None:
            supervised = self.supervised_loss(self.student(image), label, valid, step)
            return {"total": supervised, "supervised": supervised.detach()}
        task = self._mixed(self._task(batch.unlabelled, batch), batch)
        logits = self.student(torch.cat([image, task.image]))
        supervised = self.supervised_loss(logits[: len(image)], label, valid, step)
        unsupervised, counted = self._unsupervised(logits[len(image) :], task)
        weight = self.options.weight * ramp_up(step, self.options.ramp_up * self.max_steps)
        return {
            "total": supervised + weight * unsupervised,
            "supervised": supervised.detach(),
            "unsupervised": unsupervised.detach(),
            "counted": counted,
            "weight": torch.tensor(weight),
        }

    def after_step(self, step: int) -> None:
        """Let the teacher follow the student."""
        if self.teacher is not None:
            follow(self.teacher, self.student, step, self.options.ema_decay)

    @torch.no_grad()
    def _task(self, samples: Samples, batch: Batch) -> _Task:
        """Make both views, and the target; no gradient and no BatchNorm statistic passes here."""
        views = two_views(
            samples.image,
            samples.valid,
            samples.fill,
            samples.spacing_mm,
            self.config.views,
            batch.generator,
            batch.flip_axes,
        )
        with evaluating(self.predictor) as teacher:
            logits = teacher(views.weak).float()
        probs = functional.softmax(logits / self.options.temperature, dim=1)
        target, seen = warp_probabilities(probs, views.transform)
        inside = views.strong_valid * seen
        if self.options.averaging == "valid":
            return _Task(views.strong, target, inside)
        if self.options.averaging == "tissue":
            return _Task(views.strong, target, views.strong_tissue)
        background = torch.zeros_like(target)
        background[:, 0] = 1
        return _Task(views.strong, torch.where(inside > 0, target, background), torch.ones_like(inside))

    def _mixed(self, task: _Task, batch: Batch) -> _Task:
        """Mix boxes of the unlabelled samples, in the image and in the target alike."""
        if not self.options.cutmix:
            return task
        shape = task.image.shape[2:]
        params = mixing.sample(len(task.image), shape, batch.generator, self.options.cutmix)
        return _Task(*(mixing.apply(part, params) for part in (task.image, task.target, task.area)))

    def _unsupervised(self, logits: Tensor, task: _Task) -> tuple[Tensor, Tensor]:
        """Return the unlabelled loss and the part of the voxels that counted."""
        options = self.options
        confidence, classes = task.target.max(dim=1, keepdim=True)
        counts = task.area * (confidence >= options.threshold)
        part = counts.sum() / task.area.sum().clamp_min(1)
        averaging = Averaging(task.area, by_image=options.averaging == "tissue")
        target = task.target
        if options.targets == "hard":
            target = functional.one_hot(classes[:, 0], target.shape[1]).movedim(-1, 1).to(target.dtype)
        if options.loss == "kl":
            loss = equivariance_loss(logits, target, counts, averaging)
        else:
            loss = cross_entropy(logits, target, counts, averaging)
        if options.loss == "ce+dice":
            loss = loss + soft_dice_loss(logits, target, counts)
        return loss, part

    @torch.no_grad()
    def pictures(self, batch: Batch) -> dict[str, Tensor]:
        """Return the unlabelled task: scan, target, the teacher's confidence, the student's answer, valid."""
        if batch.unlabelled is None:
            return super().pictures(batch)
        task = self._mixed(self._task(batch.unlabelled, batch), batch)
        with evaluating(self.student) as student:
            answer = student(task.image)
        return {
            "scan": task.image[:, :1],
            "target": task.target.argmax(dim=1, keepdim=True),
            "teacher": task.target.max(dim=1, keepdim=True).values,
            "student": answer.argmax(dim=1, keepdim=True),
            "valid": task.area,
        }
