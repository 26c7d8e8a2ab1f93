"""Losses on logits, averaged over the voxels that count; a stop-gradient stands where it is called.

Where several processes divide a batch, each loss is that of the whole batch, on every one of them.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from equireg.processes import ranks

_SMOOTH = 1e-5
"""Added to both sides of the Dice ratio, so that an absent class gives no division by zero."""


def _check(logits: Tensor, target: Tensor, valid: Tensor, channels: int) -> None:
    """Refuse a target or a weight that does not fit the logits."""
    expected = (logits.shape[0], channels, *logits.shape[2:])
    if tuple(target.shape) != expected:
        raise ValueError(f"got a target of shape {tuple(target.shape)}; expected {expected}")
    if tuple(valid.shape) != (logits.shape[0], 1, *logits.shape[2:]):
        raise ValueError(f"got valid of shape {tuple(valid.shape)}; expected one channel beside {expected}")


def _counted(values: Tensor, valid: Tensor) -> Tensor:
    """Return values [B, C, *S] with 0 where not valid, so that neither they nor their gradient can be NaN there."""
    return torch.where(valid > 0, values.float(), 0.0)


@dataclass(frozen=True)
class Averaging:
    """Over what a loss is averaged, where that is not simply all voxels that count, pooled over the batch."""

    over: Tensor | None = None
    """Voxels that the sum is divided by, [B, 1, *S]; None for those that count. As in FixMatch (Sohn et al. 2020),
    a loss of which few voxels count is then small."""
    by_image: bool = False
    """Average each sample on its own first, then over the samples."""


def masked_mean(values: Tensor, weight: Tensor, averaging: Averaging | None = None) -> Tensor:
    """Average values with weights (0 or more) of the same shape; 0 where all weights are.

    Args:
        values: [B, 1, *S], or any shape where nothing is averaged by image.
        weight: of the same shape.
        averaging: what the weighted sum is divided by; by default the sum of the weights.
    """
    averaging = averaging or Averaging()
    over = weight if averaging.over is None else averaging.over.float()
    # Values that do not count may be infinite; multiplied by 0 they would be NaN.
    counted = torch.where(weight > 0, values, 0.0) * weight
    if averaging.by_image:
        (total,) = ranks.summed((counted.flatten(1).sum(1) / over.flatten(1).sum(1).clamp_min(1e-8)).mean())
        return total / ranks.count()
    total, size = ranks.summed(counted.sum(), over.sum())
    return total / size.clamp_min(1e-8)


def equivariance_loss(
    student_logits: Tensor, target_probs: Tensor, valid: Tensor, averaging: Averaging | None = None
) -> Tensor:
    """Mean KL divergence from the warped target to the student, over valid voxels.

    The unlabelled loss of the thesis (Scholin 2020) and of UDA (Xie et al. 2020). The target's entropy is
    part of it, so that equal distributions give 0.

    Args:
        student_logits: unnormalised scores, [B, C, *S].
        target_probs: probabilities that sum to 1 over C, [B, C, *S]; no gradient flows into them.
        valid: 1 where the voxel came from inside the image, [B, 1, *S].
        averaging: by default over all valid voxels, pooled.

    Returns:
        Scalar, nats per valid voxel; 0 where no voxel is valid.

    Raises:
        ValueError: if shapes differ.
    """
    _check(student_logits, target_probs, valid, student_logits.shape[1])
    log_probs = functional.log_softmax(_counted(student_logits, valid), dim=1)
    target = _counted(target_probs.detach(), valid)
    divergence = (torch.xlogy(target, target) - target * log_probs).sum(dim=1, keepdim=True)
    return masked_mean(divergence, valid.float(), averaging)


def cross_entropy(logits: Tensor, target: Tensor, valid: Tensor, averaging: Averaging | None = None) -> Tensor:
    """Mean cross-entropy over valid voxels.

    Args:
        logits: unnormalised scores, [B, C, *S].
        target: class indices [B, 1, *S], or probabilities [B, C, *S]; no gradient flows into them. What they
            are where not valid does not matter.
        valid: weight of each voxel, [B, 1, *S].
        averaging: by default over all valid voxels, pooled.

    Returns:
        Scalar, nats per valid voxel; 0 where no voxel is valid.

    Raises:
        ValueError: if shapes differ.
    """
    return masked_mean(_voxel_cross_entropy(logits, target, valid), valid.float(), averaging)


def negative_cross_entropy(
    logits: Tensor, unlikely: Tensor, valid: Tensor, averaging: Averaging | None = None
) -> Tensor:
    """Mean over valid voxels of -log(1 - p), summed over the classes that are known to be wrong.

    Negative learning (Kim et al. 2019), as U2PL has it for segmentation (Wang et al. 2022): where nobody knows which
    class a voxel has, it may be known which it has not.

    Args:
        logits: unnormalised scores, [B, C, *S].
        unlikely: 1 where a class is known to be wrong, [B, C, *S]; no gradient flows into it.
        valid: weight of each voxel, [B, 1, *S].
        averaging: by default over all valid voxels, pooled.

    Returns:
        Scalar, nats per voxel; 0 where no voxel is valid or no class is ruled out.

    Raises:
        ValueError: if shapes differ.
    """
    _check(logits, unlikely, valid, logits.shape[1])
    counted = _counted(logits, valid)
    # 1 - p is the sum of the other classes' p: finite, and with a gradient, also where p rounds to 1.
    others = [torch.cat([counted[:, :k], counted[:, k + 1 :]], 1).logsumexp(1) for k in range(counted.shape[1])]
    wrong = counted.logsumexp(1, keepdim=True) - torch.stack(others, 1)
    each = (wrong * _counted(unlikely.detach(), valid)).sum(dim=1, keepdim=True)
    return masked_mean(each, valid.float(), averaging)


def squared_error(logits: Tensor, target_probs: Tensor, valid: Tensor) -> Tensor:
    """Mean squared difference of the probabilities, over classes and over valid voxels.

    The consistency cost of the mean teacher (Tarvainen and Valpola 2017, section 2).

    Args:
        logits: unnormalised scores, [B, C, *S].
        target_probs: probabilities that sum to 1 over C, [B, C, *S]; no gradient flows into them.
        valid: weight of each voxel, [B, 1, *S].

    Returns:
        Scalar; 0 where no voxel is valid.

    Raises:
        ValueError: if shapes differ.
    """
    _check(logits, target_probs, valid, logits.shape[1])
    probs = functional.softmax(_counted(logits, valid), dim=1)
    difference = probs - _counted(target_probs.detach(), valid)
    return masked_mean(difference.square().mean(dim=1, keepdim=True), valid.float())


def annealed_cross_entropy(logits: Tensor, target: Tensor, valid: Tensor, threshold: float | None) -> Tensor:
    """Mean cross-entropy that leaves out, or weighs down, the voxels that are right already, image by image.

    Training signal annealing of UDA (Xie et al. 2020, section 2.3), by voxel as in the thesis (Scholin 2020).

    Args:
        logits: unnormalised scores, [B, C, *S].
        target: class indices, [B, 1, *S].
        valid: 1 where the loss is computed, [B, 1, *S].
        threshold: voxels whose class has a higher probability than this are left out; None weighs each voxel by
            one minus that probability instead (the thesis' ``soft``), over all valid voxels.

    Returns:
        Scalar, nats per voxel that is left, averaged within images and then over them.

    Raises:
        ValueError: if shapes differ.
    """
    values = _voxel_cross_entropy(logits, target, valid)
    right = torch.exp(-values.detach())
    if threshold is None:
        return masked_mean(values, (1 - right) * valid.float(), Averaging(valid, by_image=True))
    return masked_mean(values, (right <= threshold) * valid.float(), Averaging(by_image=True))


def _voxel_cross_entropy(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Return the cross-entropy of each voxel, [B, 1, *S]."""
    probs = _as_probs(target, logits, valid)
    return -(probs * functional.log_softmax(_counted(logits, valid), dim=1)).sum(dim=1, keepdim=True)


def soft_dice_loss(logits: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """One minus the soft Dice of the batch, averaged over the classes but the background.

    The sums run over the whole batch, as in nnU-Net's batch Dice: a class that is absent from one slice then
    does not weigh as much as one that is present (Milletari et al. 2016; Isensee et al. 2021).

    Args:
        logits: unnormalised scores, [B, C, *S].
        target: class indices [B, 1, *S], or probabilities [B, C, *S]; no gradient flows into them.
        valid: weight of each voxel, [B, 1, *S].

    Returns:
        Scalar from 0 to 1; a class that neither side shows counts as 0.

    Raises:
        ValueError: if shapes differ.
    """
    weight = valid.float()
    wanted = _as_probs(target, logits, valid)[:, 1:] * weight
    probs = functional.softmax(_counted(logits, valid), dim=1)[:, 1:] * weight
    over = (0, *range(2, logits.ndim))
    overlap, sizes = ranks.summed((probs * wanted).sum(dim=over), probs.sum(dim=over) + wanted.sum(dim=over))
    return 1 - ((2 * overlap + _SMOOTH) / (sizes + _SMOOTH)).mean()


def argmax(scores: Tensor, dim: int = 1) -> Tensor:
    """Return the class of the highest score along ``dim``, which is kept; of equal ones the first.

    By ``max``, because on a CPU ``argmax`` takes eight times as long along an axis that is not the last.
    """
    return scores.max(dim=dim, keepdim=True).indices


def one_hot(classes: Tensor, count: int) -> Tensor:
    """Return class indices [B, 1, *S] as certain distributions over ``count`` classes, [B, count, *S]."""
    each = torch.arange(count, device=classes.device).view(1, count, *[1] * (classes.ndim - 2))
    return (classes == each).float()


def _as_probs(target: Tensor, logits: Tensor, valid: Tensor) -> Tensor:
    """Return a target as probabilities [B, C, *S] without gradient."""
    if target.is_floating_point():
        _check(logits, target, valid, logits.shape[1])
        return _counted(target.detach(), valid)
    _check(logits, target, valid, 1)
    # Ignored voxels carry an index that is no class.
    known = torch.where(valid > 0, target, 0)
    return one_hot(known, logits.shape[1])
