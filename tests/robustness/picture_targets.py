"""Kinds of pictures: scans, and masks by grey values, by a palette and in colour."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from equireg.imaging.colours import ColourTable
from equireg.imaging.limits import LIMITS, Limits
from fuzz import Subject, Target
from mutations import Rng, damaged_bytes, flipped_bit
from pictures_made_up import PALETTE, disc, photo

_MASK = disc((24, 20), 6, (11.0, 9.0))
_COLOURS = ColourTable((((0, 0, 0), 0), ((200, 30, 30), 1), ((30, 200, 30), 2)))


def damaged_picture(content: bytes, rng: Rng) -> bytes:
    """Flip one bit, or change bytes of the header or anywhere."""
    way = rng.random()
    return flipped_bit(content, rng) if way < 0.3 else damaged_bytes(content, rng, head=80 if way < 0.7 else 10**6)


def _picture(name: str, picture: Image.Image, *, mask: bool = False, limits: Limits = LIMITS, **options: Any) -> Target:
    made = io.BytesIO()
    ending = Path(name).suffix
    picture.save(made, Image.registered_extensions()[ending], **options)

    def make(folder: Path) -> Subject:
        from equireg.imaging.volume import read_geometry, read_image, read_label

        path = folder / name
        path.write_bytes(made.getvalue())

        def read() -> Any:
            geometry, _ = read_geometry(path, limits)
            if mask:
                return [read_label(path, geometry, limits), geometry.affine_array]
            image, again = read_image([path], limits=limits)
            if again != geometry or image.shape[1:] != geometry.shape:
                raise AssertionError("two readings of one file differ")
            return [image, geometry.affine_array]

        return Subject(path, damaged_picture, read)

    return Target(make, sealed=name.endswith(".png"))


def _in_palette() -> Image.Image:
    picture = Image.fromarray(_MASK)
    picture.putpalette(PALETTE)
    return picture


_GREY = Image.fromarray(photo(_MASK, colour=False))
_COLOUR = Image.fromarray(photo(_MASK))
_BLACK_AND_WHITE = Image.fromarray(_MASK * np.uint8(255))
_TABLE = Limits(colours=_COLOURS)

KINDS: dict[str, Target] = {
    "picture.png": _picture("picture.png", _COLOUR),
    "picture.png, 16 bits": _picture("grey.png", Image.fromarray(photo(_MASK, colour=False).astype(np.uint16) * 200)),
    "picture.jpg": _picture("picture.jpg", _COLOUR, quality=90),
    "picture.tif": _picture("picture.tif", _COLOUR),
    "picture.tif, packed": _picture("packed.tif", _GREY, compression="tiff_adobe_deflate"),
    "picture.tif, LZW": _picture("lzw.tif", _GREY, compression="tiff_lzw"),
    "picture.bmp": _picture("picture.bmp", _COLOUR),
    "picture.webp": _picture("picture.webp", _COLOUR, lossless=True),
    "picture mask.png": _picture("mask.png", _in_palette(), mask=True),
    "picture mask.png, colours": _picture("mask.png", _in_palette().convert("RGB"), mask=True, limits=_TABLE),
    "picture mask.jpg": _picture("mask.jpg", _BLACK_AND_WHITE, mask=True, quality=95),
    "picture mask.tif": _picture("mask.tif", _in_palette(), mask=True, limits=_TABLE),
    "picture mask.bmp": _picture("mask.bmp", _in_palette(), mask=True, limits=_TABLE),
}
"""Name of a kind of picture to how it is made, damaged and read."""
