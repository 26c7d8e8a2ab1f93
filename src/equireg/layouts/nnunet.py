"""nnU-Net's raw layout: ``imagesTr/CASE_0000.nii.gz`` a channel, ``labelsTr/CASE.nii.gz``, dataset.json."""

from collections import defaultdict
from collections.abc import Collection, Container, Mapping, Sequence
from pathlib import Path
from typing import Any

from equireg.errors import EquiregError
from equireg.imaging.formats import EXTENSIONS, extension_of
from equireg.imaging.pictures import is_picture
from equireg.layouts.base import STACKED, FoundCase, FoundSet, LayoutMismatchError, channel_count
from equireg.layouts.by_key import by_key
from equireg.layouts.channels import NUMBERED, modality_of
from equireg.layouts.dataset_json import (
    NAME,
    channel_names,
    is_there,
    label_table,
    listed_entries,
    listed_file,
    read_description,
    shown,
)
from equireg.layouts.files import FolderPair, folder_pairs, image_files, stem_of
from equireg.layouts.masks import mask_files
from equireg.layouts.nnunet_lists import AsListed, as_listed
from equireg.layouts.unlisted import told_trained


def find(root: Path) -> FoundSet:
    """Find the cases of an nnU-Net data set (version 2, or 1 with its ``modality``).

    A case without a mask is unlabelled, in ``imagesTr`` or a folder such as ``imagesUn``; ``imagesTs`` is
    held out, as is what a list such as ``test`` names and ``training`` does not. Cases that ``dataset.json`` lists file
    by file go before those of the folders.

    Raises:
        LayoutMismatchError: if the folder is of another layout.
        EquiregError: if ``dataset.json`` is damaged or names files that are not read.
    """
    path = root / NAME
    description = read_description(root) or {}
    names = description.get("channel_names", description.get("modality"))
    pairs = folder_pairs(root)
    explicit = description.get("dataset")
    if names is None or not (pairs or explicit):
        raise LayoutMismatchError(f'{path}: has no "channel_names" with a folder imagesTr; expected an nnU-Net {NAME}.')
    ending = description.get("file_ending", ".nii.gz")
    if f".{str(ending).lower().removeprefix('.')}" not in EXTENSIONS:
        raise EquiregError(
            f"{path}: has the file_ending {shown(ending)}; expected one of {', '.join(EXTENSIONS)}. Correct "
            "it, or convert the scans."
        )
    channels = channel_names(path, names)
    cases, orphans = _cases_of_folders(pairs, channels)
    if explicit is not None:
        listed = _listed_cases(path, explicit, channels)
        cases, orphans = [*listed, *_not_listed(cases, listed)], []
    else:
        cases += _missing(path, description, {case.name for case in cases})
    lists = as_listed(path, description, cases)
    masks = {case.label for case in lists.cases}
    if not cases:
        raise LayoutMismatchError(f"{root}: has no file such as imagesTr/CASE_0000{ending}; expected nnU-Net's names.")
    return FoundSet(
        layout="nnunet",
        channels=channels,
        modality=modality_of(channels, "other"),
        labels=label_table(path, description["labels"]) if "labels" in description else None,
        cases=lists.cases,
        suffixes={channel: f"_{index:04d}" for index, channel in enumerate(channels)},
        orphans=tuple(file for file in orphans if file not in masks),
        warnings=(*lists.warnings, *_told_unlisted(root, description, lists)),
    )


def _told_unlisted(root: Path, description: Mapping[str, Any], lists: AsListed) -> tuple[str, ...]:
    """Return a warning of cases with a mask that a list of the training cases leaves out."""
    explicit = description.get("dataset") or {}
    if not (explicit or description.get("training")):
        return ()
    left = [
        case.name
        for place, case in enumerate(lists.cases)
        if case.label is not None and not case.held_out and place not in lists.listed and case.name not in explicit
    ]
    return told_trained(root, left)


def _cases_of_folders(pairs: Sequence[FolderPair], channels: tuple[str, ...]) -> tuple[list[FoundCase], list[Path]]:
    """Find the cases by their files, and masks without a scan."""
    cases, orphans = [], []
    numbered = not _are_whole(pairs, channels)
    for pair in pairs:
        groups: defaultdict[str, dict[str, Path]] = defaultdict(dict)
        problems: dict[str, str] = {}
        for file in image_files(pair.images):
            match = NUMBERED.fullmatch(stem_of(file)) if numbered else None
            if match and int(match[2]) >= len(channels):
                continue
            if match or not numbered:
                name, channel = (match[1], channels[int(match[2])]) if match else (stem_of(file), STACKED)
                if channel in groups[name]:
                    problems[name] = (
                        f"{groups[name][channel]}: the same name is that of {file.name}; expected one file."
                    )
                groups[name][channel] = file
        masks = by_key(mask_files(pair.labels) if pair.labels else (), stem_of)
        for name, files in groups.items():
            cases.append(_case(name, _whole(files, channels), masks.get(name, ()), problems.get(name), pair))
        orphans += [file for stem, several in masks.items() if stem not in groups for file in several]
    return cases, orphans


