"""The Medical Segmentation Decathlon's layout: ``dataset.json`` lists the cases, one 3D or 4D file each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from equireg.imaging.formats import extension_of
from equireg.layouts.base import STACKED, FoundCase, FoundSet, LayoutMismatchError, Refusal
from equireg.layouts.channels import modality_of
from equireg.layouts.dataset_json import (
    NAME,
    channel_names,
    is_there,
    label_table,
    listed_entries,
    listed_file,
    read_description,
)
from equireg.layouts.files import folder_pairs, image_files, stem_of

_LISTS = ("training", "validation", "test")


@dataclass
class _Listed:
    """What the lists of ``dataset.json`` yield."""

    cases: dict[Path, FoundCase] = field(default_factory=dict)
    """Scan to its case."""
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
    description = read_description(root)
    if description is None or "modality" not in description:
        raise LayoutMismatchError(f'{path}: has no "modality"; expected a Decathlon {NAME}.')
    if "channel_names" in description or _is_numbered(path, description):
        raise LayoutMismatchError(f"{path}: is that of an nnU-Net data set; expected a Decathlon one.")
    channels = channel_names(path, description["modality"])
    listed = _read_lists(path, description)
    names = {case.name: file for file, case in listed.cases.items()}
    unlisted, orphans = _unlisted(root, listed, by_folder=not description.get("training"))
    namesakes = [case for case in unlisted if case.name in names and case.stacked != names[case.name]]
    return FoundSet(
        layout="decathlon",
        channels=channels,
        modality=modality_of(channels, "other"),
        labels=label_table(path, description["labels"]) if "labels" in description else None,
        cases=(*listed.cases.values(), *(case for case in unlisted if case not in namesakes)),
        refused=(*listed.refused, *(_namesake(case, names[case.name]) for case in namesakes)),
        orphans=orphans,
        notes=_notes(listed),
    )


def _read_lists(path: Path, description: Mapping[str, Any]) -> _Listed:
    """Read the cases that the lists name; a missing scan, and one on two lists, is refused."""
    listed = _Listed()
    for key in _LISTS:
        for entry in listed_entries(path, description, key):
            image, label = _files(path, entry)
            if label is not None:
                listed.masks.add(label)
            if key != "training" and not image.parent.is_dir():
                listed.absent += 1  # the test scans were never fetched, or were left out when the task was copied
            elif image in listed.lists:
                _repeat(listed, image, key)
            else:
                listed.lists[image] = key
                _add(listed, image, label, held_out=key != "training")
    return listed


def _add(listed: _Listed, image: Path, label: Path | None, *, held_out: bool) -> None:
    name = stem_of(image)
    if is_there(image):
        mask = label if label is not None and is_there(label) else None
        if label is not None and mask is None:
            listed.unmasked.append(label)
        listed.cases[image] = FoundCase(name, {STACKED: image}, mask, held_out)
    else:
        reason = f"{image}: no such file, though {NAME} lists it."
        listed.refused.append(Refusal(name, reason, "Add it, or correct the list."))


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
    reason = f"{case.stacked}: has the name of {listed}, which {NAME} lists; expected each name once."
    return Refusal(case.name, reason, "Rename or remove one of the two.")


def _is_numbered(path: Path, description: Mapping[str, Any]) -> bool:
    """Whether the list means files with nnU-Net's channel numbers, as in its first version."""
    entries = description.get("training")
    if not isinstance(entries, list) or not entries:
        return False
    image, _ = _files(path, entries[0])
    ending = extension_of(image) or ""
    return not image.exists() and image.with_name(f"{stem_of(image)}_0000{ending}").exists()


def _files(path: Path, entry: Any) -> tuple[Path, Path | None]:
    """Return a listed case's scan and mask; a case may be a plain file name."""
    image, label = (entry.get("image"), entry.get("label")) if isinstance(entry, dict) else (entry, None)
    return listed_file(path, image), listed_file(path, label) if label not in (None, "") else None


def _unlisted(root: Path, listed: _Listed, *, by_folder: bool) -> tuple[list[FoundCase], tuple[Path, ...]]:
    """Find scans that the lists leave out, and masks without any scan.

    Args:
        root: the task's folder.
        listed: what the lists name.
        by_folder: whether there is no list, so that masks are found by their scan's name.
    """
    known = {*listed.lists, *listed.masks}
    cases, orphans = [], []
    for pair in folder_pairs(root):
        scans = image_files(pair.images)
        masks = {stem_of(file): file for file in image_files(pair.labels)} if pair.labels else {}
        for file in scans:
            if file not in known:
                label = masks.get(stem_of(file)) if by_folder or pair.held_out else None
                cases.append(FoundCase(stem_of(file), {STACKED: file}, label, pair.held_out))
        stems = {stem_of(file) for file in scans}
        orphans += [file for stem, file in masks.items() if stem not in stems and file not in known]
    return cases, tuple(orphans)
