"""Equivariance Regularization: the prediction for a transformed scan is the transformed prediction."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from equireg.batches.batch import Batch, Samples
from equireg.config import MethodConfig, TrainConfig
from equireg.config.methods import EquiRegConfig
from equireg.errors import UsageError
from equireg.imaging.labels import IGNORED
from equireg.losses import (
    Averaging,
    argmax,
    cross_entropy,
    equivariance_loss,
    negative_cross_entropy,
    one_hot,
    soft_dice_loss,
)
from equireg.methods.base import NetworkFactory, Task, TaskMethod
from equireg.methods.confidence import shares_of, sure
from equireg.methods.earning import Earning, Seen, volumes_of
from equireg.methods.group_mean import group_mean, surer_mean
from equireg.methods.lesions import with_lesions
from equireg.methods.schedules import fall, ramp_up
from equireg.methods.targets import as_annotated, on_strong_view, overlapped
from equireg.methods.teacher import copy_as_teacher, update_ema
from equireg.processes import ranks
from equireg.transforms import group, mixing, spatial
from equireg.transforms.spatial import warp_probabilities
from equireg.transforms.views import TwoViews, two_views


@dataclass(frozen=True)
class _Facts:
    """What is known of the unlabelled samples beside the teacher's answer."""

    dice_weight: Tensor
    """How much the Dice of the task weighs, from 0 to 1, a scalar."""
    volumes: Tensor
    """What ``volumes_of`` gives for the teacher before other samples are mixed in, [257]; [0] where nobody asks."""
    atlas: Tensor | None
    """Class indices from registered masks, [B, 1, *S], ``IGNORED`` where nothing is known; None without an atlas."""
    shares: Tensor | None
    """How often each class occurs in the labelled samples, [K]; None where nobody asks."""


@dataclass(frozen=True)
class _KnownTask(Task):
    """An unlabelled task with what is known of its samples."""

    facts: _Facts


