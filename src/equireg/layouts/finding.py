"""The first of the layouts that fits a folder."""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from equireg.config import DicomOptions
from equireg.config.dicom import ALL_SERIES
from equireg.disk import existing_folder
from equireg.errors import EquiregError, UsageError
from equireg.imaging.dicom.heads import is_called_dicom, is_dicom
from equireg.imaging.formats import VOLUMES
from equireg.layouts import LAYOUTS, dicom, plain
from equireg.layouts.base import FoundSet, LayoutMismatchError, RawDataset
from equireg.layouts.dataset_json import NAME, read_description
from equireg.layouts.files import folders_below, folders_with_images, walked_once
from equireg.layouts.judging import to_dataset
from equireg.layouts.label_maps import are_label_maps
from equireg.layouts.told_labels import with_names_beside
from equireg.layouts.unread import outlines, outputs_with_images, scans_of_other_kinds, why_nothing_is_found

_LAST = ("plain", "dicom", "pictures")
"""Layouts that take any names."""
_DESCRIBED = {"labels", "channel_names", "modality", "training", "validation", "test", "testing"}
"""What a data set's description says that changes how it is read."""
_MASKS_OF_DICOM = (
    "masks among them are taken in by `equireg adopt`, named as the cases are (--keep_names true names these after the "
    "PatientID)"
)
_COUNTING = {"plain": plain.find, "pictures": plain.find_pictures}
"""Finders that ask for the number of channels, where it is known."""


def discover(
    root: Path | str, layout: str = "auto", *, follow_links: bool = True, options: DicomOptions = ALL_SERIES
) -> RawDataset:
    """Find the cases of a raw folder.

    Args:
        root: the folder.
        layout: a name in ``LAYOUTS``, or ``"auto"`` for the first that fits.
        follow_links: whether files outside the folder are used, which links or listed paths lead to; else their
            cases are refused.
        options: how DICOM series become cases.

    Raises:
        EquiregError: if the folder is missing, the layout is unknown or does not fit, or nothing is found.
    """
    root = Path(root)
    with walked_once():
        found, read = with_names_beside(root, find_layout(root, layout, options=options))
        dataset = to_dataset(root, found, follow_links=follow_links)
        told = (
            scans_of_other_kinds(root),
            outlines(dataset),
            _unread_description(root, found, read),
            _masks_alone(found),
        )
        notes, outputs = outputs_with_images(root)
        warnings = (*dataset.warnings, *(line for line in told if line), *outputs)
        return replace(dataset, notes=(*dataset.notes, *_unused(root, found), *notes), warnings=warnings)


def rediscover(root: Path, signatures: Iterable[Mapping[str, Any]], options: DicomOptions = ALL_SERIES) -> RawDataset:
    """Find the cases of a raw folder again, by the layout that `equireg prepare` was told it has.

    A folder that has another layout by now is searched as a new one.

    Args:
        root: the folder.
        signatures: content of ``made_by.json`` of folders that were made from it.
        options: how DICOM series become cases.

    Raises:
        EquiregError: as ``discover``.
    """
    layout = _recorded_layout(signatures)
    try:
        return discover(root, layout, options=options)
    except LayoutMismatchError:
        return discover(root, options=options)


def _recorded_layout(signatures: Iterable[Mapping[str, Any]]) -> str:
    """Return the first layout that `equireg prepare` was given; auto where it was given none that there is."""
    configs = [signature.get("config") for signature in signatures if signature.get("verb") == "prepare"]
    layouts = [str(config.get("layout")) for config in configs if isinstance(config, Mapping)]
    return next((layout for layout in layouts if layout in LAYOUTS), "auto")


def _unused(root: Path, found: FoundSet) -> tuple[str, ...]:
    """Tell of images that are neither in a case, nor refused, nor left aside with a note."""
    used = {*found.orphans, *found.aside}
    for case in found.cases:
        used |= {*case.files.values(), *case.masks}
    reasons = " ".join([*(item.reason for item in found.refused), *(case.label_problem or "" for case in found.cases)])
    left = [file for _, files in folders_with_images(root) for file in files if file not in used]
    left = [file for file in left if file.name not in reasons]
    notes = []
    if left:
        way = f"; {_MASKS_OF_DICOM}" if found.layout == "dicom" else ""
        what = f"images that the layout {found.layout} does not know, such as {left[0]}{way}"
        notes.append(f"not used: {len(left)} {what}")
    slices = list(_slices(root)) if found.layout != "dicom" else []
    if slices:
        notes.append(f"not used: {len(slices)} DICOM files, such as {slices[0]}; --layout dicom reads them")
    return tuple(notes)


