"""What looks wrong about a scan or about the masks of a data set, though it can be used; said, not refused."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from equireg.errors import some_of
from equireg.folders.prepared import IMAGE, CaseRecord
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import Geometry
from equireg.preparation import plan

_SAMPLE = 100_000
_HUGE = 1e9
"""Intensities beyond what any scanner or map has."""
_FEW = 1e-5
"""Fraction of voxels below which a scan is background almost all over."""
_CUT, _GREYS = 0.2, 32
"""Part of a scan's voxels with its highest intensity from which intensities were cut off there; in real scans it is
below 0.01. Scans of fewer different values are drawings."""
_NAMED = 3
"""Cases that a sentence names, and sentences of one kind."""
_THICK = 2.0
"""Times that a spacing must be wider than others to matter."""
_EMPTY = 0.5
"""Fraction of empty masks from which a warning is logged."""


def of_scan(image: np.ndarray, backgrounds: Sequence[float | None]) -> tuple[str, ...]:
    """Return what looks wrong about a scan [C, *S], one sentence each."""
    notes = []
    for index, (channel, background) in enumerate(zip(image, backgrounds, strict=True), start=1):
        what = f"channel {index}: "
        flat = channel.ravel()
        low, top = flat.min(), flat.max()
        constant = low == top  # which the reader tells
        values = np.unique(flat[:: max(1, flat.size // _SAMPLE)])
        if not constant and len(values) <= 2 and np.isin(flat, values).all() and flat.size > 8:
            notes.append(f"{what}holds {len(values)} different values alone, as a mask does; is it a scan?")
        largest = max(abs(float(low)), abs(float(top)))
        if np.median(np.abs(values)) > _HUGE:
            notes.append(f"{what}has intensities up to {largest:.3g}, which no scanner makes; is it the right file?")
        tissue = flat.size if background is None else int(np.count_nonzero(flat != background))
        if not constant and tissue < _FEW * flat.size:
            notes.append(f"{what}has {tissue} voxels alone that differ from its background")
        cut = 0 if top == background else int(np.count_nonzero(flat == top)) / max(1, tissue)
        if cut > _CUT and len(values) >= _GREYS:
            notes.append(
                f"{what}has its highest value {top:g} in {100 * cut:.0f} % of the voxels: intensities were cut off, "
                "as by a format with too small numbers. Export the scan again"
            )
    return tuple(notes)


def of_spacings(geometries: Mapping[str, Geometry], spacing_mm: Sequence[float]) -> list[str]:
    """Return which scans lose detail because their slices are thick across another axis than those of most.

    Args:
        geometries: place of the voxels by case name.
        spacing_mm: what all are resampled to along x, y, z.
    """
    own = {name: np.array(plan.canonical_spacing(geometry)) for name, geometry in geometries.items()}
    thick = {name: _thick_axis(found) for name, found in own.items() if plan.flat_axis(geometries[name].shape) is None}
    if len({axis for axis in thick.values() if axis is not None}) < 2:
        return []  # what is coarser was asked for
    common = _thick_axis(spacing_mm)
    coarser = {
        name: (spacing_mm / own[name]).max() for name, axis in thick.items() if axis is not None and axis != common
    }
    lossy = sorted(name for name, factor in coarser.items() if factor >= _THICK)
    if not lossy:
        return []
    fine = np.minimum(np.array(spacing_mm), np.median(np.array([own[name] for name in lossy]), axis=0))
    return [
        f"{len(lossy)} of {len(own)} scans have thick slices across another axis (x, y or z) than the common spacing "
        f"of {_joined(spacing_mm, ' x ')} mm, which is up to {max(coarser.values()):.1f} times as coarse as their "
        f"voxels: {some_of(lossy, _NAMED)}. Detail is lost there, of masks too. Prepare scans of each orientation into "
        f"a folder of its own, or keep the detail of all by --spacing {_joined(fine, ',')}."
    ]


def _thick_axis(spacing_mm: Sequence[float] | np.ndarray) -> int | None:
    """Return the axis along which voxels are much longer than along both others, or None."""
    _, middle, widest = sorted(spacing_mm)
    return int(np.argmax(spacing_mm)) if widest >= _THICK * middle else None


def _joined(spacing_mm: Sequence[float] | np.ndarray, mark: str) -> str:
    return mark.join(f"{mm:.3g}" for mm in spacing_mm)


def of_masks(cases: Sequence[CaseRecord], labels: LabelTable) -> list[str]:
    """Return what looks wrong about the masks of a prepared data set, one sentence each."""
    masked = [case for case in cases if case.labelled]
    unknown = [case.name for case in masked if sum(case.class_voxels) == 0]
    empty = [case.name for case in masked if sum(case.class_voxels[1:]) == 0 and case.name not in unknown]
    notes = []
    if unknown:
        notes.append(
            f"{len(unknown)} of {len(masked)} masks are ignored in every voxel, such as those of "
            f"{', '.join(unknown[:_NAMED])}: nothing is learnt from them or judged by them. Remove these mask files, "
            "so that their scans are taken as unlabelled."
        )
    if empty and len(empty) >= _EMPTY * len(masked):
        notes.append(
            f"{len(empty)} of {len(masked)} masks are empty, such as those of {', '.join(empty[:3])}: every voxel is "
            "background. They are trained on as scans that show nothing. If they stand for scans that nobody "
            "annotated, remove these mask files."
        )
    training = [case for case in masked if case.split == "train"]
    unseen = [
        name for index, name in enumerate(labels.names) if index and not sum(c.class_voxels[index] for c in training)
    ]
    if training and unseen:
        notes.append(
            f"no mask of a training case shows {', '.join(map(repr, unseen))}, so this cannot be learnt. Check the "
            "labels that the data set declares (dataset.json, where it has one), whether another segment of DICOM "
            "masks lies over it, or the split."
        )
    return notes


def of_twins(cases: Sequence[CaseRecord]) -> list[str]:
    """Return which cases hold the same scan under several names, one sentence each."""
    by_scan: defaultdict[str, list[CaseRecord]] = defaultdict(list)
    for case in cases:
        if IMAGE in case.digests:
            by_scan[case.digests[IMAGE]].append(case)
    notes = []
    for twins in by_scan.values():
        if len(twins) > 1:
            splits = sorted({case.split for case in twins})
            torn = f" and are in {' and '.join(splits)}, so scores are too good" if len(splits) > 1 else ""
            names = ", ".join(case.name for case in twins[:_NAMED]) + (" and others" if len(twins) > _NAMED else "")
            one = len({case.patient for case in twins}) == 1
            remedy = "Keep one of them" + ("." if one else ", or say that they are one patient's by --patients.")
            notes.append(f"{names} hold the same scan{torn}. {remedy}")
    notes.sort(key=lambda note: " and are in " not in note)  # what spoils scores first
    more = [f"{len(notes) - _NAMED} more scans lie there under several names"] if len(notes) > _NAMED else []
    return [*notes[:_NAMED], *more]
