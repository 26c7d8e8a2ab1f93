"""Pictures (PNG, JPEG, TIFF, BMP, WebP) as scans: one grey channel, or red, green and blue.

A picture is an array [X, Y, 1]: X along its rows from left to right, Y from top to bottom. It says nothing of its
place, so it is given one: the left of the picture is the patient's right, its top is anterior, as radiologists see an
axial slice, and as ITK reads pictures. Its pixels are ``limits.pixel_mm`` wide; tags of resolution are not looked at,
because they mostly are those of a printer.
"""

import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, ImagePalette, UnidentifiedImageError

from equireg.errors import EquiregError
from equireg.imaging import tiff_samples
from equireg.imaging.header import Header, Slab
from equireg.imaging.limits import PACKED, Limits

PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
"""Endings of pictures, in lower case."""
CHANNELS = ("red", "green", "blue")
"""Names of the channels of a picture in colour."""

_FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "DIB", "WEBP")
_GREY = {"1": "u1", "L": "u1", "LA": "u1", "La": "u1", "I": "i4", "F": "f4"}
"""Pillow's modes of one channel, and the type of their numbers; those of 16 bits are ``I;16`` and the like."""
_COLOUR = ("P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "YCbCr")
_ORIENTATION, _TURNED = 0x0112, (5, 6, 7, 8)
"""EXIF's tag, and its values that exchange rows and columns."""
_DAMAGED = (SyntaxError, struct.error, KeyError, TypeError, IndexError, AttributeError, AssertionError, EOFError)
"""What Pillow raises of damaged files, beside what other readers raise."""


def is_picture(path: Path | str) -> bool:
    """Whether a file's ending is that of a picture."""
    return Path(path).name.lower().endswith(PICTURE_ENDINGS)


def read_picture_header(path: Path, limits: Limits) -> Header:
    """Read what a picture says of its pixels, without decoding them."""
    with open_picture(path, limits) as picture:
        return header_of(path, picture, limits)


@contextmanager
def picture_slabs(path: Path, limits: Limits) -> Iterator[tuple[Header, Iterator[Slab]]]:
    """Open a picture; give its header, and its numbers in one piece."""
    with open_picture(path, limits) as picture:
        yield header_of(path, picture, limits), _slabs(path, picture)


@contextmanager
def open_picture(path: Path, limits: Limits) -> Iterator[Image.Image]:
    """Open a picture whose header is within the limits and which is one still picture; nothing is decoded yet.

    Raises:
        EquiregError: if it claims too much, or holds several pages or frames.
        ValueError: if it is damaged.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on tags, and a size that is checked below
            with Image.open(path, formats=_FORMATS) as picture:
                _check_size(path, picture, limits)
                _check_frames(path, picture)
                if picture.format == "TIFF":
                    picture.filename = ""  # else Pillow maps a file that is to be turned by its turned size
                    tiff_samples.in_native_order(picture)
                if picture.format == "BMP":
                    _keep_palette(path, picture)
                if is_deep_grey(path):
                    # The four bytes of a pixel come as they are stored.
                    picture.tile = [(*picture.tile[0][:3], "RGBA")]  # pyright: ignore[reportAttributeAccessIssue]
                yield picture
    except Image.DecompressionBombError as error:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise EquiregError(
            f"{path}: its header claims more than {most} pixels; expected fewer in one picture. The header is damaged, "
            "or the picture has to be cut into tiles."
        ) from error
    except UnidentifiedImageError as error:
        tiff_samples.check_kind(path)
        raise ValueError("it is no PNG, JPEG, TIFF, BMP or WebP file") from error
    except _DAMAGED as error:
        raise ValueError(str(error) or type(error).__name__) from error


def header_of(path: Path, picture: Image.Image, limits: Limits) -> Header:
    """Return what an open picture says of its pixels, as they are after its orientation is applied."""
    tiff_samples.check_samples(path, picture)
    channels, kind = _samples(path, picture)
    width, height = _size(picture)  # of a PNG it decodes the pixels, after which nothing says how they are stored
    affine = np.diag([-limits.pixel_mm, -limits.pixel_mm, 1.0, 1.0])
    return Header((width, height, 1), channels, affine, np.dtype(kind))


def upright(path: Path, picture: Image.Image) -> Image.Image:
    """Decode a picture, turned as its EXIF orientation says; refuse one that decoding changed."""
    if picture.format == "PNG":
        _check_sums(picture)
    picture.load()
    tiff_samples.check_sign(path, picture)
    tiff_samples.check_fourth(path, picture)
    return ImageOps.exif_transpose(picture)


def is_grey(path: Path, limits: Limits) -> bool:
    """Whether a picture in colour shows grey alone: its three channels are the same."""
    with picture_slabs(path, limits) as (_, slabs):
        return all(bool((slab.values == slab.values[:1]).all()) for slab in slabs)


def is_deep_grey(path: Path) -> bool:
    """Whether a picture is a PNG of grey and transparency of 16 bits each, which Pillow would cut to 8 bits."""
    with path.open("rb") as file:
        head = file.read(26)
    return head.startswith(b"\x89PNG") and head[24:] == bytes((16, 4))


def bits_of(picture: Image.Image) -> int:
    """Return the bits of a pixel of grey: 1, 2 or 4, which Pillow spreads from 0 to 255, else 8; before it decodes."""
    if picture.mode == "1":
        return 1
    return next((int(name[2]) for name in _raw_modes(picture) if name[:3] in ("L;2", "L;4")), 8)


def without_alpha(path: Path, picture: Image.Image) -> Image.Image:
    """Drop the channel of transparency; refuse a picture with a pixel that is not opaque."""
    if is_deep_grey(path):
        grey, alpha = np.moveaxis(np.asarray(picture).view(">u2"), -1, 0)
        _refuse_clear(path, alpha < np.iinfo(np.uint16).max)
        return Image.fromarray(grey.astype(np.uint16))
    if picture.mode.startswith("I;16") and "transparency" in picture.info:
        _refuse_clear(path, np.asarray(picture) == picture.info["transparency"])
    elif "transparency" in picture.info:
        picture = picture.convert("LA" if picture.mode in ("1", "L") else "RGBA")
    if picture.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        _refuse_clear(path, np.asarray(picture.convert("RGBA").getchannel("A")) < 255)
        picture = picture.convert("L" if picture.mode in ("LA", "La") else "RGB")
    return picture


def _refuse_clear(path: Path, clear: np.ndarray) -> None:
    if clear.any():
        raise EquiregError(
            f"{path}: has {np.count_nonzero(clear)} pixels that are transparent, of {clear.size}; expected opaque "
            "ones, as nobody can say what is behind them. Save it without transparency (alpha)."
        )


def _slabs(path: Path, picture: Image.Image) -> Iterator[Slab]:
    opaque = without_alpha(path, upright(path, picture))
    if opaque.mode == "1":
        opaque = opaque.convert("L")
    elif opaque.mode in _COLOUR:
        opaque = opaque.convert("RGB")
    values = np.asarray(opaque)
    if tiff_samples.is_white_zero(picture):
        values = np.iinfo(np.uint16).max - values
    values = values[..., None] if values.ndim == 2 else values
    yield Slab(slice(0, values.shape[-1]), slice(0, 1), values.transpose(2, 1, 0)[..., None])


def _samples(path: Path, picture: Image.Image) -> tuple[int, str]:
    """Return how many channels a picture has as a scan, and the type of its numbers."""
    mode = picture.mode
    if is_deep_grey(path):
        return 1, "u2"
    if mode in _GREY:
        return 1, _GREY[mode]
    if mode.startswith("I;16"):
        return 1, "u2"
    if mode not in _COLOUR:
        raise EquiregError(
            f"{path}: is a picture with the colours {mode}; expected grey, or red, green and blue. Save it as RGB."
        )
    if any(";16" in name for name in _raw_modes(picture)):
        raise EquiregError(
            f"{path}: is a picture in colour of 16 bits a channel; expected 8 bits in colour, or 16 in grey. Save it "
            "with 8 bits a channel."
        )
    return 3, "u1"


def _raw_modes(picture: Image.Image) -> list[str]:
    """Return Pillow's names of how pixels are stored; none once they are decoded."""
    tiles = (tile[3] for tile in getattr(picture, "tile", ()) if tile[3])
    return [str(stored if isinstance(stored, str) else stored[0]) for stored in tiles]


def _size(picture: Image.Image) -> tuple[int, int]:
    """Return columns and rows as they are after the orientation is applied."""
    if picture.format == "TIFF":  # versions of Pillow differ in whether they apply it themselves
        tags = getattr(picture, "tag_v2", {})
        width, height, turned = tags.get(256, picture.width), tags.get(257, picture.height), tags.get(_ORIENTATION)
    else:
        width, height, turned = picture.width, picture.height, picture.getexif().get(_ORIENTATION)
    return (int(height), int(width)) if turned in _TURNED else (int(width), int(height))


def _check_size(path: Path, picture: Image.Image, limits: Limits) -> None:
    """Refuse a header that claims more than is sane, or than deflate can pack into the file."""
    width, height = picture.size
    values = width * height * len(picture.getbands())
    bits = 1 if picture.mode in ("1", "P") else 8
    packed = picture.format == "PNG" and values * bits // 8 > path.stat().st_size * PACKED
    if values > limits.max_voxels or packed:
        most = f"at most {limits.max_voxels} values in all" if not packed else "what the file can hold"
        raise EquiregError(
            f"{path}: its header claims {width} x {height} pixels; expected {most}. The header is damaged, or the "
            "picture has to be cut into tiles."
        )


def _check_frames(path: Path, picture: Image.Image) -> None:
    """Refuse what is not one still picture; what cameras add to a JPEG (MPO) is a preview."""
    frames = int(getattr(picture, "n_frames", 1))
    if frames == 1 or picture.format == "MPO":
        return
    if picture.format == "TIFF" and tiff_samples.has_copies_alone(picture, frames):
        return
    if picture.format == "TIFF":
        raise EquiregError(
            f"{path}: holds {frames} pages; expected one picture a file, as nobody says whether pages are slices, "
            "times or channels. Save each page as a file, or slices as one volume (.nii.gz, .nrrd)."
        )
    raise EquiregError(f"{path}: is a moving picture of {frames} frames; expected a still one. Save each as a file.")


def _keep_palette(path: Path, picture: Image.Image) -> None:
    """Read a BMP by its palette where Pillow takes its indices for grey, and so for another number of bits."""
    with path.open("rb") as file:
        head = file.read(30)
    bits = int.from_bytes(head[24:26] if head[14] == 12 else head[28:30], "little")
    (decoder, extents, offset, (name, *rest)), *_ = picture.tile  # pyright: ignore[reportAttributeAccessIssue]
    if decoder == "raw" and {"1": 1, "L": 8}.get(name, bits) != bits:
        grey = (0, 255) if name == "1" else range(2**bits)
        picture.palette = ImagePalette.raw("RGB", bytes(value for value in grey for _ in range(3)))
        picture._mode = "P"
        stored = ("P" if bits == 8 else f"P;{bits}", *rest)
        picture.tile = [(decoder, extents, offset, stored)]  # pyright: ignore[reportAttributeAccessIssue]


def _check_sums(picture: Image.Image) -> None:
    """Check the checksums of a PNG file, which Pillow passes over as it decodes."""
    with Image.open(picture.filename, formats=("PNG",)) as again:  # pyright: ignore[reportAttributeAccessIssue]
        again.verify()
