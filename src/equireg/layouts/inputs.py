"""What a model is to predict: a raw folder, loose files or one file, its channels matched to the model's."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from equireg.config import DicomOptions
from equireg.config.dicom import ALL_SERIES
from equireg.errors import EquiregError
from equireg.imaging.dicom.heads import is_dicom
from equireg.imaging.dicom.series import Series
from equireg.imaging.formats import extension_of, read_header
from equireg.imaging.limits import ANY_SIZE
from equireg.imaging.pictures import is_picture
from equireg.layouts import dicom, named_masks
from equireg.layouts.base import FoundCase, FoundSet, RawCase, Refusal, channel_count, missing_file
from equireg.layouts.channels import ALIASES, is_known, match_channels, meaning, pair_names
from equireg.layouts.dataset_json import NAME, channel_names, read_description
from equireg.layouts.dicom.files import count_beside
from equireg.layouts.files import walked_once
from equireg.layouts.finding import find_layout
from equireg.layouts.grouping import choose_scheme, group_files
from equireg.layouts.judging import judged
from equireg.layouts.picture_sets import picks_for
from equireg.layouts.unread import scans_of_other_kinds

log = logging.getLogger("equireg")


def discover_inputs(
    path: Path | str, channels: Sequence[str], *, follow_links: bool = True, options: DicomOptions = ALL_SERIES
) -> tuple[RawCase, ...]:
    """Find the scans to predict.

    Args:
        path: a raw folder of any layout, a folder of loose files, or a file.
        channels: names of the channels that the model was trained on, in its order.
        follow_links: whether files outside the folder are used, which links or listed paths lead to.
        options: how DICOM series become cases.

    Returns:
        Cases by name, with images in the order of ``channels``; ``RawCase.read_image`` reads them so. What cannot be
        predicted is among them, with its problem: a listed scan that is missing, or a name that two scans have.

    Raises:
        EquiregError: if nothing can be predicted.
    """
    path = Path(path)
    names, described = _described_above(path, channels)
    find = partial(_one_file, path) if path.is_file() else partial(find_layout, path, "auto")
    with walked_once():
        found = None
        with suppress(EquiregError):
            found = _called(find(names, options), names, described) if names else None
        found = found or find(channels, options)
        other = None if path.is_file() else scans_of_other_kinds(path)
    home = path.parent if path.is_file() else path
    cases: dict[str, RawCase] = {}
    for case, refusal in judged(home, found, follow_links=follow_links or path.is_file()):
        made = _to_predict(case, refusal, found, channels)
        cases[made.name] = _alike(cases[made.name], made) if made.name in cases else made
    for refusal in found.refused:
        problem = f"{refusal.reason} {refusal.remedy}"
        if refusal.case in cases:
            log.warning("%s", problem)  # the case of this name is complete
        else:
            cases[refusal.case] = RawCase(refusal.case, (), None, refusal.case, False, problem=problem)
    unsure = named_masks.without_labels(found.orphans)
    cases |= {mask.name: _no_mask(mask) for mask in unsure}
    if masks := [mask for mask in found.orphans if mask not in unsure]:
        log.warning("%d masks have no scan, such as %s: a scan may be missing", len(masks), masks[0])
    for note in (*found.notes, *found.warnings):
        log.info("%s", note)
    if numbered := _by_number(found, channels):
        log.info("%s", numbered)
    if other:
        log.warning("%s", other)
    if not cases:
        raise EquiregError(f"{path}: has nothing to predict.")
    problems = [case.problem for case in cases.values() if case.problem is not None]
    if len(problems) == len(cases):
        raise EquiregError(problems[0])
    return tuple(cases[name] for name in sorted(cases))


def _no_mask(file: Path) -> RawCase:
    """Return what nothing but a name calls a mask as a case that cannot be predicted: it may be a scan."""
    problem = (
        f"{file}: is not predicted: its name or its folder's says mask, but it shows no labels. {named_masks.IF_A_SCAN}"
    )
    return RawCase(file.name, (), None, file.name, False, problem=problem)


def _described_above(path: Path, channels: Sequence[str]) -> tuple[tuple[str, ...], Path]:
    """Return what a data set calls its channels of which a folder or file is given alone, and where it says so.

    None where it has no description, or one that lacks a channel of the model; then files are taken as they are.
    """
    home = path.parent if path.is_file() else path
    place = home if (home / NAME).is_file() else home.absolute().parent
    with suppress(EquiregError):
        description = read_description(place) or {}
        names = channel_names(place / NAME, description.get("channel_names", description.get("modality")))
        if len(names) > 1 and len(pair_names(channels, names, meaning)) == len(channels):
            return names, place / NAME
    return (), place / NAME


def _called(found: FoundSet, names: Sequence[str], described: Path) -> FoundSet | None:
    """Return loose files with the channels' names of the data set that they are from; None where they have others.

    That is where no case has them all, or names of files say what they show.
    """
    by_number = {f"channel_{index}": name for index, name in enumerate(names)}
    whole = (
        case.files.keys() == by_number.keys() or (case.stacked and channel_count(case.stacked) == len(names))
        for case in found.cases
    )
    if found.layout not in ("plain", "pictures") or any(map(is_known, found.channels)) or not any(whole):
        return None
    cases = [
        replace(case, files={by_number.get(key, key): file for key, file in case.files.items()}) for case in found.cases
    ]
    note = f"channels are taken as {described} names them: {', '.join(names)}"
    return replace(
        found,
        channels=tuple(names),
        cases=tuple(cases),
        suffixes={meaning(name): f"_{index:04d}" for index, name in enumerate(names)},
        notes=(*found.notes, note),
    )


def _by_number(found: FoundSet, channels: Sequence[str]) -> str | None:
    """Say what numbered files are taken for, where the model knows its channels by name."""
    named = [name for name in map(meaning, channels) if name in ALIASES]
    several = [case for case in found.cases if len(case.files) > 1]
    if not named or not several or any(meaning(name) in named for name in several[0].files):
        return None
    first, last = (path.name for path in (*several[0].files.values(),)[:: len(several[0].files) - 1])
    return f"{first} to {last} and others are numbered; they are taken for {', '.join(channels)}, in this order"


def _to_predict(case: FoundCase, refusal: Refusal | None, found: FoundSet, channels: Sequence[str]) -> RawCase:
    """Return a case with its images in the model's order, or with the reason why it cannot be predicted."""
    images, picks = tuple(case.files.values()), None
    problem = None if refusal is None else f"{refusal.reason} {refusal.remedy}"
    if problem is None:
        try:
            images, picks = _images(case, found, channels)
        except EquiregError as error:  # reported when it is read, after the others have been predicted
            problem = str(error)
    name = case.name if refusal is None else refusal.case
    return RawCase(
        name,
        images,
        case.label,
        case.patient or name,
        case.held_out,
        picks,
        problem,
        series=_series(case, images),
        segments=tuple(case.segments.items()),
    )


