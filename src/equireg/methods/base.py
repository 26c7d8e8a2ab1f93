"""What every method promises to the training loop, and what they share."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from equireg.batches.batch import Batch, Samples, label_of
from equireg.config import MethodConfig, TrainConfig
from equireg.imaging.labels import IGNORED
from equireg.losses import annealed_cross_entropy, argmax, cross_entropy, soft_dice_loss
from equireg.methods.deep_supervision import over_resolutions
from equireg.methods.evaluation_mode import evaluating
from equireg.methods.pictures import task_pictures
from equireg.methods.schedules import annealing_threshold
from equireg.methods.task import Task
from equireg.networks import Pyramid, pyramid
from equireg.processes import ranks
from equireg.transforms import intensity
from equireg.transforms.mixing import Exchange
from equireg.transforms.views import LabelledScans, geometric_view, labelled_view

NetworkFactory = Callable[[], nn.Module]
"""Makes a network with new weights."""


class Method(nn.Module, ABC):
    """A way to train one network or several.

    Args:
        config: the options of the run; ``config.method`` are the method's own.
        network_factory: makes a network with new weights; called once for each network that is trained.
        max_steps: optimiser steps of the whole run.

    ``step / max_steps`` is the part of the run that is done. A run with a budget of time is planned anew on the way:
    both change, so read ``max_steps`` where it is used, and do not build on a step that rises by exactly one.
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

    @property
    def students(self) -> tuple[nn.Module, ...]:
        """The networks that the optimiser trains; ``student`` comes first."""
        return (self.student,)

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
            "student": argmax(student),
            "valid": valid,
        }

    def augmented(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
        """Return the labelled samples' view, strong unless the run says weak: the same in all methods.

        Returns:
            Image [B, C, *S], label [B, 1, *S], and ``valid`` [B, 1, *S], which is 0 where nobody annotated.
        """
        samples = batch.labelled
        scans = LabelledScans(samples.image, label_of(samples), samples.valid, samples.fill, samples.drawn_spacing_mm)
        image, label, valid = labelled_view(
            scans, self.config.views, batch.generator, batch.flip_axes, self.config.labelled_view
        )
        return image, label, valid * (label != IGNORED)

    def geometric_view(
        self, samples: Samples, batch: Batch, strength: Literal["weak", "strong"]
    ) -> tuple[Tensor, Tensor]:
        """Return samples under a random spatial transform of the run's weak or strong ranges, intensities as they are.

        Returns:
            Image [B, C, *S] and ``valid`` [B, 1, *S].
        """
        views = self.config.views
        return geometric_view(
            samples.image,
            samples.valid,
            samples.fill,
            samples.drawn_spacing_mm,
            views.weak if strength == "weak" else views.strong,
            batch.generator,
            batch.flip_axes,
        )

    def changed_intensities(self, image: Tensor, batch: Batch) -> Tensor:
        """Return images [B, C, *S] under the run's random intensity changes, each image on its own."""
        changes = intensity.sample(self.config.views.intensity, len(image), image.shape[1], batch.generator)
        return intensity.apply(image, changes)

    def segmentation_loss(self, logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
        """Cross-entropy, plus soft Dice unless the run leaves it out of the supervised loss, without annealing.

        What a method uses that treats a prediction as if it were an annotation.

        Args:
            logits: unnormalised scores, [B, K, *S].
            target: class indices [B, 1, *S], or probabilities [B, K, *S].
            valid: weight of each voxel, [B, 1, *S].
        """
        loss = cross_entropy(logits, target, valid)
        return loss + soft_dice_loss(logits, target, valid) if self.config.supervised_loss == "ce+dice" else loss

    def answer(self, network: nn.Module, image: Tensor) -> Pyramid:
        """Return a trained network's logits [B, K, *S], and the lower ones that ``supervised_loss`` takes too."""
        return pyramid(network, image)

    def supervised_loss(
        self, logits: Tensor, label: Tensor, valid: Tensor, step: int, lower: Sequence[Tensor] = ()
    ) -> Tensor:
        """Cross-entropy, plus soft Dice unless the run leaves it out, over annotated voxels; of all methods.

        Training signal annealing acts on the cross-entropy.

        Args:
            logits: unnormalised scores, [B, K, *S].
            label: class indices, [B, 1, *S].
            valid: 1 where somebody annotated, [B, 1, *S].
            step: of the run.
            lower: logits of the same samples at lower resolutions, finest first (deep supervision).
        """

        def at_one_resolution(logits: Tensor, label: Tensor, valid: Tensor) -> Tensor:
            return self._supervised_loss(logits, label, valid, step)

        return over_resolutions(at_one_resolution, (logits, *lower), label, valid)

    def _supervised_loss(self, logits: Tensor, label: Tensor, valid: Tensor, step: int) -> Tensor:
        """Return the supervised loss at one resolution."""
        config = self.config
        if config.tsa == "none":
            loss = cross_entropy(logits, label, valid)
        else:
            part = step / self.max_steps
            threshold = None if config.tsa == "soft" else annealing_threshold(config.tsa, part, logits.shape[1])
            loss = annealed_cross_entropy(logits, label, valid, threshold)
        return loss + soft_dice_loss(logits, label, valid) if config.supervised_loss == "ce+dice" else loss


class TaskMethod(Method):
    """A method that adds to the supervised loss one on a task, in one pass over both.

    One with several students has a task for each of them (``tasks``).
    """

    @abstractmethod
    def task(self, samples: Samples, batch: Batch, step: int) -> Task:
        """Make the task of unlabelled samples; called without gradient."""

    def mixed(self, task: Task, known: tuple[Tensor, Tensor, Tensor], batch: Batch) -> Task:
        """Mix samples of the task with each other, or with the labelled ones; by default, not at all.

        Args:
            task: of the unlabelled samples.
            known: image, label and ``valid`` of the labelled ones, as ``augmented`` returns them.
            batch: the source of random numbers.
        """
        return task

    def exchange(self, image: Tensor, task: Task, batch: Batch) -> Exchange | None:
        """Draw which boxes labelled samples exchange with the task's before a student sees either; None for none.

        Args:
            image: of the labelled samples, as ``augmented`` returns it.
            task: of the unlabelled ones, mixed.
            batch: the source of random numbers.
        """
        return None

    @abstractmethod
    def unsupervised_loss(self, logits: Tensor, task: Task) -> Tensor:
        """Compare the student's answer [B, K, *S] with the task's target."""

    @abstractmethod
    def weight_at(self, step: int) -> float | Tensor:
        """Return the weight of the unlabelled loss at a step."""

    def watch(
        self, batch: Batch, known: tuple[Tensor, Tensor, Tensor], logits: Tensor, task: Task
    ) -> dict[str, Tensor]:
        """Look at a step's answers, without gradient; what is returned is logged.

        Args:
            batch: of the step.
            known: image, label and ``valid`` of the labelled samples, as ``augmented`` returns them.
            logits: the first student's, of the labelled samples and then of the task, [B + U, K, *S].
            task: the first student's, of the unlabelled samples, mixed.
        """
        return {}

    def further_losses(self, logits: Tensor, task: Task, step: int) -> dict[str, Tensor]:
        """Return a student's losses on a task beside that on its target, by name; they are added as they are.

        Args:
            logits: the student's answer, [U, K, *S].
            task: what it was asked.
            step: of the run; the names are the same at each.
        """
        return {}

    def tasks(self, samples: Samples, known: tuple[Tensor, Tensor, Tensor], batch: Batch, step: int) -> Sequence[Task]:
        """Make the task of each student, mixed; called without gradient."""
        return [self.mixed(self.task(samples, batch, step), known, batch)]

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Return ``supervised``, ``unsupervised``, the fraction of voxels in the mask, and their weighted ``total``.

        Both losses are sums over the students.
        """
        image, label, valid = known = self.augmented(batch)
        if batch.unlabelled is None:
            answers = [self.answer(student, image) for student in self.students]
            supervised = _sum([self.supervised_loss(one, label, valid, step, lower) for one, lower in answers])
            return {"total": supervised, "supervised": supervised.detach()}
        with torch.no_grad():
            tasks = self.tasks(batch.unlabelled, known, batch, step)
        pairs = zip(self.students, tasks, strict=True)
        exchange = self.exchange(image, tasks[0], batch)
        answers = [self._answer_to_both(student, torch.cat([image, task.image]), exchange) for student, task in pairs]
        on_labels = [[part[: len(image)] for part in (one, *lower)] for one, lower in answers]
        asked = [one[len(image) :] for one, _ in answers]
        supervised = _sum([self.supervised_loss(own[0], label, valid, step, own[1:]) for own in on_labels])
        unsupervised = _sum([self.unsupervised_loss(own, task) for own, task in zip(asked, tasks, strict=True)])
        weight = self.weight_at(step)
        further = [self.further_losses(own, task, step) for own, task in zip(asked, tasks, strict=True)]
        added = {name: _sum([each[name] for each in further]) for name in further[0]}
        with torch.no_grad():
            seen = self.watch(batch, known, answers[0][0].detach(), tasks[0])
        counted, area = ranks.summed(
            _sum([task.mask.sum() for task in tasks]), _sum([task.area.sum() for task in tasks])
        )
        return {
            "total": _sum([supervised + weight * unsupervised, *added.values()]),
            "supervised": supervised.detach(),
            "unsupervised": unsupervised.detach(),
            "counted": counted / area.clamp_min(1),
            "weight": torch.as_tensor(weight),
            **{name: loss.detach() for name, loss in added.items()},
            **seen,
        }

    def _answer_to_both(self, student: nn.Module, both: Tensor, exchange: Exchange | None) -> Pyramid:
        """Return the answer to both parts of a batch, which exchange boxes while the student looks, exchanged back."""
        if exchange is None:
            return self.answer(student, both)
        logits, lower = self.answer(student, exchange(both))
        return exchange(logits), tuple(exchange(part) for part in lower)

    @torch.no_grad()
    def pictures(self, batch: Batch) -> dict[str, Tensor]:
        """Return the unlabelled task as the run's last step would make it."""
        if batch.unlabelled is None:
            return super().pictures(batch)
        known = self.augmented(batch)
        task = self.mixed(self.task(batch.unlabelled, batch, self.max_steps), known, batch)
        return task_pictures(self.student, task.image, task.target, task.area)


@torch.no_grad()
def predicted(network: nn.Module, image: Tensor) -> Tensor:
    """Return a network's probabilities [B, K, *S] in evaluation mode: no gradient, and no statistic moves."""
    with evaluating(network):
        return functional.softmax(network(image).float(), dim=1)


def _sum(values: Sequence[Tensor]) -> Tensor:
    """Return the sum of scalars; of one, itself."""
    return torch.stack(list(values)).sum()
