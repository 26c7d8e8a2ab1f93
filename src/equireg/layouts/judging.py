"""Which of the cases that a layout finds can stand: names, files and their places are judged here for all layouts."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from equireg.disk import read_json
from equireg.errors import EquiregError
from equireg.imaging.pictures import is_picture
from equireg.layouts import names
from equireg.layouts.base import (
    SEVERAL_MASKS,
    SEVERAL_MASKS_OF_PICTURE,
    FoundCase,
    FoundSet,
    RawCase,
    RawDataset,
    Refusal,
    missing_file,
)
from equireg.layouts.by_key import by_key
from equireg.layouts.files import goes_on_behind, stem_of
from equireg.layouts.label_maps import holds_labels, show_no_labels
from equireg.layouts.masks import split_mask
from equireg.layouts.named_masks import IF_A_SCAN
from equireg.layouts.patient_folders import patients_of_folders
from equireg.layouts.patients import patients_of
from equireg.layouts.picture_sets import picks_of

_SHOWN = 3


def to_dataset(root: Path, found: FoundSet, *, follow_links: bool) -> RawDataset:
    """Keep the cases that have every channel and a name of their own; refuse the others with the reason.

    Args:
        root: the raw folder.
        found: what its layout found.
        follow_links: whether files outside the folder may be used.
    """
    cases: dict[str, RawCase] = {}
    refused = list(found.refused)
    unlabelled = {_bare(case.name): case for case in found.cases if case.label is None}
    refused += _masks_without_scan(found.orphans, unlabelled, _above_scans(root, found))
    patients = patients_of(case.name for case in found.cases)
    scans = {case.name: case.scan for case in found.cases if case.scan and not case.patient}
    patients |= patients_of_folders(root, scans, patients)
    remedies: dict[tuple[Path, Path], str] = {}
    for case, problem in judged(root, found, follow_links=follow_links):
        refusal = (
            problem
            or _mask_problem(case)
            or _missing_channel(case, found)
            or _taken(case, cases.get(case.name), remedies)
        )
        if refusal:
            refused.append(refusal)
            continue
        images = (case.stacked,) if case.stacked else tuple(case.files[channel] for channel in found.channels)
        patient = case.patient or patients[case.name]
        cases[case.name] = RawCase(
            case.name,
            images,
            case.label,
            patient,
            case.held_out,
            picks_of(case, found.channels),
            parts=tuple(sorted(case.parts.items())),
            more=case.more,
            series=tuple(case.series[channel] for channel in found.channels) if case.series else (),
            segments=tuple(sorted(case.segments.items())),
        )
    return RawDataset(
        root=root,
        layout=found.layout,
        channels=found.channels,
        modality=found.modality,
        labels=found.labels,
        label_names=found.label_names,
        cases=tuple(cases.values()),
        pictures=any(is_picture(case.images[0]) for case in cases.values()),
        refused=tuple(sorted(refused, key=lambda refusal: refusal.case)),
        notes=found.notes,
        warnings=found.warnings,
        private=found.private,
    )


def _bare(name: str) -> str:
    """Return a name without what people write in two ways: capitals, marks, zeros before a number."""
    return re.sub(r"0+(?=\d)", "", re.sub(r"[^0-9a-z]+", "_", name.casefold())).strip("_")


def _masks_without_scan(
    orphans: Sequence[Path], unlabelled: Mapping[str, FoundCase], above: Mapping[Path, Sequence[str]]
) -> list[Refusal]:
    """Refuse masks that no scan has; those whose names go on behind that of a scan are told as its several masks.

    Args:
        orphans: the masks.
        unlabelled: bare name to each case without a mask.
        above: mask to the names of several folders of scans below it.
    """
    scans = [case.name for case in unlabelled.values()]
    owners = {mask: _begun_by(mask, scans) for mask in orphans}
    count = Counter(owners.values())
    refused = []
    for mask, owner in owners.items():
        if owner is None or count[owner] < 2:
            refused.append(_without_scan(mask, unlabelled, above.get(mask, ())))
        else:
            reason = f"{mask}: is one of {count[owner]} masks whose names begin with that of the scan {owner}."
            remedy = SEVERAL_MASKS_OF_PICTURE if is_picture(mask) else SEVERAL_MASKS
            refused.append(Refusal(mask.name, reason, remedy))
    return refused


def _begun_by(mask: Path, names: Iterable[str]) -> str | None:
    """Return the longest of some names with which a mask's begins, ahead of a mark."""
    stem = stem_of(mask)
    return max((name for name in names if goes_on_behind(stem, name)), key=len, default=None)