class EquiReg(TaskMethod):
    """EquiReg (Scholin 2020) with a choice of teacher, target, confidence and mixing.

    The teacher sees the weak view of an unlabelled scan. Its prediction, transformed by T, is the target for
    the student, who sees T of the weak view. With several passes that prediction is the mean over mirrored copies,
    turned back; what is not equivariant in the teacher averages out. The Dice loss of the unlabelled scans acts as
    strongly as that of the labelled ones. A scan that has a mask needs no second one, so the Dice loss is multiplied
    by the fraction of scans without a mask; with all labels only the cross-entropy is left. Confident hard targets
    follow FixMatch (Sohn et al. 2020), CutMix follows French et al. (2020), boxes of labelled samples follow BCP (Bai
    et al. 2023). Two teachers that are updated in turn, each for one of two passes, follow AD-MT (Zhao et al. 2024).
    Two networks that teach each other follow CPS (Chen et al. 2021), here by their averages and under T.
    """

    Options: ClassVar[type[MethodConfig]] = EquiRegConfig

    def __init__(self, config: TrainConfig, network_factory: NetworkFactory, max_steps: int) -> None:
        super().__init__(config, network_factory, max_steps)
        self.options = cast(EquiRegConfig, config.method)
        self.teacher = None if self.options.teacher == "self" else copy_as_teacher(self.student)
        two = self.options.teacher == "two"
        self.pair = nn.ModuleList(copy_as_teacher(self.student) for _ in range(2)) if two else None
        crossed = self.options.teacher == "cross"
        self.second = network_factory() if crossed else None
        self.second_teacher = None if self.second is None else copy_as_teacher(self.second)
        self.earning = Earning() if self.options.teaching == "earned" else None

    @property
    def students(self) -> tuple[nn.Module, ...]:
        """The network, or the two that teach each other."""
        return (self.student,) if self.second is None else (self.student, self.second)

    @property
    def predictor(self) -> nn.Module:
        """The average of the first network's weights where there is one, else the network itself."""
        return self.student if self.teacher is None else self.teacher

    def after_step(self, step: int) -> None:
        """Update the teachers, moving averages of the student, and what is known of them."""
        options = self.options
        if self.teacher is not None:
            update_ema(self.teacher, self.student, step, options.ema_decay, options.ema_span)
        if self.second is not None and self.second_teacher is not None:
            update_ema(self.second_teacher, self.second, step, options.ema_decay, options.ema_span)
        if self.pair is not None:
            turn = self.pair[step // options.turn % 2]
            update_ema(turn, self.student, step, options.ema_decay, options.ema_span)
        if self.earning is not None:
            self.earning.update()

    def weight_at(self, step: int) -> float | Tensor:
        """Return the weight of the unlabelled loss at a step."""
        if self.earning is not None:
            return self.options.weight * self.earning.trust
        return self.options.weight * ramp_up(step, self.options.ramp_steps(self.max_steps))

    def watch(
        self, batch: Batch, known: tuple[Tensor, Tensor, Tensor], logits: Tensor, task: Task
    ) -> dict[str, Tensor]:
        """Measure whether the teacher has earned to teach, where that decides."""
        if self.earning is None:
            return {}
        image, label, valid = known
        centred = batch.labelled.centred
        labelled = logits[: len(image)], label, valid
        asked = logits[len(image) :], task.target, task.area, task.mask
        volumes = cast(_KnownTask, task).facts.volumes
        return self.earning.watch(Seen.of(labelled, None if centred is None else ~centred, asked, volumes))

    @torch.no_grad()
    def task(self, samples: Samples, batch: Batch, step: int) -> Task:
        """Ask, of the strong view, for the teacher's prediction for the weak one, transformed in the same way.

        No gradient and no BatchNorm statistic passes here. Where two networks teach each other, it is the first one's.
        """
        return self._tasks(samples, batch)[0]

    def tasks(self, samples: Samples, known: tuple[Tensor, Tensor, Tensor], batch: Batch, step: int) -> Sequence[Task]:
        """Make the task of each network: the same views and boxes, the other's target."""
        return self._mixed(self._tasks(samples, batch), known, batch)

    def mixed(self, task: Task, known: tuple[Tensor, Tensor, Tensor], batch: Batch) -> Task:
        """Put boxes of other samples into the unlabelled ones, in both the image and the target."""
        return self._mixed([task], known, batch)[0]

    def exchange(self, image: Tensor, task: Task, batch: Batch) -> mixing.Exchange | None:
        """Draw the boxes, where the options say that samples exchange some; None for what nobody has decided is 0."""
        rate = self.options.exchange
        return mixing.Exchange.draw(image, task.image, batch.generator, rate) if rate else None

    def _tasks(self, samples: Samples, batch: Batch) -> list[Task]:
        """Make the views of unlabelled samples once, and of them the task of each network."""
        views = two_views(
            samples.image,
            samples.valid,
            samples.fill,
            samples.drawn_spacing_mm,
            self.config.views,
            batch.generator,
            batch.flip_axes,
        )
        moved = [warp_probabilities(probs, views.transform) for probs in self._taught(views.weak, batch)]
        if samples.second is not None and samples.second_shift_vox is not None:
            onto = spatial.shift(samples.second_shift_vox, samples.second.shape[2:], samples.spacing_mm)
            through = spatial.compose(onto, views.whole)
            others = [warp_probabilities(probs, through) for probs in self._taught(samples.second, batch)]
            moved = [overlapped(*pair) for pair in zip(moved, others, strict=True)]
        if samples.pasted is not None:
            classes = on_strong_view(samples.pasted, views)
            moved = [(as_annotated(target, classes), seen) for target, seen in moved]
        facts = _Facts(
            self._dice_weight(samples),
            volumes=samples.image.new_zeros(0),
            atlas=None if samples.atlas is None else on_strong_view(samples.atlas, views),
            shares=shares_of(batch.labelled, moved[0][0].shape[1])
            if self.options.balanced and self.options.threshold
            else None,
        )
        return [self._asked(views, known, facts) for known in moved]

    def _asked(self, views: TwoViews, known: tuple[Tensor, Tensor], facts: _Facts) -> Task:
        """Return the task whose target [B, K, *S] is known where it was seen, [B, 1, *S]."""
        target, seen = known
        inside = views.strong_valid * seen
        if self.earning is not None:
            facts = replace(facts, volumes=volumes_of(one_hot(argmax(target), target.shape[1]), inside))
        if self.options.averaging == "valid":
            return self._masked(views.strong, target, inside, facts)
        if self.options.averaging == "tissue":
            return self._masked(views.strong, target, views.strong_tissue, facts)
        background = torch.zeros_like(target)
        background[:, 0] = 1
        whole = torch.where(inside > 0, target, background)
        return self._masked(views.strong, whole, torch.ones_like(inside), facts)

    def _mixed(self, tasks: Sequence[Task], known: tuple[Tensor, Tensor, Tensor], batch: Batch) -> Sequence[Task]:
        """Put the same boxes into each task."""
        options = self.options
        if not options.cutmix:
            return tasks
        image, label, valid = known
        shown, classes = tasks[0].image, tasks[0].target.shape[1]
        others = (len(image), options.labelled_boxes)
        volume = self._box_volume(batch)
        params = mixing.sample(len(shown), shown.shape[2:], batch.generator, options.cutmix, volume, others)
        if options.exchange:
            params = params.without(mixing.partners_in(len(shown), len(image)))
        annotation = one_hot(torch.where(valid > 0, label, 0), classes)
        result = []
        for task in cast(Sequence[_KnownTask], tasks):
            facts = task.facts
            if facts.atlas is not None:
                atlas = mixing.apply(facts.atlas, params, torch.where(valid > 0, label, IGNORED))
                facts = replace(facts, atlas=atlas)
            mixed = self._masked(
                mixing.apply(task.image, params, image),
                mixing.apply(task.target, params, annotation),
                mixing.apply(task.area, params, valid),
                facts,
            )
            result.append(mixed)
        return result

    def unsupervised_loss(self, logits: Tensor, task: Task) -> Tensor:
        """Return the divergence of the student's answer from the target, inside the task's mask."""
        options = self.options
        averaging = Averaging(task.area, by_image=options.averaging == "tissue")
        target = task.target
        if options.targets == "hard":
            target = one_hot(argmax(target), target.shape[1])
        divergence = equivariance_loss if options.loss == "kl" else cross_entropy
        loss = divergence(logits, target, task.mask, averaging)
        if options.negative:
            self._check_negative(target.shape[1])
            unlikely = (task.target < options.ruled_out).float()
            doubtful = task.area * ~sure(task.target, options.threshold)
            loss = loss + options.negative * negative_cross_entropy(logits, unlikely, doubtful, averaging)
        if options.loss != "ce+dice":
            return loss
        return loss + cast(_KnownTask, task).facts.dice_weight * soft_dice_loss(logits, target, task.mask)

    def further_losses(self, logits: Tensor, task: Task, step: int) -> dict[str, Tensor]:
        """Return the loss on what registered masks say, whose weight fades, where the run has an atlas."""
        atlas, options = cast(_KnownTask, task).facts.atlas, self.options
        if atlas is None:
            return {}
        weight = options.atlas_weight * fall(step, options.atlas_fade * self.max_steps)
        if not weight:
            return {"atlas": logits.new_zeros(())}
        return {"atlas": weight * self.segmentation_loss(logits, atlas, (atlas != IGNORED).to(logits))}

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Return the losses of a task method, on a batch with pasted lesions where the options say so."""
        return super().losses(with_lesions(batch, self.options) if self.options.lesions else batch, step)

    @torch.no_grad()
    def pictures(self, batch: Batch) -> dict[str, Tensor]:
        """Return what a task method shows, of a batch with pasted lesions where the options say so."""
        return super().pictures(with_lesions(batch, self.options) if self.options.lesions else batch)

    def _check_negative(self, classes: int) -> None:
        """Refuse to push down what is never ruled out: of two classes, a doubtful voxel's other one is too probable."""
        ruled_out, least = self.options.ruled_out, 1 - self.options.threshold
        if classes == 2 and ruled_out <= least:
            raise UsageError(
                f"--method.negative does nothing with two classes: in a voxel below --method.threshold "
                f"{self.options.threshold:g} both have more than {least:.3g}, and --method.ruled_out is {ruled_out:g}. "
                f"Give a --method.ruled_out above {least:.3g}, or leave --method.negative out."
            )

    def _taught(self, weak: Tensor, batch: Batch) -> list[Tensor]:
        """Return what each network is taught of the weak view, the mean over moved copies of it, each [B, K, *S]."""
        options = self.options
        copies = group.draw(weak.ndim - 2, batch.flip_axes, batch.turn_planes, options.passes, batch.generator)
        if self.pair is not None:
            return [surer_mean(list(self.pair), weak, copies, options.temperature)]
        teachers = [self.predictor] if self.second_teacher is None else [self.second_teacher, self.predictor]
        return [group_mean(teacher, weak, copies, options.temperature) for teacher in teachers]

    def _dice_weight(self, samples: Samples) -> Tensor:
        """Return by what the Dice loss is multiplied."""
        return _unmasked(samples) if self.options.dice_fades else samples.image.new_ones(())

    def _box_volume(self, batch: Batch) -> tuple[float, float]:
        """Return the least and the greatest part of the field of view that a box takes."""
        low, high = mixing.VOLUME
        if not self.options.boxes_shrink or batch.unlabelled is None:
            return low, high
        scale = float(_unmasked(batch.unlabelled)) ** self.options.boxes_shrink
        return scale * low, scale * high

    def _masked(self, image: Tensor, target: Tensor, area: Tensor, facts: _Facts) -> _KnownTask:
        """Return a task whose mask holds the voxels where the target's class is probable enough."""
        mask = area * sure(target, self.options.threshold, facts.shares, self.options.balanced)
        return _KnownTask(image, target, area, mask, facts)


def _unmasked(samples: Samples) -> Tensor:
    """Return the fraction of the batch's samples that come from unlabelled cases; 1 where that is not known."""
    if samples.masked is None:
        return samples.image.new_ones(())
    (fractions,) = ranks.summed((~samples.masked).to(samples.image).mean())
    return fractions / ranks.count()
