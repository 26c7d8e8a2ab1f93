"""The Medical Segmentation Decathlon's layout: ``dataset.json`` lists the cases, one 3D or 4D file each."""

from pathlib import Path
from typing import Any

from equireg.errors import EquiregError
from equireg.imaging.formats import extension_of
from equireg.layouts.base import STACKED, FoundCase, FoundSet, LayoutMismatchError, Refusal
from equireg.layouts.channels import modality_of
from equireg.layouts.dataset_json import NAME, channel_names, label_table, read_description
from equireg.layouts.files import folder_pairs, image_files, stem_of


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
    cases: list[FoundCase] = []
    refused: list[Refusal] = []
    listed: set[Path] = set()
    for key in ("training", "validation", "test"):
        entries = description.get(key) or []
        if not isinstance(entries, list):
            raise EquiregError(f'{path}: has a "{key}" that is no list; expected a list of cases. Correct it.')
        for entry in entries:
            image, label = _files(path, entry)
            if key != "training" and not image.parent.is_dir():
                continue  # the test scans were never fetched, or were left out when the task was copied
            listed |= {image} if label is None else {image, label}
            name = stem_of(image)
            if image.is_file():
                mask = label if label is not None and label.is_file() else None
                cases.append(FoundCase(name, {STACKED: image}, mask, key != "training"))
            else:
                refused.append(
                    Refusal(
                        name,
                        f"{image}: no such file, though {NAME} lists it.",
                        "Add it, or correct the list.",
                    )
                )
    unlisted, orphans = _unlisted(root, listed, by_folder=not description.get("training"))
    return FoundSet(
        layout="decathlon",
        channels=channels,
        modality=modality_of(channels, "other"),
        labels=label_table(path, description["labels"]) if "labels" in description else None,
        cases=(*cases, *unlisted),
        refused=tuple(refused),
        orphans=orphans,
    )


def _is_numbered(path: Path, description: dict[str, Any]) -> bool:
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
    if not isinstance(image, str) or not (label is None or isinstance(label, str)):
        raise EquiregError(f'{path}: lists {entry!r}; expected {{"image": FILE, "label": FILE}} or FILE. Correct it.')
    return path.parent / image, path.parent / label if label else None


def _unlisted(root: Path, listed: set[Path], *, by_folder: bool) -> tuple[list[FoundCase], tuple[Path, ...]]:
    """Find scans that the list leaves out, and masks without any scan.

    Args:
        root: the task's folder.
        listed: files that the list names.
        by_folder: whether there is no list, so that masks are found by their scan's name.
    """
    cases, orphans = [], []
    for pair in folder_pairs(root):
        scans = image_files(pair.images)
        masks = {stem_of(file): file for file in image_files(pair.labels)} if pair.labels else {}
        for file in scans:
            if file not in listed:
                label = masks.get(stem_of(file)) if by_folder else None
                cases.append(FoundCase(stem_of(file), {STACKED: file}, label, pair.held_out))
        stems = {stem_of(file) for file in scans}
        orphans += [file for stem, file in masks.items() if stem not in stems and file not in listed]
    return cases, tuple(orphans)
