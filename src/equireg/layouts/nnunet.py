"""nnU-Net's raw layout: ``imagesTr/CASE_0000.nii.gz`` a channel, ``labelsTr/CASE.nii.gz``, dataset.json."""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from equireg.errors import EquiregError
from equireg.imaging.formats import EXTENSIONS
from equireg.layouts.base import FoundCase, FoundSet, LayoutMismatchError
from equireg.layouts.channels import modality_of
from equireg.layouts.dataset_json import NAME, channel_names, label_table, read_description
from equireg.layouts.files import folder_pairs, image_files, stem_of

NUMBERED = re.compile(r"(.+)_(\d{4})")
"""A stem with nnU-Net's channel number."""


def find(root: Path) -> FoundSet:
    """Find the cases of an nnU-Net data set (version 2, or 1 with its ``modality``).

    A case without a mask is unlabelled, in ``imagesTr`` or a folder such as ``imagesUn``; ``imagesTs`` is
    held out.

    Raises:
        LayoutMismatchError: if the folder is of another layout.
        EquiregError: if ``dataset.json`` is damaged or names files that are not read.
    """
    path = root / NAME
    description = read_description(root)
    names = (description or {}).get("channel_names", (description or {}).get("modality"))
    pairs = folder_pairs(root)
    explicit = (description or {}).get("dataset")
    if description is None or names is None or not (pairs or explicit):
        raise LayoutMismatchError(f'{path}: has no "channel_names" with a folder imagesTr; expected an nnU-Net {NAME}.')
    ending = description.get("file_ending", ".nii.gz")
    if ending not in EXTENSIONS:
        raise EquiregError(f"{path}: has the file_ending {ending!r}; expected one of {', '.join(EXTENSIONS)}. Convert.")
    channels = channel_names(path, names)
    cases, orphans = _cases_of_folders(root, channels)
    if isinstance(explicit, dict):
        cases = _listed_cases(path, explicit, channels) + [case for case in cases if case.name not in explicit]
        orphans = []
    if not cases:
        raise LayoutMismatchError(f"{root}: has no file such as imagesTr/CASE_0000{ending}; expected nnU-Net's names.")
    return FoundSet(
        layout="nnunet",
        channels=channels,
        modality=modality_of(channels, "other"),
        labels=label_table(path, description["labels"]) if "labels" in description else None,
        cases=tuple(cases),
        suffixes={channel: f"_{index:04d}" for index, channel in enumerate(channels)},
        orphans=tuple(orphans),
    )


def _cases_of_folders(root: Path, channels: tuple[str, ...]) -> tuple[list[FoundCase], list[Path]]:
    """Find the cases by their files, and masks without a scan."""
    cases, orphans = [], []
    for pair in folder_pairs(root):
        groups: defaultdict[str, dict[str, Path]] = defaultdict(dict)
        for file in image_files(pair.images):
            match = NUMBERED.fullmatch(stem_of(file))
            if match and int(match[2]) < len(channels):
                groups[match[1]][channels[int(match[2])]] = file
        masks = {stem_of(file): file for file in image_files(pair.labels)} if pair.labels else {}
        cases += [FoundCase(name, files, masks.get(name), pair.held_out) for name, files in groups.items()]
        orphans += [file for stem, file in masks.items() if stem not in groups]
    return cases, orphans


def _listed_cases(path: Path, listed: dict[str, Any], channels: tuple[str, ...]) -> list[FoundCase]:
    """Read the cases that ``dataset.json`` lists file by file, which nnU-Net allows too."""
    cases = []
    for name, entry in listed.items():
        files = entry.get("images") if isinstance(entry, dict) else None
        if not isinstance(files, list) or len(files) != len(channels):
            raise EquiregError(
                f'{path}: lists the case {name} as {entry!r}; expected "images" with {len(channels)} files. Correct it.'
            )
        images = {channel: path.parent / file for channel, file in zip(channels, files, strict=True)}
        there = {channel: file for channel, file in images.items() if file.is_file()}
        label = path.parent / entry["label"] if entry.get("label") else None
        cases.append(FoundCase(name, there, label if label is not None and label.is_file() else None))
    return cases
