"""Image files to plain arrays: NIfTI and pictures in this process, MetaImage and NRRD by a process of ITK's own.

Nothing here judges what a file holds beyond being an image; ``volume`` and ``masks`` do.
"""

import unicodedata
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equireg.disk import read_errors
from equireg.errors import EquiregError
from equireg.imaging.header import Header, Slab
from equireg.imaging.itk import itk_slabs, read_itk_header
from equireg.imaging.itk_readers import ReaderError
from equireg.imaging.limits import LIMITS, Limits
from equireg.imaging.nifti import nifti_slabs, read_nifti_header
from equireg.imaging.pictures import PICTURE_ENDINGS, is_picture, picture_slabs, read_picture_header
from equireg.imaging.reader_process import last_line

VOLUMES = (".nii", ".nii.gz", ".mha", ".mhd", ".nrrd", ".nhdr")
"""Endings of files that hold a volume, in lower case."""
EXTENSIONS = (*VOLUMES, *PICTURE_ENDINGS)
"""Endings of the files that equireg reads, in lower case."""

_ReadHeader = Callable[[Path, Limits], Header]
_OpenSlabs = Callable[[Path, Limits], AbstractContextManager[tuple[Header, Iterator[Slab]]]]

_LINK = "is a link to a file that is not there. Fetch it (`datalad get`, `git annex get`), or remove the link."
_LFS = b"version https://git-lfs"
_POINTER = "holds the place of a file that Git LFS keeps, not the file itself. Fetch it by `git lfs pull`."
_UNREADABLE = (OSError, EOFError, ValueError, OverflowError, RuntimeError, zlib.error, ReaderError)
"""What readers raise, beside nibabel's own errors."""


@dataclass
class Channel:
    """What was seen of one channel while it was read."""

    low: float = np.inf
    high: float = -np.inf
    bad: int = 0
    """Voxels that are NaN or infinite."""

    def add(self, values: np.ndarray) -> None:
        """Take in some values."""
        if not values.size:
            return
        low, high = float(values.min()), float(values.max())
        self.low, self.high = min(self.low, low), max(self.high, high)
        if not np.isfinite([low, high]).all():
            self.bad += values.size - int(np.count_nonzero(np.isfinite(values)))


def not_finite(path: Path, bad: int, voxels: int, which: str = "") -> EquiregError:
    """Return what to say of a file with voxels that are no numbers; ``which``: its channel, with a blank behind."""
    return EquiregError(
        f"{path}: {which}has {bad} voxels that are NaN or infinite, of {voxels}; expected numbers only. Replace them, "
        "for example by the background's value."
    )


def extension_of(path: Path | str) -> str | None:
    """Return the ending of an image file as it stands in ``EXTENSIONS``, or None for another kind of file."""
    name = Path(path).name.lower()
    return next((ending for ending in sorted(EXTENSIONS, key=len, reverse=True) if name.endswith(ending)), None)


def composed(name: str) -> str:
    """Return the name of a case with its letters composed, by which it is known everywhere.

    macOS writes "ü" as two characters and others as one: a scan, its mask and a table may come from both.
    """
    return unicodedata.normalize("NFC", name)


def read_header(path: Path, limits: Limits = LIMITS) -> Header:
    """Read what a file says of its voxels, without the voxels; checked against the file's length.

    Raises:
        EquiregError: if the file is missing, cut short, not an image, or claims more than it can hold.
    """
    with readable(path):
        read, _ = _readers(path)
        return read(path, limits)


def read_voxels(
    path: Path, picks: Sequence[int] | None = None, into: np.ndarray | None = None, limits: Limits = LIMITS
) -> tuple[np.ndarray, Header, list[Channel]]:
    """Read the voxels of a file, a few slices at a time: beside the result it needs little memory.

    Args:
        path: the file.
        picks: channels to keep, in this order; None keeps all as they are.
        into: array [C, X, Y, Z] float32 to write to; None makes a new one.
        limits: what the file may claim.

    Returns:
        Voxels [C, X, Y, Z] float32 along the file's own axes, any intensity scaling applied; the header; and what was
        seen of each of these channels.

    Raises:
        EquiregError: if the file is missing, damaged, not an image, or claims more than it can hold.
    """
    with open_slabs(path, limits) as (header, slabs), np.errstate(over="ignore", invalid="ignore"):
        kept = list(range(header.channels) if picks is None else picks)
        shape = (len(kept), *header.shape)
        voxels = np.empty(shape, dtype=np.float32) if into is None else into
        if voxels.shape != shape:
            raise ValueError(f"it has the shape {shape}, not {voxels.shape} as when its header was read")
        seen = [Channel() for _ in kept]
        for slab in slabs:
            for index, channel in enumerate(kept):
                if slab.channels.start <= channel < slab.channels.stop:
                    part = voxels[index, :, :, slab.slices]
                    part[...] = scaled(slab.values[channel - slab.channels.start], header)
                    seen[index].add(part)
    return voxels, header, seen


def scaled(values: np.ndarray, header: Header) -> np.ndarray:
    """Apply a file's intensity scale to stored numbers, if it has one."""
    if header.scale is None:
        return values
    from nibabel.volumeutils import apply_read_scaling

    return apply_read_scaling(values, *header.scale)


@contextmanager
def open_slabs(path: Path, limits: Limits = LIMITS) -> Iterator[tuple[Header, Iterator[Slab]]]:
    """Open an image; give its header, and its stored numbers some slices at a time.

    Raises:
        EquiregError: if the file is missing, damaged, not an image, or claims more than it can hold.
    """
    with readable(path):
        _, opened = _readers(path)
        with opened(path, limits) as (header, slabs):
            yield header, slabs


def _readers(path: Path) -> tuple[_ReadHeader, _OpenSlabs]:
    if is_picture(path):
        return read_picture_header, picture_slabs
    if extension_of(path) in (".nii", ".nii.gz"):
        return read_nifti_header, nifti_slabs
    return read_itk_header, itk_slabs


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn whatever a reader raises into one error that names the file."""
    with read_errors(path):
        if not path.exists():
            raise EquiregError(f"{path}: {_LINK if path.is_symlink() else 'no such file. Check the path.'}")
        if not path.is_file():
            raise EquiregError(f"{path}: is no file; expected an image file ({', '.join(EXTENSIONS)}), not a folder.")
        if extension_of(path) is None:
            raise EquiregError(f"{path}: is not a known kind of image; expected one of {', '.join(EXTENSIONS)}.")
    try:
        with read_errors(path):
            yield
    except MemoryError as error:
        raise EquiregError(
            f"{path}: does not fit into this machine's memory. Lower --jobs, or use a machine with more memory."
        ) from error
    except _unreadable() as error:
        if _is_pointer(path):
            raise EquiregError(f"{path}: {_POINTER}") from error
        raise EquiregError(
            f"{path}: cannot be read as an image, it is cut short, damaged or of another format "
            f"({last_line(error).rstrip('.')}). Copy it again from its source, or remove it."
        ) from error


def _is_pointer(path: Path) -> bool:
    """Whether a file holds the place of one that Git LFS keeps."""
    try:
        with path.open("rb") as file:
            return file.read(len(_LFS)) == _LFS
    except OSError:
        return False


def _unreadable() -> tuple[type[Exception], ...]:
    """Return what readers raise."""
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError
    from nibabel.wrapstruct import WrapStructError

    return (*_UNREADABLE, ImageFileError, HeaderDataError, WrapStructError)
