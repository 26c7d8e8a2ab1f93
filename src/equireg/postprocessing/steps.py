"""What is done to a prediction: steps that each remove components of one region."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from equireg.config.parsing import to_plain
from equireg.folders.schema import SchemaError, strict
from equireg.imaging.labels import LabelTable
from equireg.postprocessing.components import boxes_of, components_of, regions_in


@dataclass(frozen=True)
class Step:
    """Which components of one region stay."""

    region: str
    smallest_mm3: float | None = None
    """components of less volume are removed, mm^3; None: all but the largest are"""
    dice: float | None = None
    """mean Dice of the region before, over the cases that it was chosen on"""
    gain: float | None = None
    """mean of what it added to that Dice"""
    error: float | None = None
    """standard error of that mean over patients"""

    def words(self) -> str:
        """Say it in a few words."""
        kept = "largest component" if self.smallest_mm3 is None else f"components from {self.smallest_mm3:.4g} mm3"
        gain = "" if self.gain is None else f" (Dice {self.gain:+.4f} on validation cases)"
        return f"{kept} of {self.region}{gain}"


@dataclass(frozen=True)
class PostProcessing:
    """What is done to every prediction of a model."""

    steps: tuple[Step, ...] = ()
    patients: int = 0
    """on whose scans it was chosen"""
    cases: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; ``from_dict`` reads them back."""
        return to_plain(self)

    @classmethod
    def from_dict(cls, content: Any, labels: LabelTable) -> "PostProcessing":
        """Read what ``as_dict`` wrote; nothing for None.

        Raises:
            SchemaError: if a value is missing, unknown or of another kind, or a region is not among the labels.
        """
        if content is None:
            return cls()
        found = strict(cls, content, "post_process")
        for step in found.steps:
            if step.region not in labels.judged_regions():
                raise SchemaError(f"post_process names the region {step.region[:80]!r}, which the labels do not have")
            if step.smallest_mm3 is not None and not 0 <= step.smallest_mm3 < math.inf:
                raise SchemaError(f"post_process has a smallest volume of {step.smallest_mm3} mm3")
        return found

    def words(self) -> str:
        """Say it in a line."""
        return "; ".join(step.words() for step in self.steps) or "none"


def applied(post: PostProcessing, classes: np.ndarray, labels: LabelTable, voxel_mm3: float) -> np.ndarray:
    """Return a prediction with small components removed; the one that was given stays as it is.

    Voxels that share a face, an edge or a corner are connected. What is removed becomes what the next larger region
    adds, where that is one class (an enhancing tumour becomes the rest of its core), else background.

    Args:
        post: the steps.
        classes: class indices, [X, Y, Z], in any order of axes.
        labels: what they mean.
        voxel_mm3: volume of a voxel, mm^3.
    """
    if not post.steps:
        return classes
    result = classes.copy()
    regions: Mapping[str, Any] = {region.name: region for region in regions_in(labels)}
    for step in post.steps:
        region = regions[step.region]
        found = components_of(result, boxes_of(result), region)
        if found is None or (found[2] < 2 and step.smallest_mm3 is None):
            continue
        box, numbers, count = found
        gone = removed(step, np.bincount(numbers.ravel(), minlength=count + 1)[1:] * voxel_mm3)
        if gone.any():
            result[box][np.concatenate([[False], gone])[numbers]] = region.rest
    return result


def removed(step: Step, volumes_mm3: np.ndarray) -> np.ndarray:
    """Return which components a step removes, given their volumes in mm^3; of equally large ones the first is kept."""
    if step.smallest_mm3 is not None:
        return volumes_mm3 < step.smallest_mm3
    gone = np.ones(len(volumes_mm3), dtype=bool)
    if len(gone):
        gone[np.argmax(volumes_mm3)] = False
    return gone


def majority(members: Sequence[PostProcessing]) -> PostProcessing:
    """Return the steps that more than half of an ensemble's members take.

    The largest component stays where more than half keep it alone; components from the median of the members' smallest
    volumes where more than half take a step of any kind in that region.
    """
    steps = []
    for region in dict.fromkeys(step.region for member in members for step in member.steps):
        found = [step for member in members for step in member.steps if step.region == region]
        volumes = [step.smallest_mm3 for step in found if step.smallest_mm3 is not None]
        if 2 * (len(found) - len(volumes)) > len(members):
            steps.append(Step(region))
        elif 2 * len(found) > len(members) and volumes:
            steps.append(Step(region, median(volumes)))
    return PostProcessing(tuple(steps))
