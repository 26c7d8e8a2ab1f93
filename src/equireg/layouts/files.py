"""Files of a raw folder: which are images, what they are called, which folders hold scans and which masks."""

import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from equireg.disk import read_errors
from equireg.folders import UNFINISHED, is_signed
from equireg.imaging.formats import composed, extension_of
from equireg.imaging.pictures import is_picture

MARKS = "_-. "
"""What stands between the parts of a name."""
_DEPTH = 8  # folders below the root; a data set nests no deeper
_SCANS = r"(?:images?|scans?|imgs?|volumes?|vols?)(?:[_\- ]?dir)?"
_SCANS_BESIDE_MASKS = (
    rf"(?:{_SCANS}|inputs?|niftis?|data|raw|cts?|mris?|originals?|pictures?|photos?|frames?|(?:jpe?g|png)[_\- ]?images)"
)
_MASKS = (
    r"(?:labels?|masks?|segmentations?|segs?|annotations?|annots?|gts?|ground[_\- ]?truths?|label[_\- ]?maps?|rois?|"
    r"contours?|lesions?|delineations?|targets?|manual|ann(?=[_\- ]?dir))(?:[_\- ]?(?:masks?|segs?|files?|class|dir))?"
)
_PARTS = r"tr|train|training|trainval|ts|test|testing|val|va|valid|validation|un|unlabell?ed"
_ENDS_LIKE_MASKS = re.compile(rf".*[_\-. ](?:{_MASKS}|st)", re.IGNORECASE)
_PART_BEHIND = re.compile(r".+[_\-. ](?:labels?|masks?|segmentations?|segs?)[_\-. ]?(tr|ts|val?)", re.IGNORECASE)
_UNLABELLED = re.compile(
    r"(?:un|non|not|no|without)[_\- ]?(?:labell?ed|annotated|masked|segmented|labels?|annotations?|masks?)"
    r"(?:[_\- ]?(?:set|data|cases?|images?|scans?|patients?))?",
    re.IGNORECASE,
)
_UNLABELLED_WORDS = {"unlabeled", "unlabelled", "unannotated"}
_LABELLED_WORDS = {"labeled", "labelled", "annotated", "labels", "label", "masks", "mask", "pseudo", "predictions"}
_TRAINING = ("", "tr", "train", "training", "trainval")
_TEST, _VALIDATION = ("ts", "test", "testing"), ("val", "va", "valid", "validation")
_HELD_OUT = (*_TEST, *_VALIDATION)
HELD_OUT_WORDS, TRAINING_WORDS = {"test", "testing", "val", "validation"}, {"train", "training", "trainval"}
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SETS = r"({})(?:[_\- ]?(?:set|data|cases?|images?|patients?))?"
_HELD_OUT_SET = re.compile(_SETS.format("|".join(_HELD_OUT)), re.IGNORECASE)
_TRAINING_SET = re.compile(_SETS.format("|".join(_TRAINING[1:])) + r"(?:[_\- ]?(?:v?\d+|additional))*", re.IGNORECASE)


@dataclass(frozen=True)
class FolderPair:
    """A folder of scans and the folder with their masks."""

    images: Path
    labels: Path | None
    held_out: bool
    """Whether its name says test or validation."""


def image_files(folder: Path) -> list[Path]:
    """List the images directly in a folder by name, without pictures beside volumes: among scans these are previews."""
    found = images_in(folder)
    volumes = [file for file in found if not is_picture(file)]
    return volumes or found


def images_in(folder: Path) -> list[Path]:
    """List all images directly in a folder by name; hidden files (``._x``, ``.DS_Store``) are none."""
    with read_errors(folder):
        return sorted(file for file in folder.iterdir() if is_image(file))


def is_image(file: Path) -> bool:
    """Whether a path is a file with the ending of an image, and not hidden.

    A link whose file is not there counts: reading it says so, and no scan is left out without a word.
    """
    if file.name.startswith(".") or extension_of(file) is None:
        return False
    return file.is_file() or (file.is_symlink() and not file.exists())


def stem_of(file: Path) -> str:
    """Return an image's file name without its ending, its letters composed."""
    return composed(file.name[: len(file.name) - len(extension_of(file) or "")])


Listed = TypeVar("Listed")

_walks: ContextVar[dict[tuple[str, Path], Any] | None] = ContextVar("walks", default=None)