def _series(case: FoundCase, images: Sequence[Path]) -> tuple[Series, ...]:
    """Return the DICOM series whose first files are a case's images, in their order."""
    by_file = {one.files[0]: one for one in case.series.values()}
    return tuple(by_file[image] for image in images) if by_file else ()


def _alike(first: RawCase, second: RawCase) -> RawCase:
    """Return the case that two cases of one name become: neither can be predicted under that name."""
    file = second.images[0] if second.images else second.name
    other = first.images[0] if first.images else first.name
    problem = (
        f"{file}: the name {second.name} is taken by {other}; expected each name once, as predictions are named after "
        "it. Rename one of the two, or predict them apart."
    )
    return replace(first, problem=problem)


def _one_file(path: Path, channels: Sequence[str], options: DicomOptions) -> FoundSet:
    """Take a file as a folder with nothing but that file."""
    if extension_of(path) is None and is_dicom(path):
        if others := count_beside(path):
            log.warning(
                "%s: is predicted alone, and %d other files of its series lie beside it. Give the folder for all.",
                path,
                others,
            )
        return dicom.find(path, options, channels)
    group = group_files([path], choose_scheme([path], lambda name: False, len(channels)))[0]
    case = FoundCase(group.name, group.files, contrast=group.contrast)
    return FoundSet("plain", (), "other", None, (case,))


def _images(case: FoundCase, found: FoundSet, wanted: Sequence[str]) -> tuple[tuple[Path, ...], tuple[int, ...] | None]:
    """Return a case's files in the model's order, or its one file and the channels to pick from it."""
    only = case.files.get("channel_0") if len(case.files) == 1 else None
    # One picture with nnU-Net's number holds all colours.
    stacked = only if only and is_picture(only) else case.stacked
    if stacked is not None:
        fitted = picks_for(stacked, wanted) if is_picture(stacked) else None
        if fitted is not None:
            return (stacked,), fitted
        count = read_header(stacked, ANY_SIZE).channels
        names = [f"channel_{index}" for index in range(count)]
        if count == 1 and case.contrast:
            names = [case.contrast]
        elif len(found.channels) == count:
            names = list(found.channels)
        picks = match_channels(names, wanted, str(stacked))
        return (stacked,), None if picks == tuple(range(count)) else picks
    have = [meaning(name) for name in case.files]
    missing = [name for name in map(meaning, wanted) if name not in have and name in ALIASES]
    if missing and any(name in have for name in map(meaning, wanted)):
        file = missing_file(case, missing[0], found.suffixes)
        raise EquiregError(
            f"{file}: no such file; the case {case.name} lacks {', '.join(missing)} of the channels "
            f"{', '.join(wanted)} that the model was trained on. Add the file, or take the case out."
        )
    if case.series and len(case.files) == 1 and case.contrast:
        match_channels([case.contrast], wanted, f"{case.scan} (case {case.name})")
    ordered = [name for name in found.channels if name in case.files]
    ordered += [name for name in case.files if name not in ordered]
    folder = str(next(iter(case.files.values())).parent)
    chosen = match_channels(ordered, wanted, f"{folder} (case {case.name})")
    return tuple(case.files[ordered[index]] for index in chosen), None
