"""Pictures as masks: by the values of a grey one, the index of a palette, or colours that a table explains."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageOps

from equireg.errors import EquiregError, some_of
from equireg.imaging import tiff_samples
from equireg.imaging.alignment import warn_once
from equireg.imaging.colours import RGB, ColourTable, hex_of
from equireg.imaging.grey import EDGES, NEAR, was_lossy
from equireg.imaging.header import Header
from equireg.imaging.labels import in_smallest_type
from equireg.imaging.limits import Limits
from equireg.imaging.pictures import bits_of, header_of, is_deep_grey, open_picture, upright, without_alpha
from equireg.imaging.smooth_edges import settled

Look = Literal["grey", "palette", "rgb"]

_TINT = 24
"""Differences of red, green and blue that JPEG's compression may make of grey."""
_WHITE = 255
_SHOWN = 4
_MOST_COLOURS = 256
"""Colours beyond which a picture is no mask."""


@dataclass(frozen=True)
class MaskLook:
    """How a mask is stored."""

    look: Look
    palette: tuple[RGB, ...] = ()
    """Colour of each label value, where there is a palette."""


def look_of(path: Path, limits: Limits) -> MaskLook:
    """Return how a picture of a mask is stored, from its header."""
    with open_picture(path, limits) as picture:
        if picture.mode != "P":
            coloured = picture.mode in ("RGB", "RGBA", "YCbCr") and not is_deep_grey(path)
            return MaskLook("rgb" if coloured else "grey")
        palette = _palette(picture)
        if _is_white_first(palette):
            palette = palette[::-1]
        return MaskLook("palette", palette)


def read_picture_mask(path: Path, limits: Limits) -> tuple[np.ndarray, Header]:
    """Read the label values of a mask that is a picture.

    Grey values and the indices of a palette are label values, as they are; in a palette of white first and black, black
    is 0 and white 1. Grey of 1, 2 or 4 bits a pixel counts as seen, up to 255, unless the labels of ``limits.segments``
    are the numbers stored; a lossy picture in black and white counts as 0 and 255. Grey
    values of a TIFF whose 0 is white are those stored. With a table of colours (``limits.colours``), palettes and
    colours are read by it, and grey values too where it lists them all as colours. Pixels of smooth edges count as what
    is beside them, in colour and in black and white.

    Returns:
        Label values [X, Y, 1] in the smallest integer type, and the header.

    Raises:
        EquiregError: if a colour is in no table, values are fractions, or lossy compression has changed them.
        ValueError: if the file is damaged.
    """
    with open_picture(path, limits) as picture:
        bits = bits_of(picture)
        header = header_of(path, picture, limits)
        lossy = _is_lossy(path, picture)
        turned = upright(path, picture)
        if turned.mode == "P":
            values = _of_palette(path, turned, limits.colours)
        else:
            opaque = without_alpha(path, turned)
            if tiff_samples.is_turned_round(picture):
                opaque = _as_stored(path, opaque)
            values = _of_pixels(path, opaque, limits.colours, lossy=lossy)
    if bits < 8 and limits.colours is None:
        values = _as_declared(path, values, bits, limits)
    return np.ascontiguousarray(in_smallest_type(values).T)[..., None], header


def _as_stored(path: Path, picture: Image.Image) -> Image.Image:
    """Return the stored numbers of a TIFF whose 0 is white."""
    warn_once(
        f"{path.parent}: TIFF files such as {path.name} say that 0 is white (ImageJ's inverting LUT does so); in masks "
        "their stored numbers count, 0 as black and the background. --colours FILE tells it otherwise.",
        kind=(path.parent, "white zero"),
    )
    return ImageOps.invert(picture)


def _of_palette(path: Path, picture: Image.Image, table: ColourTable | None) -> np.ndarray:
    index = np.asarray(picture)
    palette = _palette(picture)
    if table is None and _is_white_first(palette):
        warn_once(
            f"{path.parent}: masks have a palette of black and white with white first; black counts as the background, "
            "the value 0, and white as 1. --colours FILE tells it otherwise."
        )
        return 1 - index
    if table is None:
        return index
    found = {int(value): palette[value] if value < len(palette) else (0, 0, 0) for value in np.unique(index)}
    known = table.value_of()
    _refuse_unknown(path, [colour for colour in found.values() if colour not in known])
    values = np.zeros(256, dtype=np.int64)
    for place, colour in found.items():
        values[place] = known[colour]
    return values[index]


