"""Masks of 3D Slicer: one label value for each segment of a data set, whatever each file calls its number."""

import logging
from dataclasses import replace

from equireg.imaging.labels import LabelTable
from equireg.imaging.limits import Limits
from equireg.imaging.segments import common_numbers, numbers_of, plain, segment_names
from equireg.layouts import RawDataset

log = logging.getLogger("equireg")


def with_segments(dataset: RawDataset, limits: Limits) -> tuple[RawDataset, Limits]:
    """Return the data set with the labels that its masks name, and limits by which its masks are read.

    Declared labels stay. Where only some masks name their segments, the labels stay unnamed.
    """
    if dataset.labels is not None:
        return dataset, replace(limits, segments=numbers_of(dataset.labels))
    masks = [case.label for case in dataset.cases if case.label is not None]
    named = {path: names for path in masks if (names := segment_names(path))}
    if not named:
        return dataset, limits
    numbers = common_numbers(named.values())
    odd = [path for path, names in named.items() if any(numbers[plain(name)] != n for n, name in names.items())]
    if odd:
        log.warning(
            "%d of %d masks number their segments otherwise, such as %s; they are read by their names: %s",
            len(odd),
            len(named),
            odd[0],
            ", ".join(f"{name} {value}" for name, value in numbers.items()),
        )
    if len(named) < len(masks) and len(numbers) > 1:
        log.warning(
            "%d of %d masks name their segments (%s); make sure that the others mean the same by these numbers",
            len(named),
            len(masks),
            ", ".join(f"{value} {name}" for name, value in numbers.items()),
        )
    if len(named) == len(masks):
        spelt = {numbers[plain(name)]: name for names in reversed(named.values()) for name in names.values()}
        values = sorted(spelt)
        dataset = replace(dataset, labels=LabelTable((0, *values), ("background", *(spelt[n] for n in values))))
    return dataset, replace(limits, segments=tuple(numbers.items()))
