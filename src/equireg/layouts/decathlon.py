"""The Medical Segmentation Decathlon's layout, and MONAI's datalists: ``dataset.json`` lists the cases.

A case is one 3D or 4D file, or in a datalist a list of files, one a channel.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from equireg.errors import EquiregError
from equireg.imaging.formats import extension_of
from equireg.imaging.pictures import is_picture
from equireg.layouts.base import STACKED, FoundCase, FoundSet, LayoutMismatchError, Refusal, channel_count, describe
from equireg.layouts.channels import NUMBERED, modality_of, split_channel
from equireg.layouts.dataset_json import (
    LISTS,
    NAME,
    channel_names,
    is_there,
    label_table,
    listed_entries,
    listed_file,
    read_description,
)
from equireg.layouts.files import MARKS, folder_pairs, image_files, stem_of
from equireg.layouts.folder_cases import folder_names
from equireg.layouts.masks import mask_files
from equireg.layouts.nnunet import bear_numbers
from equireg.layouts.picture_sets import channels_of
from equireg.layouts.unlisted import told, told_trained, without_contrasts


@dataclass
class _Listed:
    """What the lists of ``dataset.json`` yield."""

    cases: dict[Path, FoundCase] = field(default_factory=dict)
    """Scan to its case; of several files the first counts as the scan."""
    lists: dict[Path, str] = field(default_factory=dict)
    """Scan to the list that names it."""
    masks: set[Path] = field(default_factory=set)
    refused: list[Refusal] = field(default_factory=list)
    absent: int = 0
    """Validation and test scans whose folder is not there."""
    unmasked: list[Path] = field(default_factory=list)
    """Masks that are listed and not there."""
    again: int = 0
    """Entries that repeat an earlier one."""


def find(root: Path) -> FoundSet:
    """Find the cases of a Decathlon task.

    A case without a mask, and a file of ``imagesTr`` that the list leaves out, is unlabelled; ``validation``, as
    AMOS has it, ``test``, ``imagesVa`` and ``imagesTs`` are held out.

    Raises:
        LayoutMismatchError: if the folder is of another layout.
        EquiregError: if ``dataset.json`` is damaged.
    """
    path = root / NAME
    description = read_description(root) or {}
    if not ("modality" in description or _lists_scans(path, description)):
        raise LayoutMismatchError(
            f'{path}: has no "modality" and no "training" list of scans; expected a Decathlon {NAME}.'
        )
    if _is_of_nnunet(path, description):
        raise LayoutMismatchError(f"{path}: is that of an nnU-Net data set; expected a Decathlon one.")
    stated = description.get("channel_names", description.get("modality"))
    channels = _channels_of_files(path, description) if stated is None else channel_names(path, stated)
    listed = _read_lists(path, description, channels)
    names = {case.name: file for file, case in listed.cases.items()}
    datalist = "modality" not in description
    unlisted, orphans = _unlisted(root, listed, by_folder=datalist or not description.get("training"))
    namesakes = [case for case in unlisted if case.name in names and case.stacked != names[case.name]]
    aside, warnings = _told(root, listed, unlisted, orphans) if datalist else ((), ())
    return FoundSet(
        layout="decathlon",
        channels=channels,
        modality=modality_of(channels, "other"),
        labels=label_table(path, description["labels"]) if "labels" in description else None,
        cases=(*listed.cases.values(), *(case for case in unlisted if case not in namesakes)),
        refused=(*listed.refused, *(_namesake(case, names[case.name]) for case in namesakes)),
        orphans=orphans,
        aside=aside,
        notes=_notes(listed),
        warnings=warnings,
    )


def _lists_scans(path: Path, description: Mapping[str, Any]) -> bool:
    """Whether there is a training list, and a scan that it names."""
    entries = description.get("training")
    return isinstance(entries, list) and any(_names_scan(path, entry) for entry in entries)


def _names_scan(path: Path, entry: Any) -> bool:
    with suppress(EquiregError):
        return all(is_there(file) and extension_of(file) is not None for file in _files(path, entry)[0])
    return False


def _channels_of_files(path: Path, description: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the channels of a list that does not: by the files of its first case that is there."""
    entries = [entry for entry in listed_entries(path, description, "training") if _names_scan(path, entry)]
    files = _files(path, entries[0])[0]
    if len(files) > 1:
        contrasts = [split[1] for file in files if (split := split_channel(stem_of(file)))]
        named = len(set(contrasts)) == len(files)
        return tuple(contrasts if named else (f"channel_{index}" for index in range(len(files))))
    if is_picture(files[0]):
        return channels_of([_files(path, entry)[0][0] for entry in entries])
    count = channel_count(files[0]) or 1
    return tuple(f"channel_{index}" for index in range(count)) if count > 1 else ("image",)