def _of_pixels(path: Path, picture: Image.Image, table: ColourTable | None, *, lossy: bool) -> np.ndarray:
    pixels = np.asarray(picture.convert("RGB") if picture.mode in ("YCbCr", "RGBX") else picture)
    if pixels.dtype == bool:
        pixels = pixels * np.uint8(255)
    if pixels.ndim == 3 and lossy:
        pixels = _grey_of_lossy(path, pixels)
    elif pixels.ndim == 3 and (pixels == pixels[..., :1]).all():
        pixels = pixels[..., 0]
    if pixels.ndim == 3:
        return _of_colours(path, pixels, table)
    grey = _black_and_white(path, pixels) if lossy else _whole(path, pixels)
    return _without_blends(path, grey) if table is None else _of_grey(path, grey, table)


def _as_declared(path: Path, values: np.ndarray, bits: int, limits: Limits) -> np.ndarray:
    """Return the stored numbers of grey of few bits where the labels are known and have these, else values as seen."""
    step = _WHITE // (2**bits - 1)
    declared = {value for _, value in limits.segments}
    seen = {int(value) for value in np.unique(values)} - {0}
    if declared & {value // step for value in seen} and not declared & seen:
        return values // step
    if bits > 1 and seen and not declared:
        warn_once(
            f"{path.parent}: masks such as {path.name} are grey of {bits} bits a pixel; they count as seen, so that a "
            f"stored 1 is the value {step}. If the stored numbers are the labels, declare them in dataset.json, or "
            "save the masks with 8 bits.",
            kind=(path.parent, "few bits"),
        )
    return values


def _of_colours(path: Path, pixels: np.ndarray, table: ColourTable | None) -> np.ndarray:
    """Look colours [H, W, 3] up in a table."""
    codes = pixels.astype(np.int64) @ np.array([65536, 256, 1])
    found, places = np.unique(codes, return_inverse=True)
    colours: list[RGB] = [(int(code) >> 16, int(code) >> 8 & 255, int(code) & 255) for code in found]
    if table is None and len(colours) > _MOST_COLOURS:
        raise EquiregError(
            f"{path}: has {len(colours):,} colours, so it is a scan and no mask. Give the folder of masks; masks in "
            "colour whose edges are smooth need --colours FILE with a row of colour, value and name for each."
        )
    if table is None:
        raise EquiregError(
            f"{path}: is a mask in colour, with {_some(colours)}; expected to be told what they mean. Give --colours "
            "FILE with a row of colour, value and name for each."
        )
    known = table.value_of()
    unknown = [colour for colour in colours if colour not in known]
    index = settled(pixels, list(known)) if unknown else None
    if index is not None:
        _warn_of_edges(path)
        return np.array(list(known.values()))[index]
    _refuse_unknown(path, unknown)
    return np.array([known[colour] for colour in colours])[places].reshape(codes.shape)


def _without_blends(path: Path, grey: np.ndarray) -> np.ndarray:
    """Return black and white alone of a mask in which other values are few and lie at edges, or which was JPEG once."""
    ends = (0, 255)
    values = np.unique(grey)
    if grey.dtype != np.uint8 or len(values) <= len(ends):
        return grey
    index = settled(grey[..., None], np.array(ends)[:, None]) if np.isin(ends, values).all() else None
    if index is None:
        return _black_and_white(path, grey) if was_lossy(grey, values) else grey
    _warn_of_edges(path)
    return np.array(ends, dtype=np.uint8)[index]


def _warn_of_edges(path: Path) -> None:
    warn_once(
        f"{path.parent}: masks such as {path.name} have smooth edges (antialiasing), whose colours mean nothing; each "
        "pixel there counts as the nearest colour beside it. Masks that are saved without stay as they are.",
        kind=(path.parent, "smooth edges"),
    )


def _of_grey(path: Path, grey: np.ndarray, table: ColourTable) -> np.ndarray:
    """Read grey values as colours where the table lists them all, else as label values."""
    known = table.value_of()
    values = [int(value) for value in np.unique(grey)]
    if all((value, value, value) in known for value in values):
        result = np.zeros(grey.shape, dtype=np.int64)
        for value in values:
            result[grey == value] = known[value, value, value]
        return result
    unknown = sorted(set(values) - set(known.values()))
    if unknown:
        raise EquiregError(
            f"{path}: is a grey mask with the values {unknown[:_SHOWN]}, which are neither values nor colours of "
            "--colours. Add a row for each, or correct the mask."
        )
    return grey


def _refuse_unknown(path: Path, unknown: list[RGB]) -> None:
    if unknown:
        raise EquiregError(
            f"{path}: is a mask with {_some(unknown)} in no table of colours. Add a row for each to --colours, or "
            "correct the mask."
        )


def _grey_of_lossy(path: Path, pixels: np.ndarray) -> np.ndarray:
    """Return the grey values of a lossy picture [H, W, 3] that shows no colour."""
    tinted = np.ptp(pixels.astype(np.int16), axis=2) > _TINT
    if tinted.mean() > EDGES:
        raise EquiregError(
            f"{path}: is a mask in colour in a lossy format (JPEG), which blends colours; expected PNG. Export the "
            "masks again as PNG."
        )
    return pixels.mean(axis=2).round().astype(np.uint8)


def _black_and_white(path: Path, grey: np.ndarray) -> np.ndarray:
    """Return 0 and 255 of a lossy picture whose values lie near them."""
    if not np.isin(grey, (0, 255)).all():
        between = (grey > NEAR) & (grey < 255 - NEAR)
        if between.mean() > EDGES or grey.max() < 255 - NEAR:
            raise EquiregError(
                f"{path}: is a mask in a lossy format (JPEG) with the values {int(grey.min())} to {int(grey.max())}, "
                f"{between.mean():.0%} of them neither near 0 nor near 255; expected black and white, as compression "
                "changes all else. Export the masks again as PNG."
            )
        warn_once(
            f"{path.parent}: masks such as {path.name} are in a lossy format (JPEG), or were; values from 128 on count "
            "as 255, all others as 0. PNG keeps masks as they are.",
            kind=(path.parent, "lossy"),
        )
    return np.where(grey >= 128, np.uint8(255), np.uint8(0))


def _whole(path: Path, grey: np.ndarray) -> np.ndarray:
    if grey.dtype.kind == "f":
        if not np.isfinite(grey).all() or (grey != np.rint(grey)).any() or np.abs(grey).max() > 2**24:
            raise EquiregError(
                f"{path}: is a mask with values that are not whole numbers; expected label values. Save it with an "
                "integer type."
            )
        grey = grey.astype(np.int64)
    return grey


def is_black(colour: RGB) -> bool:
    """Whether a colour is black, or so near to it that a reduction of colours may have made it of black."""
    return max(colour) <= NEAR


def _is_white_first(palette: tuple[RGB, ...]) -> bool:
    """Whether a palette is white and black alone, in this order, as programs leave that reduce colours."""
    return len(palette) == 2 and min(palette[0]) >= 255 - NEAR and is_black(palette[1])


def _palette(picture: Image.Image) -> tuple[RGB, ...]:
    palette: Any = picture.getpalette("RGB") or []
    return tuple((palette[at], palette[at + 1], palette[at + 2]) for at in range(0, len(palette) - 2, 3))


def _is_lossy(path: Path, picture: Image.Image) -> bool:
    if picture.format == "WEBP":
        with path.open("rb") as file:
            return b"VP8L" not in file.read(128)
    return picture.format in ("JPEG", "MPO")


def _some(colours: list[RGB]) -> str:
    return f"the colour{'s' * (len(colours) > 1)} {some_of([hex_of(colour) for colour in colours], _SHOWN)}"
