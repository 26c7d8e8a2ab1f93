"""When a teacher has earned to teach: measured while it trains, without a validation case.

A teacher that knows nothing yet teaches background. So the weight of its loss is a trust from 0 to 1, which follows
what the run shows at every step:

- **fit**: Dice of the student on the labelled samples under augmentation. It says whether the masks are learnt at all;
  with one labelled scan it comes early, and says little about other scans;
- **agreement**: Dice between the teacher's target and the student's answer on the unlabelled samples, two views of a
  scan with a transform between them. A network that has not learnt to commute with it does not agree with itself;
- **sure**: the part of the voxels that the target calls anything but background whose class is probable enough to be
  taught;
- **drift**: how many times larger or smaller than on the labelled scans a class has become on the unlabelled ones, the
  worst of the classes. Only labelled windows that were drawn without looking for a label can tell how large a class is.

Trust rises with fit and agreement. It falls again where the agreement falls from its highest value, or a class drifts.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from equireg.losses import argmax, one_hot
from equireg.processes import ranks

MOST_CLASSES = 256
"""Labels are stored in 8 bits."""
_HORIZON_STEPS = 20
"""Steps over which the measures are averaged."""
_FIT, _AGREEMENT = (0.5, 0.8), (0.5, 0.8)
"""Dice at which trust begins, and at which it is whole."""
_FALL = (0.7, 0.9)
"""Agreement, as a fraction of its highest value, at which trust is gone, and below which it goes."""
_DRIFT = (2.5, 5.0)
"""Times that a class may be too large or too small before trust goes, and until it is gone."""
_LEAST = 1e-5
"""Fraction of the voxels below which a class counts as absent."""


@dataclass(frozen=True)
class Seen:
    """Sums over the voxels of one step, of all ranks together; [256] is a number a class."""

    fit: Tensor
    """Overlap and sizes of the student's answer and the label, [2, 256]."""
    agreement: Tensor
    """Overlap and sizes of the student's answer and the target, [2, 256]."""
    sure: Tensor
    """Voxels taught that are not background, and all that the target says are not, [2]."""
    shown: Tensor
    """Voxels of each class in labelled windows that were drawn anywhere, and as the last, all of these, [257]."""
    predicted: Tensor
    """The same of the teacher on unlabelled windows, [257]."""

    @classmethod
    def of(
        cls,
        labelled: tuple[Tensor, Tensor, Tensor],
        anywhere: Tensor | None,
        task: tuple[Tensor, Tensor, Tensor, Tensor],
        volumes: Tensor,
    ) -> "Seen":
        """Add up a step.

        Args:
            labelled: the student's logits [B, K, *S], the label [B, 1, *S] and ``valid`` [B, 1, *S].
            anywhere: True for the labelled windows that were not centred on a label, [B]; None if that is not known.
            task: the student's logits and the target [U, K, *S], where the target is known and where it is taught, both
                [U, 1, *S].
            volumes: what ``volumes_of`` gives for the teacher, [257].
        """
        logits, label, valid = labelled
        answer, target, area, mask = task
        known = torch.where(valid > 0, label, 0)
        free = valid if anywhere is None else valid * anywhere.view(-1, *[1] * (valid.ndim - 1))
        taught = argmax(target) != 0
        sums = ranks.summed(
            _overlap(logits, one_hot(known, logits.shape[1]), valid),
            _overlap(answer, one_hot(argmax(target), target.shape[1]), area),
            torch.stack([(mask * taught).sum(), (area * taught).sum()]).float(),
            volumes_of(one_hot(known, logits.shape[1]), free),
            volumes,
        )
        return cls(*sums)


