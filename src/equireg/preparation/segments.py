"""Masks of 3D Slicer: one label value for each segment of a data set, whatever each file calls its number."""

import logging
from dataclasses import replace

from equireg.imaging.labels import LabelTable
from equireg.imaging.limits import Limits
from equireg.imaging.segments import (
    are_distinct,
    common_numbers,
    numbers_of,
    plain,
    stated_names,
    told_apart,
    told_spellings,
)
from equireg.layouts import RawDataset

_BY_NUMBERS = "their names are not used, and their numbers count as they are"
log = logging.getLogger("equireg")


def with_segments(dataset: RawDataset, limits: Limits) -> tuple[RawDataset, Limits]:
    """Return the data set with the labels that its masks name, and limits by which its masks are read.

    Declared labels stay. Where only some masks name their segments, the labels stay unnamed.
    """
    if dataset.labels is not None:
        return dataset, replace(limits, segments=numbers_of(dataset.labels))
    masks = [case.label for case in dataset.cases if case.label is not None]
    stated = {path: names for path in masks if (names := stated_names(path))}
    named = {path: names for path, names in stated.items() if are_distinct(names.values())}
    apart = told_apart({path: names.values() for path, names in stated.items()}, _BY_NUMBERS)
    if apart is not None:
        log.warning("%s", apart)
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
    spelt = {numbers[plain(name)]: name for names in reversed(named.values()) for name in names.values()}
    note = told_spellings((spelt[numbers[plain(name)]], name) for names in named.values() for name in names.values())
    if note is not None:
        log.info("%s", note)
    if len(named) == len(masks):
        values = sorted(spelt)
        dataset = replace(dataset, labels=LabelTable((0, *values), ("background", *(spelt[n] for n in values))))
    return dataset, replace(limits, segments=tuple(numbers.items()))