@contextmanager
def walked_once() -> Iterator[None]:
    """Walk over each folder once within the block, though several layouts look at it."""
    token = _walks.set({})
    try:
        yield
    finally:
        _walks.reset(token)


def goes_on_behind(stem: str, name: str) -> bool:
    """Whether a stem is a name with a mark and more behind it: ``c1_liver`` of ``c1``."""
    return len(stem) > len(name) and stem.startswith(name) and stem[len(name)] in MARKS


def folders_with_images(root: Path) -> list[tuple[Path, list[Path]]]:
    """Return the root and the folders below that hold images, with these; hidden folders are left out.

    Pictures count where no volume is a scan: beside volumes they are previews.

    Raises:
        EquiregError: if a folder cannot be read.
    """
    return _once("images", root, lambda: _of_one_kind(root, list(_walk(root))))


def folders_below(root: Path) -> list[tuple[Path, list[str]]]:
    """Return the root and the folders below, with the names of their files; hidden folders and outputs are left out.

    Raises:
        EquiregError: if a folder cannot be read.
    """
    return _once("names", root, lambda: list(_walk_names(root)))


def _once(what: str, root: Path, listed: Callable[[], Listed]) -> Listed:
    """List a folder anew, or within ``walked_once`` the first time alone."""
    known = _walks.get()
    if known is None:
        return listed()
    if (what, root) not in known:
        known[what, root] = listed()
    return known[what, root]


def _of_one_kind(root: Path, found: list[tuple[Path, list[Path]]]) -> list[tuple[Path, list[Path]]]:
    """Leave pictures out where volumes lie outside of folders of masks."""
    if not any(is_picture(file) for _, files in found for file in files):
        return found
    scans = [
        file
        for folder, files in found
        if not any(mask_part(name) is not None for name in folder.relative_to(root).parts)
        for file in files
        if not is_picture(file)
    ]
    if not scans:
        return found
    volumes = [(folder, [file for file in files if not is_picture(file)]) for folder, files in found]
    return [(folder, files) for folder, files in volumes if files]


def _walk(root: Path) -> Iterator[tuple[Path, list[Path]]]:
    for here, _ in folders_below(root):
        files = images_in(here)
        if files:
            yield here, files


def _walk_names(root: Path) -> Iterator[tuple[Path, list[str]]]:
    for folder, below, names in os.walk(root, onerror=_unreadable, followlinks=True):
        here = Path(folder)
        deep = len(here.relative_to(root).parts) >= _DEPTH
        above = {here.resolve(), *here.resolve().parents}
        below[:] = (
            []
            if deep
            else sorted(name for name in below if not name.startswith(".") and (here / name).resolve() not in above)
        )
        if here != root and (is_signed(here) or (here / UNFINISHED).exists()):
            below[:] = []  # an output of equireg inside the raw folder
            continue
        yield here, names


def folder_pairs(root: Path) -> list[FolderPair]:
    """Find folders such as ``images`` and ``labels``, ``imagesTr`` and ``labelsTr``, ``imagesTs``."""
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    masks = {part: folder for folder in folders if (part := mask_part(folder.name)) is not None}
    pairs = []
    for folder in folders:
        part = scan_part(folder.name)
        if part is not None:
            labels = next((masks[other] for other in alike(part) if other in masks), None)
            pairs.append(FolderPair(folder, labels, part in _HELD_OUT))
    return pairs


def _unreadable(error: OSError) -> None:
    with read_errors(error.filename):
        raise error


def scan_part(name: str) -> str | None:
    """Return the part of a data set (``tr``, ``test``, or nothing) that a folder of scans is of; None for another."""
    return _part(name, _SCANS)


def scan_part_beside_masks(name: str) -> str | None:
    """Return what ``scan_part`` does, for names too that mean scans only where a folder of masks lies beside."""
    return _part(name, _SCANS_BESIDE_MASKS)


def mask_part(name: str) -> str | None:
    """Return the part of a data set that a folder of masks is of; None for another folder."""
    return _part(name, _MASKS)


def may_be_target_domain(name: str) -> bool:
    """Whether a folder may hold the scans of a target domain: ``training_target``, beside ``training_source``."""
    return _part(name, "targets?") not in (None, "")