def _are_whole(pairs: Sequence[FolderPair], channels: tuple[str, ...]) -> bool:
    """Whether the scans bear no channel numbers, and each holds all channels: masks have their very names."""
    files, masks = _scans_and_masks(pairs)
    if _any_numbered(files, masks) or not any(stem_of(file) in masks for file in files):
        return False
    return channel_count(next(file for file in files if stem_of(file) in masks)) == len(channels)


def bear_numbers(pairs: Sequence[FolderPair]) -> bool:
    """Whether there are scans with channel numbers, less which their names are those of masks."""
    return _any_numbered(*_scans_and_masks(pairs))


def _any_numbered(files: Sequence[Path], masks: Container[str]) -> bool:
    return any(match[1] in masks for file in files if (match := NUMBERED.fullmatch(stem_of(file))))


def _scans_and_masks(pairs: Sequence[FolderPair]) -> tuple[list[Path], set[str]]:
    """Return the files of scans, and the names of masks without their endings."""
    files = [file for pair in pairs for file in image_files(pair.images)]
    return files, {stem_of(file) for pair in pairs if pair.labels for file in mask_files(pair.labels)}


def _case(name: str, files: dict[str, Path], masks: Sequence[Path], problem: str | None, pair: FolderPair) -> FoundCase:
    """Return the case of a folder; with two masks of its name, which one is meant is unknown."""
    twice = f"{masks[0]}: the same name is that of {masks[1].name}; expected one mask." if len(masks) > 1 else None
    label = masks[0] if masks and twice is None else None
    return FoundCase(name, files, label, pair.held_out, problem=problem, label_problem=twice)


def _whole(files: dict[str, Path], channels: tuple[str, ...]) -> dict[str, Path]:
    """Return the one file of a case as that of all channels where it is a picture: nnU-Net keeps colours in one."""
    only = next(iter(files.values()))
    return {STACKED: only} if len(files) == 1 < len(channels) and is_picture(only) else files


def _missing(path: Path, description: Mapping[str, Any], found: Collection[str]) -> list[FoundCase]:
    """Return the training cases that a list names and that have no file at all."""
    missing = []
    for entry in listed_entries(path, description, "training"):
        images = entry.get("image") if isinstance(entry, dict) else entry
        image = listed_file(path, images[0] if isinstance(images, list) and images else images)
        match = NUMBERED.fullmatch(stem_of(image)) if isinstance(images, list) else None
        name = match[1] if match else stem_of(image)
        if name not in found and not is_there(image):
            first = image if match else image.with_name(f"{name}_0000{extension_of(image) or ''}")
            missing.append(FoundCase(name, {}, problem=f"{first}: no such file, though {NAME} lists its case."))
    return missing


def _listed_cases(path: Path, listed: Any, channels: tuple[str, ...]) -> list[FoundCase]:
    """Read the cases that ``dataset.json`` lists file by file, which nnU-Net allows too."""
    if not isinstance(listed, dict):
        raise EquiregError(
            f'{path}: has a "dataset" {shown(listed)}; expected {{CASE: {{"images": [...]}}}}. Correct it.'
        )
    cases = []
    for name, entry in listed.items():
        files = entry.get("images") if isinstance(entry, dict) else None
        if not isinstance(files, list) or len(files) != len(channels):
            raise EquiregError(
                f"{path}: lists the case {shown(name)} as {shown(entry)}; "
                f'expected "images" with {len(channels)} files. Correct it.'
            )
        images = {channel: listed_file(path, file) for channel, file in zip(channels, files, strict=True)}
        label = listed_file(path, entry["label"]) if entry.get("label") else None
        absent = [file for file in (*images.values(), label) if file is not None and not is_there(file)]
        problem = f"{absent[0]}: no such file, though {NAME} lists it." if absent else None
        if len(set(images.values())) < len(images):
            problem = f"{path}: lists one file for two channels of the case {shown(name)}; expected one for each."
        cases.append(FoundCase(name, images, label, problem=problem))
    return cases


def _not_listed(cases: Sequence[FoundCase], listed: Sequence[FoundCase]) -> list[FoundCase]:
    """Return the cases of the folders that the list leaves out, under any name."""
    names = {case.name for case in listed}
    files = {file.resolve() for case in listed for file in case.files.values()}
    return [
        case
        for case in cases
        if case.name not in names and not any(file.resolve() in files for file in case.files.values())
    ]
