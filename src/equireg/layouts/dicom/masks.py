"""Which series a DICOM mask is of, and what the names of its segments are as label values."""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from equireg.config import DicomOptions
from equireg.errors import some_of
from equireg.imaging.dicom.heads import Head
from equireg.imaging.dicom.identity import digest
from equireg.imaging.dicom.mask_heads import MaskHead, read_mask_head
from equireg.imaging.dicom.planes import SeriesError
from equireg.imaging.labels import LabelTable
from equireg.imaging.segments import held_apart, label_of, plain, told_apart, told_spellings
from equireg.layouts.base import Refusal
from equireg.layouts.dicom.scans import Scan

log = logging.getLogger("equireg")

Key = tuple[str, str]
_SEGMENT = " (segment)"
"""Behind the name of a segment that is called as what is no segment is."""


@dataclass
class Masks:
    """Masks by the series that they are of."""

    of: dict[Key, list[MaskHead]] = field(default_factory=dict)
    """Study and series to masks."""
    own: list[MaskHead] = field(default_factory=list)
    """Left out: predictions of equireg, as it drew them."""
    refused: list[Refusal] = field(default_factory=list)

    def notes(self) -> list[str]:
        """Return which predictions are left out, in a line if there are any."""
        if not self.own:
            return []
        count = f"{len(self.own)} mask{'s' * (len(self.own) > 1)}"
        return [f"left out: {count} that equireg drew and nobody corrected, such as {self.own[0].path}"]


