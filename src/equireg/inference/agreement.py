"""How far the views of a scan agree: a measure of how far a prediction is to be trusted."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

_LEAST = 0.25
"""Probability of the foreground from which a voxel counts; over a large background lesser ones would add up."""
_AT_ONCE = 65536
"""Voxels whose probabilities are copied at once."""


class Agreement:
    """Counts of how far the views of a scan bear out its prediction.

    The measure is the soft Dice of the prediction and the probabilities of all views: the Dice that they expect of it
    (Borges et al. 2024, Soft Dice Confidence, there of one view). So views that contradict the prediction lower it, and
    so do views that are unsure. A voxel that several windows hold counts once for each, and one that a view did not see
    not for that view. Voxels where the views expect less than 0.25 of the foreground, most of a scan, are left out.

    Args:
        views: number of views that are compared.
        classes: number of classes, background first.
        mapped: keep the part of the views that contradict the prediction, for each voxel.
    """

    def __init__(self, views: int, classes: int, *, mapped: bool = False) -> None:
        self.views, self.classes = views, classes
        self._expected = torch.zeros((classes, classes), dtype=torch.float64)  # chosen class, class of the probability
        self._chosen = torch.zeros(classes, dtype=torch.float64)
        self._voxels = torch.zeros((views, 2, classes), dtype=torch.int64)  # in the middle: whether all views saw it
        self.map: list[Tensor] | None = [] if mapped else None
        """Slabs [d, H, W] of the part of the views that contradict the prediction, where that is kept."""

    def add(self, labels: Sequence[Tensor]) -> None:
        """Count some voxels, given the class indices of each view, all of one shape; ``classes`` where it saw none."""
        anywhere = torch.stack([own != 0 for own in labels]).any(dim=0)
        wide = [own[anywhere].long() for own in labels]
        kinds = self.classes + 1
        seen = torch.stack([own < self.classes for own in wide]).all(dim=0)
        for view, own in enumerate(wide):
            counts = torch.bincount(own + kinds * seen, minlength=2 * kinds).view(2, kinds)
            self._voxels[view] += counts[:, : self.classes].cpu()

    def expect(self, sums: Tensor, count: Tensor, chosen: Tensor) -> None:
        """Count the probabilities of some views against the prediction.

        Args:
            sums: the views' probabilities, summed over those that saw the voxel, [B, K, *S].
            count: how many these are, [B, 1, *S].
            chosen: class indices of the prediction, [B, *S].
        """
        for probs, views, classes in zip(sums, count, chosen, strict=True):
            doubtful = (classes != 0) | (probs[0] < (1 - _LEAST) * views[0])
            for some in doubtful.flatten().nonzero()[:, 0].split(_AT_ONCE):
                own = functional.one_hot(classes.flatten()[some].long(), self.classes).double()
                self._expected += (own.T @ probs.flatten(1)[:, some].T.double()).cpu()
                self._chosen += (own.T @ views.flatten()[some].double()).cpu()

    def dice(self) -> float | None:
        """Return the mean of ``dice_of`` over the foreground classes that any view shows.

        Returns:
            0 to 1; 1 where no view shows anything; None where there are no two views.
        """
        if self.views < 2:
            return None
        shown = [one for index in range(1, self.classes) if (one := self.dice_of([index])) is not None]
        return sum(shown) / len(shown) if shown else 1.0

    def dice_of(self, classes: Sequence[int]) -> float | None:
        """Return the Dice that the views expect of the prediction, for the union of some foreground classes.

        Returns:
            0 to 1; where the prediction does not show it, the part of the views that do not either; None where no view
            shows it, or there are no two views.
        """
        members = list(classes)
        sizes = self._voxels[..., members].sum(dim=(1, 2))
        if self.views < 2 or not sizes.any():
            return None
        common = self._expected[members][:, members].sum()
        if self._chosen[members].sum() == 0:
            return float((sizes == 0).double().mean())
        return float(2 * common / (self._expected[:, members].sum() + self._chosen[members].sum()))

    def spread_of(self, classes: Sequence[int]) -> float | None:
        """Return the standard deviation over the views of the size of a union, as a part of its mean size.

        It is of foreground classes, as in ``dice_of``, and of the voxels that all views saw.

        Returns:
            0 or more; None where no view shows it there, or there are no two views.
        """
        sizes = self._voxels[:, 1, list(classes)].sum(dim=1).cpu().double()
        return float(sizes.std(correction=0) / sizes.mean()) if self.views > 1 and sizes.any() else None


def contradicted(labels: Sequence[Tensor], chosen: Tensor, classes: int) -> Tensor:
    """Return the part of the views that saw a voxel and give it to another class than the prediction.

    Args:
        labels: class indices of each view, [B, *S]; ``classes`` where it did not see the voxel.
        chosen: those of the prediction, [B, *S].
        classes: number of classes.

    Returns:
        0 to 1, [B, 1, *S] float32.
    """
    against, seen = torch.zeros_like(chosen, dtype=torch.float32), torch.zeros_like(chosen, dtype=torch.float32)
    for own in labels:
        saw = own < classes
        seen += saw
        against += saw & (own != chosen)
    return (against / seen.clamp(min=1))[:, None]