def _unread_description(root: Path, found: FoundSet, read: Container[Path]) -> str | None:
    """Tell of a data set's description that was not read: no layout fits, or its folder lies below the given one.

    Args:
        root: the raw folder.
        found: what its layout found.
        read: descriptions whose names of labels count all the same.
    """
    if found.layout not in _LAST:
        return None
    if lost := _lost(root, read):
        return (
            f'{lost} Expected a "training" list of scans that are there, or "channel_names" and scans such as '
            "imagesTr/CASE_0000.nii.gz. Correct it, or remove it."
        )
    places = [folder for folder, names in folders_below(root) if folder != root and NAME in names]
    told = ((folder, lost) for folder in places if (lost := _lost(folder, read)))
    folder, lost = next(told, (root, None))
    if lost is None:
        return None
    return f"{lost} {f'Move it to {root}.' if _parts_cases(folder, found) else f'Give the folder {folder} itself.'}"


def _lost(folder: Path, read: Container[Path]) -> str | None:
    """Say what of a folder's description does not count; None where it has none, or one that describes nothing."""
    path = folder / NAME
    with suppress(EquiregError):
        described = _DESCRIBED & set(read_description(folder) or ())
        if path in read:
            told = f"{path} was not read but for the names of its labels: its lists and names of channels do not count."
            return told if described - {"labels"} else None
        lost = "its lists, its names of labels and channels, regions and the ignore label do not count."
        return f"{path} was not read: {lost}" if described else None
    return None


def _parts_cases(folder: Path, found: FoundSet) -> bool:
    """Whether some files of a case lie in a folder and others do not, as in one of masks alone."""
    files = ([*case.files.values(), *case.masks] for case in found.cases)
    return any(len({folder in file.parents for file in several}) > 1 for several in files)


def _are_masks_of_dicom(root: Path, found: FoundSet) -> bool:
    """Whether what was found holds labels, as far as it is opened, and DICOM files lie beside it."""
    return any(_slices(root)) and _are_all_masks(found)


def _are_all_masks(found: FoundSet) -> bool:
    """Whether no case has a mask, and the scans hold labels, as far as they are opened."""
    files = [file for case in found.cases for file in case.files.values()]
    return all(case.label is None and case.label_problem is None for case in found.cases) and are_label_maps(files)


def _masks_alone(found: FoundSet) -> str | None:
    """Warn where the scans seem to be masks without their scans."""
    if found.layout not in ("plain", "pictures") or not _are_all_masks(found):
        return None
    return (
        f"the scans look like masks, such as {found.cases[0].scan}: whole numbers in patches on a background of 0. If "
        "they are, give the folder that holds their scans too, such as images/ beside labels/."
    )


def _slices(root: Path) -> Iterator[Path]:
    """Yield the DICOM files of a raw folder."""
    return (folder / name for folder, names in folders_below(root) for name in names if _is_slice(folder, name))


def _is_slice(folder: Path, name: str) -> bool:
    """Whether a file is DICOM by its name, or by its first bytes where the name has no ending, as archives export."""
    ending = Path(name).suffix[1:]
    unnamed = not name.startswith(".") and (not ending or ending.isdigit())
    return is_called_dicom(name) or (unnamed and is_dicom(folder / name))


def find_layout(
    root: Path, layout: str = "auto", channels: Sequence[str] = (), options: DicomOptions = ALL_SERIES
) -> FoundSet:
    """Find what a folder holds, as ``discover`` does, before cases are judged.

    Args:
        root: the folder.
        layout: a name in ``LAYOUTS``, or ``"auto"``.
        channels: names of a case's channels, where they are known.
        options: how DICOM series become cases.

    Raises:
        EquiregError: as ``discover``.
    """
    if layout != "auto" and layout not in LAYOUTS:
        raise UsageError(f"--layout is {layout!r}: no such layout; expected auto or one of {', '.join(LAYOUTS)}.")
    existing_folder(root, "scans")
    tried: list[str] = []
    known = [*(name for name in LAYOUTS if name not in _LAST), *_LAST]
    for name in known if layout == "auto" else (layout,):
        try:
            if name == "dicom":
                return dicom.find(root, options, channels)
            found = _COUNTING[name](root, len(channels) or None) if name in _COUNTING else LAYOUTS[name](root)
            if layout == "auto" and name == "plain" and _are_masks_of_dicom(root, found):
                with suppress(LayoutMismatchError):
                    return dicom.find(root, options, channels)
            return found
        except LayoutMismatchError as error:
            tried.append(str(error))
    if layout != "auto":
        raise LayoutMismatchError(f"{tried[0].rstrip('.')} for --layout {layout}. Correct it, or leave --layout out.")
    raise EquiregError(
        f"{root}: has no scans of a known layout; expected dataset.json with imagesTr/ (Decathlon, "
        "nnU-Net), folders "
        "with CASE_t1, CASE_t1ce, CASE_t2, CASE_flair (BraTS), NIfTI, MetaImage or NRRD files "
        f"({', '.join(VOLUMES)}) or pictures (PNG, JPEG, TIFF, BMP, WebP), directly inside, in images/ or in a folder "
        f"a case, or DICOM series. Check the path.{why_nothing_is_found(root)}"
    )
