"""Bidirectional copy-paste: labelled and unlabelled scans are pasted into each other."""

from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np
import torch
from scipy import ndimage
from torch import Generator, Tensor

from equireg.batches.batch import Batch, Samples
from equireg.config import MethodConfig, TrainConfig
from equireg.config.methods import BCPConfig
from equireg.losses import one_hot
from equireg.methods.base import Method, NetworkFactory, predicted
from equireg.methods.pictures import task_pictures
from equireg.methods.teacher import copy_as_teacher, update_ema
from equireg.processes import ranks


@dataclass(frozen=True)
class _Part:
    """Images with a class for each voxel, annotated or predicted."""

    image: Tensor
    """[B, C, *S]."""
    target: Tensor
    """Class indices, [B, 1, *S]."""
    valid: Tensor
    """1 where the class is known, [B, 1, *S]."""
    confidence: Tensor
    """Probability of a predicted class, [B, 1, *S]; 1 for an annotation."""

    def __getitem__(self, index: Tensor) -> "_Part":
        """Return some of the samples."""
        return _Part(**{name: value[index] for name, value in vars(self).items()})

    def of_all_ranks(self) -> "_Part":
        """Return the samples of the whole batch."""
        return _Part(**{name: ranks.gathered(value) for name, value in vars(self).items()})


@dataclass(frozen=True)
class _Mix:
    """Images of one part, with a box of another."""

    frame: _Part
    """What shows outside the box."""
    pasted: _Part
    """What shows inside."""
    box: Tensor
    """True inside, [*S]."""

    @property
    def whole(self) -> _Part:
        """The mixed images with their mixed targets."""
        pairs = {name: (value, vars(self.frame)[name]) for name, value in vars(self.pasted).items()}
        return _Part(**{name: torch.where(self.box, *pair) for name, pair in pairs.items()})

    @property
    def outside(self) -> tuple[Tensor, Tensor]:
        """The frame's target and its mask, each [B, 1, *S]."""
        return self.frame.target, self.frame.valid * ~self.box

    @property
    def inside(self) -> tuple[Tensor, Tensor]:
        """The box's target and its mask, each [B, 1, *S]."""
        return self.pasted.target, self.pasted.valid * self.box


