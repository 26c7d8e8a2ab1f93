"""How far the views of a scan agree: a measure of how far a prediction is to be trusted."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor


class Agreement:
    """Counts of how often each two views of a scan give a voxel to which classes.

    A voxel that several windows hold counts once for each. A voxel that lies outside one of two views counts for
    neither. Voxels that all views call background are left out: most of a scan is, and no region asks for them.

    Half of the measure are the pairs of views that are averaged, half are all pairs: views that reach further tell more
    of a model that was trained to agree, and less of one that fails on them alone (docs/quality.md).

    Args:
        views: number of views that are compared.
        classes: number of classes, background first.
        others: how many of the views, the last, enter no average.
        mapped: keep the part of the views that contradict the prediction, for each voxel.
    """

    def __init__(self, views: int, classes: int, *, others: int = 0, mapped: bool = False) -> None:
        self.views, self.classes = views, classes
        self._pairs = list(itertools.combinations(range(views), 2))
        averaged = torch.tensor([second < views - others for _, second in self._pairs], dtype=torch.float64)
        self._weights = torch.ones_like(averaged) / max(len(averaged), 1)
        if averaged.any():
            self._weights = (self._weights + averaged / averaged.sum()) / 2
        self._counts = torch.zeros((len(self._pairs), classes + 1, classes + 1), dtype=torch.int64)
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
        for row, (first, second) in enumerate(self._pairs):
            both = torch.bincount(wide[first] * kinds + wide[second], minlength=kinds**2)
            self._counts[row] += both.view(kinds, kinds).cpu()

    def dice(self) -> float | None:
        """Return the weighted mean Dice of pairs of views, over the foreground classes that any view shows.

        Returns:
            0 to 1; 1 where no view shows anything, or neither of a pair; None where there are no two views.
        """
        if not self._pairs:
            return None
        shown = [one for index in range(1, self.classes) if (one := self.dice_of([index])) is not None]
        return sum(shown) / len(shown) if shown else 1.0

    def dice_of(self, classes: Sequence[int]) -> float | None:
        """Return the weighted mean Dice of pairs of views of the union of some foreground classes.

        Returns:
            0 to 1; 1 for a pair that does not show it; None where no view shows it, or there are no two views.
        """
        members = list(classes)
        if not self._pairs or not self._voxels[..., members].any():
            return None
        counts = self._counts[:, : self.classes, : self.classes].cpu().double()
        common = counts[:, members][:, :, members].sum(dim=(1, 2))
        total = counts[:, members].sum(dim=(1, 2)) + counts[:, :, members].sum(dim=(1, 2))
        return float(self._weights @ torch.where(total > 0, 2 * common / total.clamp(min=1), 1.0))

    def spread_of(self, classes: Sequence[int]) -> float | None:
        """Return the standard deviation over the views of the size of a union, as a part of its mean size.

        It is of foreground classes, as in ``dice_of``, and of the voxels that all views saw.

        Returns:
            0 or more; None where no view shows it there, or there are no two views.
        """
        sizes = self._voxels[:, 1, list(classes)].sum(dim=1).cpu().double()
        return float(sizes.std(correction=0) / sizes.mean()) if self._pairs and sizes.any() else None


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