def _read_lists(path: Path, description: Mapping[str, Any], channels: Sequence[str]) -> _Listed:
    """Read the cases that the lists name; a missing scan, and one on two lists, is refused."""
    listed = _Listed()
    for key, files, masks in _entries(path, description, *LISTS):
        listed.masks.update(masks)
        if key != "training" and not files[0].parent.is_dir():
            listed.absent += 1  # the test scans were never fetched, or were left out when the task was copied
        elif files[0] in listed.lists:
            _repeat(listed, files[0], key)
            listed.lists = dict.fromkeys(files, key) | listed.lists
        else:
            listed.lists |= dict.fromkeys(files, key)
            _add(listed, files, channels, masks, held_out=key != "training")
    _name_by_folder(listed, path.parent)
    return listed


def _add(
    listed: _Listed, files: Sequence[Path], channels: Sequence[str], masks: Sequence[Path], *, held_out: bool
) -> None:
    name = stem_of(files[0]) if len(files) == 1 else _common_name(files)
    absent = [file for file in files if not is_there(file)]
    if absent:
        reason = f"{absent[0]}: no such file, though {NAME} lists it."
        listed.refused.append(Refusal(name, reason, "Add it, or correct the list."))
    elif len(files) not in (1, len(channels)):
        reason = f"{files[0]}: is listed as one of {len(files)} files; expected {describe(channels)}, one a channel."
        listed.refused.append(Refusal(name, reason, f"Correct the list in {NAME}."))
    else:
        there = [mask for mask in masks if is_there(mask)]
        listed.unmasked += [mask for mask in masks if mask not in there]
        several = f"{masks[0]}: is listed as one of {len(masks)} masks of {name}; expected one." if masks[1:] else None
        mask = there[0] if there and several is None else None
        images = dict(zip(channels, files, strict=True)) if len(files) > 1 else {STACKED: files[0]}
        listed.cases[files[0]] = FoundCase(name, images, mask, held_out, label_problem=several)


def _common_name(files: Sequence[Path]) -> str:
    """Return the name of a case of several files: what their names have in common, else that of their folder."""
    stems = [stem_of(file) for file in files]
    cases = {split[0] if (split := split_channel(stem)) else stem for stem in stems}
    if len(cases) == 1:
        return cases.pop() or files[0].parent.name
    common = [letters[0] for letters in takewhile(lambda letters: len(set(letters)) == 1, zip(*stems, strict=False))]
    while common and common[-1] not in MARKS:
        common.pop()
    return "".join(common).rstrip(MARKS) or files[0].parent.name


def _name_by_folder(listed: _Listed, root: Path) -> None:
    """Name cases after their folders where their files are called alike in folders of one case each."""
    count = Counter(case.name for case in listed.cases.values())
    alone = Counter(file.parent for file in listed.cases)
    called = folder_names((file.parent for file in listed.cases if file.parent.is_relative_to(root)), root)
    for file, case in listed.cases.items():
        if count[case.name] > 1 and alone[file.parent] == 1:
            listed.cases[file] = replace(case, name=called.get(file.parent) or case.name)


def _repeat(listed: _Listed, image: Path, key: str) -> None:
    """Take note of a scan that is named again; on another list it may be trained and tested on, so it goes."""
    listed.again += 1
    if listed.lists[image] != key and listed.cases.pop(image, None) is not None:
        reason = f"{image}: is listed under {listed.lists[image]} and under {key} of {NAME}; expected one."
        listed.refused.append(Refusal(stem_of(image), reason, "Correct the list."))


def _notes(listed: _Listed) -> tuple[str, ...]:
    notes = []
    if listed.absent:
        notes.append(f"{NAME} lists {listed.absent} validation or test scans in folders that are not here")
    if listed.unmasked:
        notes.append(
            f"{NAME} lists {len(listed.unmasked)} masks that are not there, such as {listed.unmasked[0]}; their scans "
            "are used without a mask"
        )
    if listed.again:
        notes.append(f"{NAME} names {listed.again} scans more than once")
    return tuple(notes)


def _namesake(case: FoundCase, listed: Path) -> Refusal:
    reason = f"{case.scan}: has the name of {listed}, which {NAME} lists; expected each name once."
    return Refusal(case.name, reason, "Rename or remove one of the two.")


