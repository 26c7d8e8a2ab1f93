"""Files of a raw folder: which are images, what they are called, and where they lie."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from equireg.disk import read_errors
from equireg.folders import UNFINISHED, is_signed
from equireg.imaging.formats import composed, extension_of
from equireg.imaging.pictures import is_picture
from equireg.layouts.folder_words import HELD_OUT_PARTS, alike, mask_part, scan_part

MARKS = "_-. "
"""What stands between the parts of a name."""
_DEPTH = 8  # folders below the root; a data set nests no deeper


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


def shorter(stem: str) -> list[str]:
    """Return what stands before each mark in a stem, the longest first."""
    return [stem[:index] for index in range(len(stem) - 1, 0, -1) if stem[index] in MARKS]


def folders_with_images(root: Path) -> list[tuple[Path, list[Path]]]:
    """Return the root and the folders below that hold images, with these; hidden folders are left out.

    Pictures count where no volume is a scan: beside volumes they are previews.

    Raises:
        EquiregError: if a folder cannot be read.
    """
    return once("images", root, lambda: _of_one_kind(root, list(_walk(root))))


def folders_below(root: Path) -> list[tuple[Path, list[str]]]:
    """Return the root and the folders below, with the names of their files; hidden folders and outputs are left out.

    Raises:
        EquiregError: if a folder cannot be read.
    """
    return _walked(root)[0]


def outputs_below(root: Path) -> list[Path]:
    """Return the folders below that are outputs of equireg, which are not looked at; none inside another.

    Raises:
        EquiregError: if a folder cannot be read.
    """
    return _walked(root)[1]


def _walked(root: Path) -> tuple[list[tuple[Path, list[str]]], list[Path]]:
    return once("names", root, lambda: _walk_names(root))


def once(what: str, root: Path, listed: Callable[[], Listed]) -> Listed:
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


def _walk_names(root: Path) -> tuple[list[tuple[Path, list[str]]], list[Path]]:
    named, outputs = [], []
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
            below[:] = []
            outputs.append(here)
        else:
            named.append((here, names))
    return named, outputs


def folder_pairs(root: Path) -> list[FolderPair]:
    """Find folders such as ``images`` and ``labels``, ``imagesTr`` and ``labelsTr``, ``imagesTs``."""
    folders = sorted(folder for folder in root.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    masks = {part: folder for folder in folders if (part := mask_part(folder.name)) is not None}
    pairs = []
    for folder in folders:
        part = scan_part(folder.name)
        if part is not None:
            labels = next((masks[other] for other in alike(part) if other in masks), None)
            pairs.append(FolderPair(folder, labels, part in HELD_OUT_PARTS))
    return pairs


def _unreadable(error: OSError) -> None:
    with read_errors(error.filename):
        raise error


def up_to(root: Path, folder: Path) -> list[Path]:
    """Return a folder and those above it that lie below the root, the nearest first."""
    return [place for place in (folder, *folder.parents) if root in place.parents]
