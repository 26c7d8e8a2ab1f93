"""What a prepared folder's training cases look like: the numbers that rules decide by.

Only cases that the run trains on are looked at, and of masks only those that it is given: a plan for five labelled
cases knows nothing of the others' masks, nor of any validation or test case.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from equireg.folders.prepared import CaseRecord, PreparedSet
from equireg.preparation.places import count_classes, extent_of


@dataclass(frozen=True)
class ClassSize:
    """How large a class is in the labelled cases that show it."""

    name: str
    cases: int
    """labelled cases that show it"""
    voxels: float
    """median voxels a case; 0 where no case shows it"""
    volume_mm3: float
    """median volume a case, mm3"""
    slices: float
    """median fraction of a case's slices that show it"""


@dataclass(frozen=True)
class Fingerprint:
    """Facts of the training cases of a run."""

    labelled_cases: int
    labelled_patients: int
    unlabelled_cases: int
    """cases that are used without a mask; those used with it too are counted among them"""
    masked_unlabelled_cases: int
    """those among them that are used with it too"""
    unlabelled_patients: int
    channels: tuple[str, ...]
    axes: str
    """anatomical axis of D, H and W"""
    median_shape: tuple[float, ...]
    """[D, H, W], voxels"""
    large_shape: tuple[float, ...]
    """the sides that nine cases of ten do not exceed, [D, H, W], voxels"""
    spacing_mm: tuple[float, ...]
    """median, [D, H, W], mm"""
    anisotropy: float
    """widest over finest of those spacings"""
    labelled_box: tuple[float, ...]
    """sides of the box about all classes that nine labelled cases of ten do not exceed, [D, H, W], voxels"""
    classes: tuple[ClassSize, ...]
    """all but the background"""
    intensities: Mapping[str, Any]
    """raw percentiles inside the foreground over the training cases, a channel; empty where none were kept"""
    median_box: tuple[float, ...] = (0.0, 0.0, 0.0)
    """median sides of that box over the cases whose masks show a class, [D, H, W], voxels; 0 where none does"""

    @property
    def slices(self) -> float:
        """Slices of the median case."""
        return self.median_shape[0]

    @property
    def rarest(self) -> ClassSize | None:
        """The class that the fewest slices show; None where no mask shows any."""
        shown = [one for one in self.classes if one.cases]
        return min(shown, key=lambda one: (one.slices, one.voxels)) if shown else None


def fingerprint(data: PreparedSet, labelled: Sequence[str], unlabelled: Sequence[str]) -> Fingerprint:
    """Take the fingerprint of the cases that a run trains on; masks of earlier versions' folders are read for it.

    Args:
        data: the prepared folder.
        labelled: names of the cases that are used with their masks, at least one.
        unlabelled: names of those that are used without.
    """
    manifest = data.manifest
    cases = [data.by_name[name] for name in sorted({*labelled, *unlabelled})]
    masked = [_with_extent(data, data.by_name[name]) for name in sorted(set(labelled))]
    shapes = np.array([case.shape for case in cases])
    spacing = np.median(np.array([case.spacing_mm for case in cases]), axis=0)
    boxes = np.array([case.labelled_box for case in masked])
    shown = boxes[boxes.min(axis=1) > 0]
    return Fingerprint(
        labelled_cases=len(set(labelled)),
        labelled_patients=len({case.patient for case in masked}),
        unlabelled_cases=len(set(unlabelled)),
        masked_unlabelled_cases=len(set(labelled) & set(unlabelled)),
        unlabelled_patients=len({data.by_name[name].patient for name in unlabelled}),
        channels=manifest.channels,
        axes=manifest.axes,
        median_shape=tuple(np.median(shapes, axis=0).tolist()),
        large_shape=tuple(np.percentile(shapes, 90, axis=0).tolist()),
        spacing_mm=tuple(spacing.tolist()),
        anisotropy=float(spacing.max() / spacing.min()),
        labelled_box=tuple(np.percentile(boxes, 90, axis=0).tolist()),
        classes=tuple(_size(index, name, masked) for index, name in enumerate(manifest.labels.names) if index),
        intensities=manifest.fingerprint.get("intensities") or {},
        median_box=tuple(np.median(shown, axis=0).tolist()) if len(shown) else (0.0, 0.0, 0.0),
    )


def _with_extent(data: PreparedSet, case: CaseRecord) -> CaseRecord:
    """Return a labelled case's record with the extent of its classes, measured where an earlier version did not."""
    if case.class_slices:
        return case
    mask = np.asarray(data.label(case.name)[:])
    return replace(case, **extent_of(mask, count_classes(mask, data.manifest.labels.classes)))


def _size(index: int, name: str, masked: Sequence[CaseRecord]) -> ClassSize:
    showing = [case for case in masked if case.class_voxels[index]]
    if not showing:
        return ClassSize(name, 0, 0.0, 0.0, 0.0)
    voxels = [case.class_voxels[index] for case in showing]
    volumes = [case.class_voxels[index] * case.voxel_mm3 for case in showing]
    slices = [case.class_slices[index] / case.shape[0] for case in showing]
    return ClassSize(name, len(showing), *(float(np.median(values)) for values in (voxels, volumes, slices)))