def _is_of_nnunet(path: Path, description: Mapping[str, Any]) -> bool:
    """Whether the list means or names nnU-Net's numbered files; where there is none, whether files are numbered."""
    entries = listed_entries(path, description, "training")
    if not entries:
        return "channel_names" in description or bear_numbers(folder_pairs(path.parent))
    if "channel_names" not in description:
        first = (files[0] for _, files, _ in _entries(path, description, "training"))
        absent = (file for file in first if not is_there(file))
        unnumbered = any(is_there(file.with_name(f"{stem_of(file)}_0000{extension_of(file) or ''}")) for file in absent)
        return unnumbered or ("modality" in description and _lists_first_channels(path, description))
    if "dataset" in description:
        return True
    count = len(channel_names(path, description["channel_names"]))
    images = [files for _, files, _ in _entries(path, description, "training")]
    several = any(len(files) > 1 for files in images)
    if several and not _lie_in_folders(path, description):
        return False
    known = (files for files in images if len(files) > 1 or is_there(files[0]))
    return all(_has_number(file, count) for files in known for file in files)


def _lie_in_folders(path: Path, description: Mapping[str, Any]) -> bool:
    """Whether folders of scans say the same of the listed ones as the lists do: which are held out."""
    held_out = {pair.images: pair.held_out for pair in folder_pairs(path.parent)}
    listed = _entries(path, description, *LISTS)
    return all(held_out.get(file.parent) == (key != "training") for key, files, _ in listed for file in files)


def _lists_first_channels(path: Path, description: Mapping[str, Any]) -> bool:
    """Whether the lists name one numbered channel of each case: masks have the names without the number."""
    count = len(channel_names(path, description["modality"]))
    folders = {pair.images for pair in folder_pairs(path.parent)}
    listed = _entries(path, description, *LISTS)

    def is_first(file: Path) -> bool:
        last = file.with_name(f"{stem_of(file)[:-5]}_{count - 1:04d}{extension_of(file) or ''}")
        return _has_number(file, count) and (not is_there(file) or (is_there(last) and file.parent in folders))

    pairs = [(stem_of(files[0])[:-5], stem_of(mask)) for _, files, masks in listed for mask in masks]
    alike = bool(pairs) and all(name == mask for name, mask in pairs)
    return alike and all(len(files) == 1 and is_first(files[0]) for _, files, _ in listed)


def _has_number(file: Path, count: int) -> bool:
    """Whether a name ends with nnU-Net's number of one of so many channels."""
    match = NUMBERED.fullmatch(stem_of(file))
    return match is not None and int(match[2]) < count


def _entries(path: Path, description: Mapping[str, Any], *keys: str) -> list[tuple[str, list[Path], list[Path]]]:
    """Return for each listed case the list, the files of its scan, and its masks."""
    return [(key, *_files(path, entry)) for key in keys for entry in listed_entries(path, description, key)]


def _files(path: Path, entry: Any) -> tuple[list[Path], list[Path]]:
    """Return the files of a listed case's scan, and its masks; a case may be a plain file name."""
    image, label = (entry.get("image"), entry.get("label")) if isinstance(entry, dict) else (entry, None)
    images = image if isinstance(image, list) and image else [image]
    masks = label if isinstance(label, list) else [label] if label not in (None, "") else []
    return [listed_file(path, one) for one in images], [listed_file(path, one) for one in masks]


def _unlisted(root: Path, listed: _Listed, *, by_folder: bool) -> tuple[list[FoundCase], tuple[Path, ...]]:
    """Find scans that the lists leave out, and masks without any scan.

    Args:
        root: the task's folder.
        listed: what the lists name.
        by_folder: whether masks are found by their scan's name: there is no list, or it is not the task's own.
    """
    known = {*listed.lists, *listed.masks}
    cases, orphans = [], []
    for pair in folder_pairs(root):
        scans = image_files(pair.images)
        masks = {stem_of(file): file for file in mask_files(pair.labels)} if pair.labels else {}
        for file in without_contrasts(scans, listed.lists) if by_folder else scans:
            if file not in known:
                label = masks.get(stem_of(file)) if by_folder or pair.held_out else None
                cases.append(FoundCase(stem_of(file), {STACKED: file}, label, pair.held_out))
        stems = {stem_of(file) for file in scans}
        orphans += [file for stem, file in masks.items() if stem not in stems and file not in known]
    return cases, tuple(orphans)


def _told(
    root: Path, listed: _Listed, unlisted: Sequence[FoundCase], orphans: Sequence[Path]
) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """Return the images that a datalist leaves out and that are not used, and warnings of them and of those used."""
    used = {file for case in unlisted for file in (*case.files.values(), *case.masks)}
    aside, warning = told(root, {*listed.lists, *listed.masks, *used, *orphans}, listed.lists)
    trained = [case.name for case in unlisted if not case.held_out]
    warnings = [warning] if warning else []
    return aside, (*warnings, *told_trained(root, trained))
