"""TIFF files whose numbers Pillow does not read, drops or changes: what they hold, from their tags."""

import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from equireg.errors import EquiregError

_BITS, _PHOTOMETRIC, _SAMPLES, _PLANAR, _FORMAT, _DEPTH = 258, 262, 277, 284, 339, 32997
_SUBFILE, _SMALLER = 254, 1
_OFFSETS, _TILE_OFFSETS = 273, 324
_NATIVE = {"I;16BS": "I;16NS", "I;32BS": "I;32NS", "F;32BF": "F;32NF"}
"""Pillow's names of big-endian numbers, and of those in the order of the machine."""
_KINDS = {1: "whole numbers", 2: "whole numbers with a sign", 3: "floats"}
_COLOURS = {0: "grey whose 0 is white", 1: "grey", 2: "RGB", 3: "a palette", 5: "CMYK", 6: "YCbCr", 8: "Lab"}
"""What the tag of photometric interpretation says of the samples."""
_USUAL = ((1, 0), (1, 1), (1, 3), (3, 2), (3, 6))
"""Samples a pixel, and what they are, of 8 bits each, that Pillow reads."""
_EXPECTED = (
    "expected grey of 8 or 16 bits (big-endian ones of 16 bits with black as 0) or in floats of 32 bits, or RGB of 8 "
    "bits each. Save it as one of these; channels of another kind as a grey file each (CASE_0000.tif, CASE_0001.tif)."
)


def check_kind(path: Path) -> None:
    """Refuse a TIFF that Pillow does not open for the kind of its numbers; nothing is said of other files."""
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            head = file.read(8)
            tags = ImageFileDirectory_v2(head + file.read(8) if b"+" in head[2:4] else head)  # BigTIFF has 16 bytes
            file.seek(tags.next)
            tags.load(file)
            bits, samples, kind = tuple(tags.get(_BITS, ())), tags.get(_SAMPLES, 1), tags.get(_FORMAT, (1,))[0]
            colours = tags.get(_PHOTOMETRIC, 0)
    except (SyntaxError, struct.error, ValueError, TypeError, KeyError, IndexError, OverflowError, OSError):
        return
    usual = (samples, colours) in _USUAL and set(bits) == {8} and kind == 1  # so it is damaged
    if bits and not usual:
        what = f"{samples} samples a pixel, {_KINDS.get(kind, 'numbers')} of {max(bits)} bits"
        what += f", that are {_COLOURS.get(colours, 'of other colours')}{', big-endian' * head.startswith(b'MM')}"
        raise EquiregError(f"{path}: is a TIFF of {what}; {_EXPECTED}")


def check_samples(path: Path, picture: Image.Image) -> None:
    """Refuse an open TIFF of which samples or slices would be dropped, or whose pixels are not all stored."""
    tags = _tags(picture)
    samples, depth = tags.get(_SAMPLES, 1), tags.get(_DEPTH, 1)
    if depth > 1:
        raise EquiregError(
            f"{path}: holds {depth} slices (ImageDepth), of which one would be read; expected one picture a file. Save "
            "slices as one volume (.nii.gz, .nrrd)."
        )
    if 0 in tags.get(_TILE_OFFSETS, tags.get(_OFFSETS, ())):
        raise EquiregError(
            f"{path}: has tiles or strips that are not stored (a sparse TIFF); expected all pixels. Save it without "
            "SPARSE_OK (`gdal_translate -co SPARSE_OK=FALSE`)."
        )
    if samples > len(picture.getbands()) and not _has_fourth(picture):
        raise _lost(path, samples)


def in_native_order(picture: Image.Image) -> None:
    """Have the numbers of a packed TIFF taken in the machine's order, as libtiff gives them whatever the file's is."""
    tiles: list[Any] = getattr(picture, "tile", [])
    if tiles and tiles[0][0] == "libtiff":
        *place, (name, *rest) = tiles[0]
        make = getattr(tiles[0], "_make", tuple)  # it is a plain tuple in earlier versions of Pillow
        tiles[0] = make([*place, (_NATIVE.get(name, name), *rest)])


def has_copies_alone(picture: Image.Image, frames: int) -> bool:
    """Whether all pages of a TIFF beside the first are the same in fewer pixels, as in pyramids, by their own tags."""
    pixels = picture.width * picture.height
    for page in range(1, frames):
        picture.seek(page)
        if _tags(picture).get(_SUBFILE) != _SMALLER or picture.width * picture.height >= pixels:
            return False
    picture.seek(0)
    return True


def check_fourth(path: Path, picture: Image.Image) -> None:
    """Refuse a decoded TIFF in RGB whose fourth sample shows something; one value everywhere only fills the pixels."""
    if _has_fourth(picture):
        fourth = np.frombuffer(picture.tobytes("raw", "RGBX"), np.uint8)[3::4]
        if (fourth != fourth[0]).any():
            raise _lost(path, 4)


def _has_fourth(picture: Image.Image) -> bool:
    """Whether beside RGB there is a sample of no stated meaning, which Pillow keeps out of sight."""
    tags = _tags(picture)
    return picture.mode == "RGB" and tags.get(_SAMPLES, 1) == 4 and tags.get(_PLANAR, 1) == 1


def _lost(path: Path, samples: int) -> EquiregError:
    return EquiregError(f"{path}: is a TIFF of {samples} samples a pixel, of which one would be lost; {_EXPECTED}")


def check_sign(path: Path, picture: Image.Image) -> None:
    """Refuse a decoded TIFF with numbers that changed their sign: large ones without, or negative ones of 8 bits."""
    tags = _tags(picture)
    signed = tags.get(_FORMAT, (1,))[0] == 2
    if tags and picture.mode == "I" and not signed and np.asarray(picture).min() < 0:
        raise EquiregError(f"{path}: is a TIFF with numbers above {2**31 - 1}; expected smaller ones. Renumber them.")
    if picture.mode == "L" and signed and np.asarray(picture).max() > np.iinfo(np.int8).max:
        raise EquiregError(f"{path}: is a TIFF with negative numbers of 8 bits; expected 16 bits for them. Save it so.")


def is_white_zero(picture: Image.Image) -> bool:
    """Whether 0 is white in a picture of 16 bits, which Pillow turns round in 8 bits alone."""
    return picture.mode.startswith("I;16") and _tags(picture).get(_PHOTOMETRIC) == 0


def is_turned_round(picture: Image.Image) -> bool:
    """Whether 0 is white in a picture of 8 bits, or fewer but one, so that Pillow turns its numbers round."""
    return picture.format == "TIFF" and picture.mode == "L" and _tags(picture).get(_PHOTOMETRIC, 0) == 0


def _tags(picture: Image.Image) -> Any:
    return getattr(picture, "tag_v2", {})
