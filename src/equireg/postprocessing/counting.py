"""What removing any component of a prediction would do to its Dice, in a few numbers a component."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from equireg.imaging.boxes import union
from equireg.imaging.labels import IGNORED, LabelTable
from equireg.postprocessing.components import Region, boxes_of, components_of, regions_in

_MOST = 4096
"""A region in more pieces is noise, from which nothing is chosen."""


@dataclass(frozen=True)
class Overlap:
    """Voxels of a prediction, of its reference and of both; numbers, or arrays of a number a component."""

    predicted: np.ndarray
    reference: np.ndarray
    common: np.ndarray

    def dice(self) -> float:
        """Return the Dice; 1 where both are empty, as in an evaluation."""
        total = float(self.predicted + self.reference)
        return 2 * float(self.common) / total if total else 1.0


@dataclass(frozen=True)
class Components:
    """The components of one region in one prediction."""

    volumes_mm3: np.ndarray
    """[N]"""
    inside: Mapping[int, Overlap]
    """place of each region that they touch to what lies inside each component, [N] each"""
    voxels: np.ndarray
    """voxels of each component that were annotated, [N]"""


@dataclass(frozen=True)
class CaseCounts:
    """One prediction beside its mask."""

    case: str
    patient: str
    totals: tuple[Overlap, ...]
    """of each region"""
    references_mm3: tuple[float, ...]
    """volume of each region in the mask"""
    components: tuple[Components | None, ...]
    """of each region; None where it is in too many pieces"""


def count_case(
    case: str, patient: str, classes: np.ndarray, reference: np.ndarray, labels: LabelTable, voxel_mm3: float
) -> CaseCounts:
    """Count what each component of a prediction holds.

    Args:
        case: name of the case.
        patient: name of its patient.
        classes: predicted class indices, [D, H, W].
        reference: class indices of the mask, of the same shape; voxels of ``IGNORED`` are left out.
        labels: what they mean.
        voxel_mm3: volume of a voxel, mm^3.
    """
    regions = regions_in(labels)
    shown = [box for box in (*boxes_of(classes), *boxes_of(reference)[: IGNORED - 1]) if box is not None]
    box = union(shown) or (slice(0, 1),) * 3  # outside of it nothing is to be counted
    classes, reference = classes[box], reference[box]
    known = reference != IGNORED
    boxes = boxes_of(classes)
    totals = _totals(regions, classes, reference)
    return CaseCounts(
        case,
        patient,
        totals,
        tuple(float(total.reference) * voxel_mm3 for total in totals),
        tuple(_components(region, regions, (classes, reference, known), boxes, voxel_mm3) for region in regions),
    )


def _totals(regions: Sequence[Region], classes: np.ndarray, reference: np.ndarray) -> tuple[Overlap, ...]:
    """Count every region from one table of how often each pair of classes meets: many classes cost no more than few."""
    table = np.zeros(256 * 256, dtype=np.int64)
    for predicted, referred in zip(classes, reference, strict=True):  # slices, so that little memory is needed
        table += np.bincount((predicted.astype(np.int32) * 256 + referred).ravel(), minlength=table.size)
    pairs = table.reshape(256, 256)
    pairs[:, IGNORED] = 0
    members = [list(region.classes) for region in regions]
    return tuple(Overlap(pairs[own].sum(), pairs[:, own].sum(), pairs[np.ix_(own, own)].sum()) for own in members)


def _components(
    region: Region,
    regions: tuple[Region, ...],
    arrays: tuple[np.ndarray, np.ndarray, np.ndarray],
    boxes: list,
    voxel_mm3: float,
) -> Components | None:
    found = components_of(arrays[0], boxes, region)
    if found is None:
        return Components(np.zeros(0), {}, np.zeros(0, dtype=np.int64))
    box, numbers, count = found
    if count > _MOST:
        return None
    places = np.nonzero(numbers)
    owner = numbers[places] - 1
    classes, reference, known = (array[box][places] for array in arrays)

    def count_of(mask: np.ndarray) -> np.ndarray:
        return np.bincount(owner[mask], minlength=count)

    inside = {}
    for place in region.touched:
        predicted = regions[place].mask(classes) & known
        referred = regions[place].mask(reference)
        inside[place] = Overlap(count_of(predicted), count_of(referred), count_of(predicted & referred))
    return Components(np.bincount(owner, minlength=count) * voxel_mm3, inside, count_of(known))