class BidirectionalCopyPaste(Method):
    """BCP (Bai et al. 2023): the student learns from labelled and unlabelled scans in one image.

    For a first quarter of the steps (10,000 of 40,000 in the authors' code for ACDC) it learns from labelled scans
    pasted into each other. Then a teacher starts as a copy of it and follows as a moving average. From there on
    unlabelled scans are pasted into labelled ones, and the other way round (equations 2 and 3). The pasted box has
    2/3 of each side and a random place, the same for the whole batch. The target of the unlabelled part is the
    teacher's class, of which the largest component by sample and class is kept. Each part of a mixed image has its
    own cross-entropy and Dice; the unlabelled parts weigh 1/2 (equations 7 to 9), and the sum is halved as in the
    authors' code.

    Differences: the authors paste one half of the batch into the other, so that each step has half as many mixed
    images as scans; here each scan is in both directions, which costs as much as another method's step. They start
    the second phase from the checkpoint that is best on validation cases; ours continues from the last weights.
    """

    Options: ClassVar[type[MethodConfig]] = BCPConfig

    def __init__(self, config: TrainConfig, network_factory: NetworkFactory, max_steps: int) -> None:
        super().__init__(config, network_factory, max_steps)
        self.options = cast(BCPConfig, config.method)
        self.teacher = copy_as_teacher(self.student)

    def losses(self, batch: Batch, step: int) -> dict[str, Tensor]:
        """Return the losses on the labelled and the unlabelled parts, and their weighted ``total``."""
        labelled = self._annotated(batch)
        if batch.unlabelled is None:
            logits, lower = self.answer(self.student, labelled.image)
            total = self.supervised_loss(logits, labelled.target, labelled.valid, step, lower)
            return {"total": total, "supervised": total.detach()}
        if self._is_pretraining(step):
            total = self._pretraining_loss(labelled, batch, step)
            return {"total": total, "supervised": total.detach()}
        inward, outward = self._mixes(labelled, batch.unlabelled, batch)
        logits, lower = self.answer(self.student, torch.cat([inward.whole.image, outward.whole.image]))
        (one, *lower_one), (other, *lower_other) = zip(*(part.chunk(2) for part in (logits, *lower)), strict=True)
        supervised = self.supervised_loss(one, *inward.outside, step, lower_one)
        supervised = (supervised + self.supervised_loss(other, *outward.inside, step, lower_other)) / 2
        unsupervised = self.segmentation_loss(one, *inward.inside)
        unsupervised = (unsupervised + self.segmentation_loss(other, *outward.outside)) / 2
        return {
            "total": supervised + self.options.weight * unsupervised,
            "supervised": supervised.detach(),
            "unsupervised": unsupervised.detach(),
            "weight": torch.tensor(self.options.weight),
        }

    def after_step(self, step: int) -> None:
        """Let the teacher be the student's copy to the end of the first phase, and its average from there on."""
        update_ema(self.teacher, self.student, step, 0.0 if self._is_pretraining(step) else self.options.ema_decay)

    @torch.no_grad()
    def pictures(self, batch: Batch) -> dict[str, Tensor]:
        """Return the task of the second phase: unlabelled boxes in labelled frames."""
        if batch.unlabelled is None:
            return super().pictures(batch)
        mix = self._mixes(self._annotated(batch), batch.unlabelled, batch)[0].whole
        known = torch.where(mix.valid > 0, mix.target, 0)
        target = one_hot(known, int(known.max()) + 1) * mix.confidence
        return task_pictures(self.student, mix.image, target, mix.valid)

    def _is_pretraining(self, step: int) -> bool:
        """Whether the unlabelled scans wait at this step."""
        return step < self.options.pretraining * self.max_steps

    def _annotated(self, batch: Batch) -> _Part:
        """Return the labelled samples' view."""
        image, label, valid = self.augmented(batch)
        return _Part(image, label, valid, torch.ones_like(valid))

    def _pretraining_loss(self, labelled: _Part, batch: Batch, step: int) -> Tensor:
        """Return the mean of both parts' losses on labelled samples that are pasted into each other."""
        whole = labelled.of_all_ranks()
        own = ranks.rank_of(batch.generator).slice_of(len(labelled.image))
        index = torch.arange(len(whole.image)).roll(1)[own]
        mix = _Mix(labelled, whole[index], draw_box(labelled.image, batch.generator))
        logits, lower = self.answer(self.student, mix.whole.image)
        outside = self.supervised_loss(logits, *mix.outside, step, lower)
        return (outside + self.supervised_loss(logits, *mix.inside, step, lower)) / 2

    @torch.no_grad()
    def _mixes(self, labelled: _Part, samples: Samples, batch: Batch) -> tuple[_Mix, _Mix]:
        """Return unlabelled boxes in labelled frames, and labelled boxes in unlabelled frames.

        Each unlabelled sample meets two labelled ones, where there are two.
        """
        count = max(len(labelled.image), len(samples.image))
        unlabelled, labelled = self._predicted(samples, batch).of_all_ranks(), labelled.of_all_ranks()
        box = draw_box(labelled.image, batch.generator)
        own = ranks.rank_of(batch.generator).slice_of(count)
        index = torch.arange(max(len(labelled.image), len(unlabelled.image)))[own]
        known, following = index % len(labelled.image), (index + 1) % len(labelled.image)
        guest = unlabelled[index % len(unlabelled.image)]
        return _Mix(labelled[known], guest, box), _Mix(guest, labelled[following], box)

    def _predicted(self, samples: Samples, batch: Batch) -> _Part:
        """Return a view of unlabelled samples with the teacher's classes, the largest component of each."""
        view, valid = self.geometric_view(samples, batch, "strong")
        image = self.changed_intensities(view, batch)
        confidence, classes = predicted(self.teacher, image).max(dim=1, keepdim=True)
        return _Part(image, largest_components(classes), valid, confidence)


def draw_box(image: Tensor, generator: Generator) -> Tensor:
    """Return a box with 2/3 of each side of images [B, C, *S] at a random place, True inside, [*S]."""
    box = torch.ones((), dtype=torch.bool)
    for side in image.shape[2:]:
        length = side * 2 // 3
        start = int(torch.randint(side - length + 1, (), generator=generator))
        places = torch.arange(side)
        box = box[..., None] & (places >= start) & (places < start + length)
    return box.to(image.device)


def largest_components(classes: Tensor) -> Tensor:
    """Return class indices [B, 1, *S] in which each sample keeps one connected component of a class.

    The rest becomes background. Voxels that touch by a corner are connected, as in the authors' code.
    """
    found = classes.cpu().numpy()
    kept = np.zeros_like(found)
    for sample, result in zip(found[:, 0], kept[:, 0], strict=True):
        for value in np.unique(sample[sample > 0]):
            components = np.zeros(sample.shape, dtype=np.int32)
            ndimage.label(sample == value, structure=np.ones((3,) * sample.ndim), output=components)
            largest = np.bincount(components[components > 0]).argmax()
            result[components == largest] = value
    return torch.from_numpy(kept).to(classes.device)