def sounds_like_masks(name: str) -> bool:
    """Whether a folder's name ends or begins with a word for masks: ``Cup_Masks``, ``gtFine``; scans may lie there."""
    first = _WORD.match(name)
    begins = first is not None and mask_part(first[0]) is not None
    return (begins or bool(_ENDS_LIKE_MASKS.fullmatch(name))) and not says_unlabelled(name)


def mask_part_behind(name: str) -> str | None:
    """Return the part of a data set where a folder's name ends with masks and it: ``tr`` of ``cow_seg_labelsTr``."""
    match = _PART_BEHIND.fullmatch(name)
    return match[1].lower() if match else None


def says_unlabelled(name: str) -> bool:
    """Whether a folder's name says that what lies in it has no masks: ``unlabeled``, ``X_UnlabeledCase1-9``."""
    words = words_of(name)
    return bool(_UNLABELLED.fullmatch(name)) or bool(words & _UNLABELLED_WORDS and not words & _LABELLED_WORDS)


def alike(part: str) -> tuple[str, ...]:
    """Return the parts whose masks serve, the part itself first: ``train`` and ``tr``, ``test`` and ``ts``."""
    same = next((names for names in (_TRAINING, _TEST, _VALIDATION) if part in names), ())
    return (part, *(other for other in same if other != part))


def set_of(name: str) -> str | None:
    """Return the part of a data set that a folder is called after: ``train``, ``validation`` of ``validation_set``."""
    match = _HELD_OUT_SET.fullmatch(name) or _TRAINING_SET.fullmatch(name)
    return match[1].lower() if match else "un" if _UNLABELLED.fullmatch(name) else None


def is_held_out(folder: Path, root: Path) -> bool:
    """Whether a folder, or one above it and below the root, is called test or validation.

    A folder whose name has such a word (``test``, ``TestData``, ``dataset-02validation``) counts only beside one whose
    name has a word for training.
    """
    places = (place for place in (folder, *folder.parents) if place != root and place.is_relative_to(root))
    return _once(f"held out below {root}", folder, lambda: any(map(_says_held_out, places)))


def _says_held_out(folder: Path) -> bool:
    name = folder.name
    if scan_part(name) in _HELD_OUT:
        return True
    words = words_of(name)
    if not words & HELD_OUT_WORDS and not _HELD_OUT_SET.fullmatch(name):
        return False
    return not words & TRAINING_WORDS and (says_unlabelled(name) or _holds_training(folder.parent))


def _holds_training(folder: Path) -> bool:
    """Whether one of the folders directly in a folder is called training."""
    return _once("training", folder, lambda: any(_says_training(below) for below in folder.iterdir()))


def _says_training(folder: Path) -> bool:
    name = folder.name
    says = scan_part(name) in _TRAINING[1:] or _TRAINING_SET.fullmatch(name) or words_of(name) & TRAINING_WORDS
    return bool(says) and folder.is_dir() and any(files for _, files in folders_with_images(folder))


def words_of(name: str) -> set[str]:
    """Return the words of a name in small letters, which marks, numbers and capitals divide: ``TestData_v2``."""
    return {word.lower() for word in _WORD.findall(name)}


def told_of_sets(scans: Iterable[Path]) -> tuple[str, ...]:
    """Return a warning where names in one folder begin with a word for training and one for test: ``testA_1``."""
    training: dict[Path, Path] = {}
    held_out: dict[Path, Path] = {}
    for file in scans:
        first = _WORD.match(file.name)
        for words, found in ((TRAINING_WORDS, training), (HELD_OUT_WORDS, held_out)):
            if first and first[0].lower() in words:
                found.setdefault(file.parent, file)
    both = next((folder for folder in training if folder in held_out), None)
    if both is None:
        return ()
    return (
        f"{both}: the names of some scans begin with a word for training, of others with one for test "
        f"({training[both].name}, {held_out[both].name}), and none is held out for it. To hold some out, move them "
        "with their masks to a folder test/ beside train/, or give --split FILE.json.",
    )


def _part(name: str, kind: str) -> str | None:
    match = re.fullmatch(rf"(?P<before>(?:{_PARTS})[_\- ]?)?{kind}[_\- ]?(?P<after>{_PARTS}|)", name, re.IGNORECASE)
    return (match["after"] or (match["before"] or "").rstrip("_- ")).lower() if match else None
