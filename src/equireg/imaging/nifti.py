"""NIfTI files, read slice by slice: no header is believed before it is checked against the file's length.

nibabel is imported where it is used: with what it imports it takes a third of a second, and training needs none of it.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from equireg.errors import EquiregError
from equireg.imaging.header import Header, Slab, slabs_of, three_axes
from equireg.imaging.limits import Limits, check_ratio, check_size
from equireg.imaging.placing import place
from equireg.imaging.streams import GzipStream, PlainStream

_SIZES = {348: "Nifti1Header", 540: "Nifti2Header"}
"""Bytes of a header, which are its first number too, and nibabel's class."""
_FARTHEST = 2**26
"""Bytes after which the voxels of a file must have begun."""
_SURFACES = range(3000, 3100)
"""Intents of CIFTI files, which hold no voxels in a row."""


def read_nifti_header(path: Path, limits: Limits) -> Header:
    """Read what a NIfTI file says of its voxels, and check it against the file's length."""
    with _opened(path, limits) as (header, _):
        return header


@contextmanager
def nifti_slabs(path: Path, limits: Limits) -> Iterator[tuple[Header, Iterator[Slab]]]:
    """Open a NIfTI file; give its header, and its stored numbers some slices at a time.

    Whoever takes all slabs has read the file to its end, with its checksum.
    """
    with _opened(path, limits) as (header, stream):
        check_ratio(path, header.bytes, path.stat().st_size, limits)
        yield header, _slabs(stream, header)


def _slabs(stream: PlainStream | GzipStream, header: Header) -> Iterator[Slab]:
    yield from slabs_of(stream.read, header)
    stream.finish()


@contextmanager
def _opened(path: Path, limits: Limits) -> Iterator[tuple[Header, PlainStream | GzipStream]]:
    """Open a file at its first voxel, with its header checked."""
    with path.open("rb") as file:
        size = path.stat().st_size
        stream = GzipStream(file, size) if path.name.lower().endswith(".gz") else PlainStream(file, size)
        yield _header(path, stream, limits), stream


def _header(path: Path, stream: PlainStream | GzipStream, limits: Limits) -> Header:
    """Read the header, check it, and go to the first voxel."""
    import nibabel as nib
    from nibabel.spatialimages import HeaderDataError

    raw = stream.read(4)
    sizes = {int.from_bytes(raw, order): order for order in ("little", "big")}
    length = next((size for size in _SIZES if size in sizes), None)
    if length is None:
        raise ValueError("it does not begin with a NIfTI header")
    raw += stream.read(length - 4)
    nifti = getattr(nib, _SIZES[length])(raw, "<" if sizes[length] == "little" else ">", check=False)
    sizes_mm = nifti["pixdim"][1:4]
    signs = np.where(sizes_mm < 0, -1.0, 1.0)
    sizes_mm *= signs
    mended = _mended(nifti)
    if not nifti["magic"].item().startswith(b"n+"):
        raise ValueError("its voxels lie in another file (.hdr and .img)")
    dtype = nifti.get_data_dtype()
    if int(nifti["intent_code"]) in _SURFACES:
        raise EquiregError(f"{path}: is a CIFTI file of surfaces; expected an image of voxels.")
    if dtype.kind not in "buif":
        raise EquiregError(
            f"{path}: has voxels of type {dtype}; expected plain numbers. Save it as one grey value a voxel and "
            "channel."
        )
    sizes_of_axes = tuple(int(size) for size in nifti.get_data_shape())
    shape, channels = three_axes(path, sizes_of_axes)
    offset = int(nifti.get_data_offset())
    if not length <= offset <= min(_FARTHEST, stream.capacity):
        raise ValueError(f"its header says that its voxels begin at byte {offset}")
    check_size(path, sizes_of_axes, dtype.itemsize, stream.capacity - offset, limits)
    try:
        slope, inter = nifti.get_slope_inter()
    except HeaderDataError as error:
        raise EquiregError(
            f"{path}: has an intensity scale with the slope {nifti['scl_slope']} and the intercept "
            f"{nifti['scl_inter']}; expected finite numbers. Set scl_inter to 0 in its header."
        ) from error
    placed = place(nifti, shape, signs)
    stream.skip(offset - length)
    scale = None if slope is None or inter is None or (slope, inter) == (1.0, 0.0) else (slope, inter)
    flat = len(sizes_of_axes) == 2
    remark = "; ".join(filter(None, (placed.remark, *mended))) or None
    return Header(shape, channels, placed.affine, dtype, scale, placed.other, placed.stated, remark, flat)


def _mended(nifti: Any) -> list[str]:
    """Let nibabel correct what it can of a header; return what it says of that, which it would write on the screen."""
    said: list[str] = []
    logger = logging.Logger("header", logging.WARNING)
    logger.addFilter(lambda record: said.append(record.getMessage()) is not None)  # kept, and not written
    nifti.check_fix(logger)
    return [f"its header is corrected: {message}" for message in said]