def _above_scans(root: Path, found: FoundSet) -> dict[Path, list[str]]:
    """Return masks without a scan that lie above several folders of scans, with the names of these folders."""
    homes = {file.parent for case in found.cases for file in case.files.values()}
    below = by_key(sorted(homes), lambda home: home.parent)
    masks = (mask for mask in found.orphans if mask.parent not in (root, *homes))
    several = ((mask, below.get(mask.parent, ())) for mask in masks)
    return {mask: [home.name for home in inside] for mask, inside in several if len(inside) > 1}


def _without_scan(mask: Path, unlabelled: Mapping[str, FoundCase], below: Sequence[str]) -> Refusal:
    """Refuse a mask whose scan is unknown; it may lie above several folders of scans (``orig``, ``pre``)."""
    near = _near_scan(mask, unlabelled)
    if near is None and below:
        some = ", ".join(below[:_SHOWN]) + (", ..." if len(below) > _SHOWN else "")
        reason = f"{mask}: lies above {len(below)} folders of scans ({some}), so which scan it is of is unknown."
        return Refusal(mask.name, reason, "If they hold the same scans, keep one of them; else put it beside its scan.")
    if near is None and holds_labels(mask, any_background=True) is False and show_no_labels([mask]):
        reason = f"{mask}: is called a mask by its name or its folder's; it shows no labels and has no scan."
        return Refusal(mask.name, reason, IF_A_SCAN)
    return Refusal(mask.name, f"{mask}: is a mask without a scan.", near or "Add its scan under the same name.")


def _near_scan(mask: Path, unlabelled: Mapping[str, FoundCase]) -> str | None:
    """Return how to give a mask its scan; a scan of nearly its name is not taken unasked, as it may be another's."""
    stem, case = stem_of(mask), split_mask(stem_of(mask))
    bare = (_bare(name) for name in (stem, case) if name)
    near = next((unlabelled[name] for name in bare if name in unlabelled), None)
    if near is not None and near.name in (stem, case) and near.scan:
        home = near.scan.parent / "masks"
        return f"If it is that of the scan {near.scan}, move it to {home}: the folders do not say so."
    if near is not None:
        return f"If it is that of the scan {near.name}, call it so: capitals, zeros and marks count."
    scans = [other.name for other in unlabelled.values()]
    longer = [name for name in scans if case and goes_on_behind(name, case)]
    owner = _begun_by(mask, scans) or (longer[0] if len(longer) == 1 else None)
    return f"If it is that of the scan {owner}, call it so." if owner else None


def judged(root: Path, found: FoundSet, *, follow_links: bool) -> Iterator[tuple[FoundCase, Refusal | None]]:
    """Yield each case, sorted by name, with the reason why nothing can be done with it, or None.

    A name that two files of one folder have is refused once, and so is the second case with the same file.
    """
    home = None if follow_links else Path(os.path.realpath(root))
    cases = sorted(found.cases, key=lambda case: (case.name, [str(file) for file in case.files.values()]))
    owners: dict[str, FoundCase] = {}
    for several in by_key(cases, lambda case: case.name).values():
        twice = _twice(several)
        if twice is not None:
            yield several[0], twice
            continue
        for case in several:
            refusal = _bad_name(case) or _known_problem(case) or _outside(case, home) or _shared(case, owners)
            if refusal is None:
                owners.update((os.path.realpath(file), case) for file in case.files.values())
            yield case, refusal


def _twice(cases: Sequence[FoundCase]) -> Refusal | None:
    """Refuse a name that two files of one folder have (``c1.nii`` beside ``c1.nii.gz``): it is ambiguous."""
    files = [case.scan for case in cases if case.scan]
    beside = [file for file in files if sum(other.parent == file.parent for other in files) > 1]
    if not beside:
        return None
    others = ", ".join(file.name for file in beside[1:])
    reason = f"{beside[0]}: its name is that of {others} too; expected each name once in a folder."
    return Refusal(names.safe(cases[0].name), reason, "Remove or rename all but one.")


