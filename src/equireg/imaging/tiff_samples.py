"""TIFF files whose numbers Pillow does not read, drops or changes: what they hold, from their tags."""

import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from equireg.errors import EquiregError

_BITS, _PHOTOMETRIC, _SAMPLES, _FORMAT = 258, 262, 277, 339
_KINDS = {1: "whole numbers", 2: "whole numbers with a sign", 3: "floats"}
_EXPECTED = (
    "expected grey of 8 or 16 bits or in floats of 32 bits, or red, green and blue of 8 bits each. Save it as one of "
    "these; channels of another kind as a grey file each (CASE_0000.tif, CASE_0001.tif)."
)


def check_kind(path: Path) -> None:
    """Refuse a TIFF that Pillow does not open for the kind of its numbers; nothing is said of other files.

    Raises:
        EquiregError: if it is one.
    """
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            head = file.read(8)
            tags = ImageFileDirectory_v2(head + file.read(8) if b"+" in head[2:4] else head)  # BigTIFF has 16 bytes
            file.seek(tags.next)
            tags.load(file)
            bits, samples, kind = tuple(tags.get(_BITS, ())), tags.get(_SAMPLES, 1), tags.get(_FORMAT, (1,))[0]
    except (SyntaxError, struct.error, ValueError, TypeError, KeyError, IndexError, OverflowError, OSError):
        return
    usual = samples in (1, 3) and set(bits) == {8} and kind == 1  # so it is damaged
    if bits and not usual:
        what = f"{samples} samples a pixel, {_KINDS.get(kind, 'numbers')} of {max(bits)} bits"
        raise EquiregError(f"{path}: is a TIFF of {what}; {_EXPECTED}")


def check_samples(path: Path, picture: Image.Image) -> None:
    """Refuse an open TIFF whose second sample would be dropped.

    Raises:
        EquiregError: if it is one.
    """
    if picture.mode in ("L", "P") and _tags(picture).get(_SAMPLES, 1) == 2:
        raise EquiregError(f"{path}: is a TIFF of 2 samples a pixel, of which one would be lost; {_EXPECTED}")


def check_sign(path: Path, picture: Image.Image) -> None:
    """Refuse a decoded TIFF with numbers that changed their sign: large ones without, or negative ones of 8 bits.

    Raises:
        EquiregError: if there are such.
    """
    tags = _tags(picture)
    signed = tags.get(_FORMAT, (1,))[0] == 2
    if tags and picture.mode == "I" and not signed and np.asarray(picture).min() < 0:
        raise EquiregError(f"{path}: is a TIFF with numbers above {2**31 - 1}; expected smaller ones. Renumber them.")
    if picture.mode == "L" and signed and np.asarray(picture).max() > np.iinfo(np.int8).max:
        raise EquiregError(f"{path}: is a TIFF with negative numbers of 8 bits; expected 16 bits for them. Save it so.")


def is_white_zero(picture: Image.Image) -> bool:
    """Whether 0 is white in a picture of 16 bits, which Pillow turns round in 8 bits alone."""
    return picture.mode.startswith("I;16") and _tags(picture).get(_PHOTOMETRIC) == 0


def _tags(picture: Image.Image) -> Any:
    return getattr(picture, "tag_v2", {})
