"""One loss over several resolutions of a network's answer."""

from collections.abc import Callable, Sequence

from torch import Tensor
from torch.nn import functional


def over_resolutions(
    loss: Callable[[Tensor, Tensor, Tensor], Tensor],
    answers: Sequence[Tensor],
    label: Tensor,
    valid: Tensor,
) -> Tensor:
    """Return the mean of a loss over resolutions, each of half the weight of the next finer one.

    Deep supervision as in nnU-Net (Isensee et al. 2021): weights 1, 1/2, 1/4, ..., divided by their sum; a lower
    resolution sees the label of the voxel nearest to the centre of each of its own.

    Args:
        loss: of logits [B, K, *S], class indices [B, 1, *S] and the weight of each voxel [B, 1, *S].
        answers: logits, that at full resolution first; one alone gives the plain loss.
        label: class indices at full resolution.
        valid: weight of each voxel at full resolution.
    """
    total, weights = loss(answers[0], label, valid), 1.0
    for level, logits in enumerate(answers[1:], start=1):
        weight = 0.5**level
        total = total + weight * loss(logits, shrunk(label, logits.shape[2:]), shrunk(valid, logits.shape[2:]))
        weights += weight
    return total / weights if len(answers) > 1 else total


def shrunk(values: Tensor, shape: Sequence[int]) -> Tensor:
    """Return class indices or weights [B, 1, *S] at another resolution, each voxel that of the nearest centre."""
    return functional.interpolate(values.float(), size=tuple(shape), mode="nearest-exact").to(values.dtype)