def _bad_name(case: FoundCase) -> Refusal | None:
    problem = names.problem_of(case.name)
    if problem is None:
        return None
    return Refusal(
        names.safe(case.name), f"{case.scan or case.label}: {problem}; expected a name for files.", names.REMEDY
    )


def _known_problem(case: FoundCase) -> Refusal | None:
    return None if case.problem is None else Refusal(case.name, case.problem, "Correct it, or take the case out.")


def _outside(case: FoundCase, home: Path | None) -> Refusal | None:
    """Refuse a case with a file outside the raw folder, by a link or by a listed path."""
    if home is None:
        return None
    slices = (file for one in case.series.values() for file in one.files)
    for file in (*case.files.values(), *slices, *case.masks):
        place = Path(os.path.realpath(file))
        if not place.is_relative_to(home):
            return Refusal(
                case.name,
                f"{file}: lies outside the raw folder, in {place.parent}; expected files below {home}.",
                "Copy it there, or give --follow_links true if you trust this folder.",
            )
    return None


def _shared(case: FoundCase, owners: dict[str, FoundCase]) -> Refusal | None:
    """Refuse a case whose scan is another case's too, under another name: it might be trained and tested on."""
    for file in case.files.values():
        owner = owners.get(os.path.realpath(file))
        if owner is not None:
            reason = f"{file}: is the same file as that of the case {owner.name}; expected each scan once."
            return Refusal(case.name, reason, "Remove one of the two.")
    return None


def _mask_problem(case: FoundCase) -> Refusal | None:
    if case.label_problem is not None:
        return Refusal(case.name, case.label_problem, case.label_remedy)
    if case.label is not None and case.label in case.files.values():
        return Refusal(case.name, f"{case.label}: is the case's scan and its mask; expected two files.", "Correct it.")
    if case.label is not None and (found := _instances(case.label)):
        value, kind = next(iter(found.items()))
        reason = f"{case.label}: numbers instances, as {case.label.parent / (stem_of(case.label) + '.json')} says "
        return Refusal(
            case.name,
            f"{reason}(value {value} is one of class {kind}); expected a value for each class.",
            "Replace the numbers by those of the classes, counted from 1 (nnDetection's class 0 becomes 1).",
        )
    return None


def _instances(mask: Path) -> Mapping[str, int]:
    """Return number to class of the instances that nnDetection's file beside a mask names; none where both agree."""
    beside = mask.with_name(f"{stem_of(mask)}.json")
    content = None
    if beside.is_file():
        with suppress(EquiregError):
            content = read_json(beside)
    found = content.get("instances") if isinstance(content, dict) else None
    if not isinstance(found, dict) or not all(isinstance(kind, int) for kind in found.values()):
        return {}
    return {value: kind for value, kind in found.items() if value != str(kind + 1)}


def _missing_channel(case: FoundCase, found: FoundSet) -> Refusal | None:
    missing = [channel for channel in found.channels if channel not in case.files]
    if case.stacked is not None or not missing:
        return None
    file = missing_file(case, missing[0], found.suffixes)
    return Refusal(
        case.name,
        f"{file}: no such file; the case lacks {', '.join(missing)} of the channels {', '.join(found.channels)}.",
        "Add the file, or remove the case's folder or files.",
    )


def _taken(case: FoundCase, earlier: RawCase | None, remedies: dict[tuple[Path, Path], str]) -> Refusal | None:
    """Refuse a case whose name a case in another folder has; ``remedies`` keeps what was said of two folders."""
    if earlier is None or case.scan is None:
        return None
    reason = f"{case.scan}: the name {case.name} is taken by {earlier.images[0]}; expected each name once."
    folders = (case.scan.parent, earlier.images[0].parent)
    if folders not in remedies:
        remedies[folders] = _rename(case.scan, earlier.images[0])
    return Refusal(case.name, reason, remedies[folders])


def _rename(*files: Path) -> str:
    """Return how to mend two scans of one name, of which one may be a mask; the first of two folders are opened."""
    rename = "Rename one of the two."
    masks = [file for file in files if holds_labels(file, any_background=is_picture(file))]
    if len(masks) != 1:
        return rename
    return f"{masks[0].parent} looks like a folder of masks: if it is one, call it masks. Else: {rename.lower()}"