class Earning(nn.Module):
    """How far a teacher is trusted; its state is part of the checkpoint, and the same on all ranks."""

    fit: Tensor
    agreement: Tensor
    sure: Tensor
    shown: Tensor
    predicted: Tensor
    height: Tensor
    steps: Tensor
    trust: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name, shape in {
            "fit": (2, MOST_CLASSES),
            "agreement": (2, MOST_CLASSES),
            "sure": (2,),
            "shown": (MOST_CLASSES + 1,),
            "predicted": (MOST_CLASSES + 1,),
            "height": (),
            "steps": (),
            "trust": (),
        }.items():
            self.register_buffer(name, torch.zeros(shape))
        self._seen: Seen | None = None

    def watch(self, seen: Seen) -> dict[str, Tensor]:
        """Keep what a step has shown until ``update``; return the measures up to the step before."""
        self._seen = seen
        return {name: value.clone() for name, value in {**self._measures(), "trust": self.trust}.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Add the step that was watched to the averages, and say anew how far the teacher is trusted."""
        if self._seen is None:
            return
        recent = torch.clamp_min(1 / (self.steps + 1), 1 / _HORIZON_STEPS)
        for name in ("fit", "agreement", "sure", "predicted"):
            getattr(self, name).lerp_(getattr(self._seen, name), recent)
        self.shown.lerp_(self._seen.shown, 1 / (self.steps + 1))  # masks do not change: of all steps
        self.steps.add_(1)
        self._seen = None
        found = self._measures()
        earned = _between(found["fit"], *_FIT) * _between(found["agreement"], *_AGREEMENT)
        self.height.copy_(torch.maximum(self.height, found["agreement"] * (self.trust > 0)))
        kept = _between(found["agreement"] / self.height.clamp_min(_LEAST), *_FALL)
        low, high = torch.tensor(_DRIFT, device=kept.device).log()
        steady = 1 - _between(found["drift"].log(), low, high)
        self.trust.copy_(earned * kept * steady)

    def _measures(self) -> dict[str, Tensor]:
        return {
            "fit": _dice(self.fit),
            "agreement": _dice(self.agreement),
            "sure": self.sure[0] / self.sure[1].clamp_min(1e-8),
            "drift": _drift(self.shown, self.predicted),
        }


def volumes_of(probs: Tensor, weight: Tensor) -> Tensor:
    """Return the weighted voxels of each class, and as the last value the weight of all, [257].

    Args:
        probs: of each class, or one-hot, [B, K, *S].
        weight: of each voxel, [B, 1, *S].
    """
    result = probs.new_zeros(MOST_CLASSES + 1)
    result[: probs.shape[1]] = (probs * weight).transpose(0, 1).flatten(1).sum(1)
    result[-1] = weight.sum()
    return result


def _overlap(logits: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Return the overlap and the sizes of an answer and a one-hot target for each class, [2, 256]."""
    answer = one_hot(argmax(logits), logits.shape[1])
    result = logits.new_zeros(2, MOST_CLASSES, dtype=torch.float32)
    for row, each in enumerate((2 * answer * target, answer + target)):
        result[row, : logits.shape[1]] = (each * weight).transpose(0, 1).flatten(1).sum(1)
    return result


def _dice(sums: Tensor) -> Tensor:
    """Return the mean Dice over the classes that either side shows, but the background; 0 where there is none."""
    overlap, sizes = sums[:, 1:]
    shown = sizes > 0
    return (overlap / sizes.clamp_min(1e-8) * shown).sum() / shown.sum().clamp_min(1)


def _drift(shown: Tensor, predicted: Tensor) -> Tensor:
    """Return the factor, 1 or more, by which the worst class is larger or smaller than on labelled scans.

    It is 1 where nothing is known of the labelled scans.
    """
    known = shown[1:-1] > 0
    ours, theirs = (each[1:-1] / each[-1].clamp_min(1) + _LEAST for each in (shown, predicted))
    return (torch.where(known, (theirs / ours).log().abs(), 0)).max().exp()


def _between(value: Tensor, low: float | Tensor, high: float | Tensor) -> Tensor:
    """Return 0 below ``low``, 1 above ``high``, and evenly rising between them."""
    return ((value - low) / (high - low)).clamp(0, 1)
