"""Which series a DICOM mask is of, and what the names of its segments are as label values."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from equireg.config import DicomOptions
from equireg.imaging.dicom.heads import Head
from equireg.imaging.dicom.identity import digest
from equireg.imaging.dicom.mask_heads import MaskHead, read_mask_head
from equireg.imaging.dicom.planes import SeriesError
from equireg.imaging.labels import LabelTable
from equireg.layouts.base import Refusal
from equireg.layouts.dicom.scans import Scan

Key = tuple[str, str]


@dataclass
class Masks:
    """Masks by the series that they are of."""

    of: dict[Key, list[MaskHead]] = field(default_factory=dict)
    """Study and series to masks."""
    refused: list[Refusal] = field(default_factory=list)


def match(heads: Sequence[Head], scans: Sequence[Scan], options: DicomOptions) -> Masks:
    """Read the headers of masks, and find the series of each.

    Args:
        heads: of the masks.
        scans: all series.
        options: which masks and which of their segments are meant.
    """
    found: defaultdict[Key, list[MaskHead]] = defaultdict(list)
    masks = Masks()
    for head in heads:
        try:
            mask = read_mask_head(head)
        except SeriesError as error:
            masks.refused.append(Refusal(_name(head), error.reason, error.remedy))
            continue
        if not options.chosen_mask(mask.description):
            continue
        owner = _owner(mask, scans)
        if owner is None:
            reason = f"{head.path}: is a mask whose series is not here."
            masks.refused.append(Refusal(_name(head), reason, "Add the series that it was drawn on, or remove it."))
        else:
            found[owner.key].append(mask)
    masks.of = dict(found)
    return masks


def _name(head: Head) -> str:
    return f"mask_{digest(head.sop_uid, 8)}"


def _owner(mask: MaskHead, scans: Sequence[Scan]) -> Scan | None:
    """Return the series that a mask refers to: by most of its images, by name, or as the only one in its place."""
    shared = {scan.key: len(mask.image_uids & scan.image_uids) for scan in scans}
    best = max(scans, key=lambda scan: shared[scan.key], default=None)
    if best is not None and shared[best.key]:
        return best
    by_name = [scan for scan in scans if scan.key[1] in mask.series_uids]
    if by_name or mask.series_uids:
        return by_name[0] if by_name else None
    place = [
        scan
        for scan in scans
        if mask.frame_of_reference
        and scan.heads[0].frame_of_reference == mask.frame_of_reference
        and scan.key[0] == mask.study_uid
    ]
    return place[0] if len(place) == 1 else None


def label_table(masks: Iterable[MaskHead], options: DicomOptions) -> LabelTable | None:
    """Return the label values of all segments' names; None where there is no mask.

    The names of ``--segments`` are counted from 1 on. Else a name has the number that its segments have, where these
    agree in all masks; else names are counted in order of the alphabet.

    Raises:
        EquiregError: if there are too many.
    """
    numbers: defaultdict[str, set[int]] = defaultdict(set)
    for mask in masks:
        for number, name in mask.names:
            numbers[name].add(number)
    if not numbers:
        return None
    if options.segments:
        return _table(dict(zip(options.segments, range(1, len(options.segments) + 1), strict=True)))
    single = {name: next(iter(found)) for name, found in numbers.items() if len(found) == 1}
    if len(single) == len(numbers) and len(set(single.values())) == len(numbers) and min(single.values()) > 0:
        return _table(dict(sorted(single.items(), key=lambda item: item[1])))
    return _table({name: index for index, name in enumerate(sorted(numbers), 1)})


def _table(values: Mapping[str, int]) -> LabelTable:
    names = tuple(f"{name} (segment)" if name == "background" else name for name in values)
    return LabelTable((0, *values.values()), ("background", *names))


def values_of(mask: MaskHead, table: LabelTable) -> dict[int, int]:
    """Return number to label value of a mask's segments, of those that are used."""
    values = {name.removesuffix(" (segment)"): value for name, value in zip(table.names, table.values, strict=True)}
    return {number: values[name] for number, name in mask.names if values.get(name)}
