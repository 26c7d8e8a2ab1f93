"""How far the mirrored views of a scan agree: a measure of how far a prediction is to be trusted."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor


class Agreement:
    """Counts of the voxels that each view gives to each class, and of those on which two views agree.

    A voxel that several windows hold counts once for each.

    Args:
        views: number of views that are compared.
        classes: number of classes, background first.
    """

    def __init__(self, views: int, classes: int) -> None:
        self.views, self.classes = views, classes
        self._voxels = torch.zeros((views, classes), dtype=torch.int64)
        self._pairs = list(itertools.combinations(range(views), 2))
        self._common = torch.zeros((len(self._pairs), classes), dtype=torch.int64)

    def add(self, labels: Sequence[Tensor]) -> None:
        """Count some voxels, given the class indices of each view, all of one shape."""
        for view, own in enumerate(labels):
            self._voxels[view] += self._count(own)
        for row, (first, second) in enumerate(self._pairs):
            self._common[row] += self._count(labels[first][labels[first] == labels[second]])

    def dice(self) -> float | None:
        """Return the mean Dice of all pairs of views, over the foreground classes that any view shows.

        Returns:
            0 to 1; 1 where no view shows anything, or neither of a pair; None where there are no two views.
        """
        if not self._pairs:
            return None
        shown = self._voxels.sum(dim=0) > 0
        shown[0] = False
        if not shown.any():
            return 1.0
        first, second = (self._voxels[[pair[side] for pair in self._pairs]][:, shown].double() for side in (0, 1))
        common, total = 2 * self._common[:, shown].double(), first + second
        return float(torch.where(total > 0, common / total.clamp(min=1), 1.0).mean())

    def _count(self, labels: Tensor) -> Tensor:
        return torch.bincount(labels.flatten(), minlength=self.classes).cpu()