def match(heads: Sequence[Head], scans: Sequence[Scan], options: DicomOptions, *, own: bool = False) -> Masks:
    """Read the headers of masks, and find the series of each.

    Args:
        heads: of the masks.
        scans: all series.
        options: which masks and which of their segments are meant.
        own: whether predictions of equireg, as it drew them, count; they do where the options choose them.
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
        if mask.own and not own and options.mask_series is None:
            masks.own.append(mask)
            continue
        owners = _owners(mask, head.patient_id, scans)
        if len(owners) == 1:
            found[owners[0].key].append(mask.of_series(owners[0].heads[0].frame_of_reference, owners[0].image_uids))
        elif owners:
            paths = " and ".join(str(scan.path) for scan in owners[:3])
            reason = f"{head.path}: is a mask that names no series, and {len(owners)} lie in its place ({paths})."
            remedy = "Move the others elsewhere, or save it again in a program that notes the series it was drawn on."
            masks.refused.append(Refusal(_name(head), reason, remedy))
        else:
            reason = f"{head.path}: is a mask whose series is not here."
            masks.refused.append(Refusal(_name(head), reason, "Add the series that it was drawn on, or remove it."))
    masks.of = dict(found)
    return masks


def _name(head: Head) -> str:
    return f"mask_{digest(head.sop_uid, 8)}"


def _owners(mask: MaskHead, patient_id: str, scans: Sequence[Scan]) -> list[Scan]:
    """Return the series that a mask refers to: by most of its images, by name, or all in its place.

    Filters and anonymisers give images of several series one UID: series, study and patient then say which is meant.
    """

    def likeness(scan: Scan) -> tuple[int, bool, bool, bool]:
        shared, (study, series) = len(mask.image_uids & scan.image_uids), scan.key
        return shared, series in mask.series_uids, study == mask.study_uid, scan.patient_id == patient_id

    best = max(scans, key=likeness, default=None)
    if best is not None and any(likeness(best)[:2]):
        return [best]
    place = [
        scan
        for scan in scans
        if mask.frame_of_reference
        and not mask.series_uids
        and scan.heads[0].frame_of_reference == mask.frame_of_reference
        and scan.key[0] == mask.study_uid
    ]
    known = patient_id and any(scan.patient_id == patient_id for scan in scans)
    return [scan for scan in place if scan.patient_id == patient_id] if known else place


def label_table(masks: Sequence[MaskHead], options: DicomOptions) -> LabelTable | None:
    """Return the label values of all segments' names; None where there is no mask.

    Names that differ in capitals alone are one label, called as most segments are, unless a mask has both. The names
    of ``--segments`` are counted from 1 on. Else a name has the number that its segments have, where these agree in all
    masks; else names are counted in order of the alphabet.

    Raises:
        EquiregError: if there are too many.
    """
    spelt = _spellings(masks)
    numbers: defaultdict[str, set[int]] = defaultdict(set)
    for mask in masks:
        for number, name in mask.names:
            numbers[spelt[name]].add(number)
    if not numbers:
        return None
    if options.segments:
        return _table(dict(zip(options.segments, range(1, len(options.segments) + 1), strict=True)))
    single = {name: next(iter(found)) for name, found in numbers.items() if len(found) == 1}
    if len(single) == len(numbers) and len(set(single.values())) == len(numbers) and min(single.values()) > 0:
        return _table(dict(sorted(single.items(), key=lambda item: item[1])))
    return _table({name: index for index, name in enumerate(sorted(numbers), 1)})


def _spellings(masks: Iterable[MaskHead]) -> dict[str, str]:
    """Return the spelling that each name of a segment has as a label: the most frequent one, the first of several."""
    named = [[name for _, name in mask.names] for mask in masks]
    apart = held_apart(named)
    count = Counter(name for names in named for name in names)
    alike: defaultdict[str, list[str]] = defaultdict(list)
    for name, _ in count.most_common():
        alike[name if plain(name) in apart else plain(name)].append(name)
    return {name: names[0] for names in alike.values() for name in names}


def _table(values: Mapping[str, int]) -> LabelTable:
    names = tuple(f"{name}{_SEGMENT}" if name == "background" else name for name in values)
    return LabelTable((0, *values.values()), ("background", *names))


def drawn_alone(masks: Sequence[MaskHead]) -> list[str]:
    """Return how many masks a program drew alone, in a line if there are any."""
    found = [mask.path for mask in masks if mask.automatic]
    if not found:
        return []
    return [
        f"{len(found)} of {len(masks)} masks say that a program drew them alone (AUTOMATIC), such as {found[0]}. They "
        "are used like others; take out those that nobody has checked."
    ]


class Names:
    """What the names of the segments of some masks mean as labels.

    Args:
        masks: all that are used together: where one has two names that differ in capitals alone, these are not the
            same in any.
        table: the labels.
    """

    def __init__(self, masks: Sequence[MaskHead], table: LabelTable) -> None:
        self._masks = masks
        self._apart = held_apart([name for _, name in mask.names] for mask in masks)
        named = zip(table.names[1:], table.values[1:], strict=True)
        self._values = {name.removesuffix(_SEGMENT): value for name, value in named}

    def label(self, name: str) -> str | None:
        """Return the label that a segment's name means, without what is added to ``background``; None for none."""
        return label_of(name, self._values, self._apart)

    def values(self, mask: MaskHead) -> dict[int, int]:
        """Return number to label value of a mask's segments, of those that are used."""
        meant = ((number, self.label(name)) for number, name in mask.names)
        return {number: self._values[label] for number, label in meant if label is not None}

    def notes(self) -> list[str]:
        """Return which other spellings were taken for which label, in a line if there are any."""
        meant = ((self.label(name), name) for mask in self._masks for _, name in mask.names)
        line = told_spellings((label, name) for label, name in meant if label is not None)
        return [] if line is None else [line]

    def warnings(self) -> list[str]:
        """Return which masks have labels whose names differ in capitals alone, in a line if there are any."""
        labels = {plain(label) for label in self._values}
        files = {mask.path: [name for _, name in mask.names if plain(name) in labels] for mask in self._masks}
        line = told_apart(files, "these names stay labels of their own in all masks")
        return [] if line is None else [line]

    def not_listed(self, remedy: str) -> list[str]:
        """Return which labels some masks do not list, in a line if there are any."""
        listed = [(mask.path, set(values.values())) for mask in self._masks if (values := self.values(mask))]
        lacking = {
            name: paths
            for name, value in self._values.items()
            if (paths := [path for path, values in listed if value not in values])
        }
        if not lacking:
            return []
        told = [f"{name} ({len(paths)} of {len(listed)}, such as {paths[0]})" for name, paths in lacking.items()]
        return [f"masks do not list the labels {some_of(told)}: they count as background there. {remedy}"]

    def tell(self) -> None:
        """Log the notes and the warnings."""
        for note in self.notes():
            log.info("%s", note)
        for warning in self.warnings():
            log.warning("%s", warning)
