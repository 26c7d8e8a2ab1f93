"""Regions of a data set as sets of classes, and their connected components in a prediction."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy

from equireg.imaging.boxes import Box, union
from equireg.imaging.labels import LabelTable

_NEIGHBOURS = np.ones((3, 3, 3), dtype=bool)
"""Voxels that share a face, an edge or a corner are connected: 26 neighbours, as in nnU-Net."""


@dataclass(frozen=True)
class Region:
    """A judged region, and what becomes of its voxels where they are removed."""

    name: str
    classes: tuple[int, ...]
    """class indices that it unites"""
    rest: int
    """class of removed voxels: what the next larger region adds, where that is one class, else the background"""
    touched: tuple[int, ...]
    """places, among all regions, of those whose voxels change where some of this one are removed"""
    gaining: tuple[int, ...]
    """places of those that removed voxels belong to"""

    def mask(self, classes: np.ndarray) -> np.ndarray:
        """Return where class indices, 255 at most, are of the region; a table is several times as fast as a search."""
        table = np.zeros(256, dtype=bool)
        table[list(self.classes)] = True
        return table[classes]


@lru_cache(maxsize=16)
def regions_of(values: tuple[int, ...], judged: tuple[tuple[str, tuple[int, ...]], ...]) -> tuple[Region, ...]:
    """Return the regions of label values and named unions of them."""
    sets = {name: frozenset(values.index(value) for value in members) for name, members in judged}
    rising = sorted(sets.values(), key=len)
    rest = {name: _rest(own, rising) for name, own in sets.items()}
    return tuple(
        Region(
            name,
            tuple(sorted(own)),
            rest[name],
            tuple(place for place, other in enumerate(sets.values()) if own & other or rest[name] in other),
            tuple(place for place, other in enumerate(sets.values()) if rest[name] in other),
        )
        for name, own in sets.items()
    )


def regions_in(labels: LabelTable) -> tuple[Region, ...]:
    """Return the judged regions of a data set."""
    return regions_of(labels.values, tuple((name, tuple(members)) for name, members in labels.judged_regions().items()))


def _rest(own: frozenset[int], rising: list[frozenset[int]]) -> int:
    added = next((larger - own for larger in rising if larger > own), frozenset())
    return next(iter(added)) if len(added) == 1 else 0


def boxes_of(classes: np.ndarray) -> list[Box | None]:
    """Return the box of each class from 1 on that a prediction shows, in one pass over it."""
    return scipy.ndimage.find_objects(classes)


def components_of(classes: np.ndarray, boxes: list[Box | None], region: Region) -> tuple[Box, np.ndarray, int] | None:
    """Return the box around a region, the number of each of its voxels' component, from 1, and how many there are.

    Memory: five bytes a voxel of the box.

    Args:
        classes: class indices, [D, H, W], in any order of axes.
        boxes: ``boxes_of`` them.
        region: the region.

    Returns:
        None where the prediction does not show the region.
    """
    own = (boxes[index - 1] for index in region.classes if 0 < index <= len(boxes))
    box = union([one for one in own if one is not None])
    if box is None:
        return None
    mask = region.mask(classes[box])
    numbers = np.empty(mask.shape, dtype=np.int32)
    count = int(scipy.ndimage.label(mask, _NEIGHBOURS, output=numbers))  # pyright: ignore[reportArgumentType]
    return box, numbers, count
