"""MetaImage and NRRD files: the header is checked here, the voxels come from a process of ITK's own.

Those of a packed MetaImage are unpacked here. ITK unpacks as many bytes as ``CompressedDataSize`` says, and one gzip
member alone; of voxels beyond it leaves whatever the memory held.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from equireg.errors import EquiregError
from equireg.imaging.header import Header, Slab, slabs_of, three_axes
from equireg.imaging.itk_readers import reading
from equireg.imaging.limits import Limits, check_ratio, check_size
from equireg.imaging.placing import LPS_TO_RAS
from equireg.imaging.streams import GzipStream
from equireg.imaging.text_headers import TextHeader, read_text_header

_BYTES_A_SECOND = 10e6
_UNITS = {
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), "metres"),
    **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre", "centimetres"), "centimetres"),
    **dict.fromkeys(("um", "\u00b5m", "\u03bcm", "\ufffdm", "micron", "microns"), "micrometres"),
    **dict.fromkeys(("micrometer", "micrometers", "micrometre", "micrometres"), "micrometres"),
    **dict.fromkeys(("nm", "nanometer", "nanometers", "nanometre", "nanometres"), "nanometres"),
}
"""Units of lengths other than mm by their words in headers."""


def read_itk_header(path: Path, limits: Limits) -> Header:
    """Read what a file says of its voxels, and check it against the file's length."""
    claimed = _checked(path, limits)
    with reading(_request(path, claimed, voxels=False), limits.seconds) as (answer, _):
        return _header(path, answer, claimed)


@contextmanager
def itk_slabs(path: Path, limits: Limits) -> Iterator[tuple[Header, Iterator[Slab]]]:
    """Open a file; give its header, and its numbers some slices at a time."""
    claimed = _checked(path, limits)
    if claimed.packing == "zlib":
        check_ratio(path, claimed.bytes, claimed.data.stat().st_size, limits)
        _check_sum(claimed)
        if claimed.dtype:
            yield from _packed_meta(path, claimed, limits)
            return
    seconds = limits.seconds + claimed.bytes / _BYTES_A_SECOND
    with reading(_request(path, claimed, voxels=True), seconds) as (answer, reader):
        header = _header(path, answer, claimed)
        yield header, slabs_of(reader.read, header, vector=int(answer["components"]) > 1)


def _packed_meta(path: Path, claimed: TextHeader, limits: Limits) -> Iterator[tuple[Header, Iterator[Slab]]]:
    with reading(_request(path, claimed, voxels=False), limits.seconds) as (answer, _):
        header = replace(_header(path, answer, claimed), dtype=np.dtype(claimed.dtype))
    with claimed.data.open("rb") as file:
        yield header, slabs_of(_unpacked(file, claimed).read, header, vector=int(answer["components"]) > 1)


def _checked(path: Path, limits: Limits) -> TextHeader:
    claimed = read_text_header(path)
    check_size(path, claimed.sizes, claimed.voxel_bytes, claimed.capacity(), limits)
    if claimed.packing == "bzip2":
        raise EquiregError(
            f"{path}: is packed by bzip2, which is not read; expected raw or gzip. Save it as one of these."
        )
    if claimed.dtype and claimed.packing == "text" and not _ends_in_blank(claimed.data):
        raise EquiregError(
            f"{path}: holds its voxels as text that ends within a line; expected a line end, without which the last "
            "number is not read. Add it, or save the file in binary."
        )
    return claimed


def _ends_in_blank(file: Path) -> bool:
    with file.open("rb") as content:
        content.seek(-1, os.SEEK_END)
        return content.read(1).isspace()


def _check_sum(claimed: TextHeader) -> None:
    """Decompress once to see whether the checksum fits: ITK does not look at it."""
    with claimed.data.open("rb") as file:
        stream = _unpacked(file, claimed)
        stream.skip(claimed.bytes)
        stream.finish()


def _unpacked(file: BinaryIO, claimed: TextHeader) -> GzipStream:
    file.seek(claimed.offset)
    return GzipStream(file, claimed.data.stat().st_size, zlib_too=True)


def _request(path: Path, claimed: TextHeader, *, voxels: bool) -> dict[str, Any]:
    # ITK holds the packed bytes, the unpacked ones, and once more what it converts.
    memory = 3 * claimed.bytes + claimed.data.stat().st_size if voxels else 0
    kind = "MetaImageIO" if claimed.dtype else "NrrdImageIO"
    return {"path": str(path.absolute()), "io": kind, "voxels": voxels, "memory": memory}


def _header(path: Path, answer: dict[str, Any], claimed: TextHeader) -> Header:
    """Bring ITK's spacing, direction and origin (LPS) to one affine (RAS)."""
    sizes = tuple(int(size) for size in answer["size"])
    dimension, components = len(sizes), int(answer["components"])
    if int(np.prod([*sizes, components], dtype=object)) > int(np.prod(claimed.sizes, dtype=object)):
        raise ValueError("its header can be read in two ways")
    shape, channels = three_axes(path, sizes)
    if components > 1 and channels > 1:
        raise EquiregError(
            f"{path}: has {components} values a voxel and a fourth axis of {channels}; expected channels "
            "in one of them."
        )
    used = min(dimension, 3)
    direction = np.array(answer["direction"], dtype=np.float64).reshape(dimension, dimension)[:used, :used]
    affine = np.eye(4)
    with np.errstate(all="ignore"):
        affine[:used, :used] = direction * np.array(answer["spacing"][:used])
        affine[:used, 3] = answer["origin"][:used]
        affine = LPS_TO_RAS @ affine
    dtype = np.dtype(answer.get("dtype", "f4"))
    remark = _remark(claimed.units)
    return Header(shape, max(components, channels), affine, dtype, remark=remark, flat=dimension == 2)


def _remark(units: Sequence[str]) -> str | None:
    """Return what is odd about units of lengths: no other reader follows them, so masks are drawn without them."""
    found = sorted({_UNITS[unit.strip().lower()] for unit in units if unit.strip().lower() in _UNITS})
    if not found:
        return None
    return (
        f"its header gives lengths in {' and '.join(found)}, but they count as mm, as in 3D Slicer and ITK, so sizes "
        "and distances are wrong; give them in mm in the headers of scans and masks"
    )
