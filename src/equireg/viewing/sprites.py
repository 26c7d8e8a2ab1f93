"""Stacks of slices as PNG sheets inside a page: many small pictures in one, within a bound."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import to_rgb
from PIL import Image

from equireg.drawing.png import picture_uri

MOST_BYTES = 8_000_000
"""Bytes that the sheets of scans may weigh in a page."""

_STEPS = ((256, 1), (64, 1), (32, 1), (32, 2), (16, 2), (16, 3), (16, 4), (8, 6), (8, 8))
"""Shades of grey and the pixels that are left out between two, from the finest on."""


@dataclass(frozen=True)
class Sheet:
    """Slices side by side in one picture, row by row."""

    png: str
    """data URI"""
    columns: int
    height: int
    """pixels of one slice"""
    width: int


@dataclass(frozen=True)
class ScanSheets:
    """Sheets of scans, and what they were reduced to for the page's sake."""

    sheets: tuple[Sheet, ...]
    shades: int
    stride: int


def scan_sheets(scans: Sequence[np.ndarray], most_bytes: int = MOST_BYTES) -> ScanSheets:
    """Draw scans as grey sheets, as fine as the bound allows.

    Args:
        scans: brightness from 0 to 1, [D, h, w] each.
        most_bytes: what all sheets may weigh together; the coarsest are taken where even these weigh more.
    """
    shades, stride = _STEPS[-1]
    sheets: tuple[Sheet, ...] = ()
    for shades, stride in _STEPS:
        sheets = tuple(_grey(scan[:, ::stride, ::stride], shades) for scan in scans)
        if sum(len(sheet.png) for sheet in sheets) <= most_bytes:
            break
    return ScanSheets(sheets, shades, stride)


def colour_sheet(indices: np.ndarray, colours: Mapping[int, str]) -> Sheet:
    """Draw indices [D, h, w] in their colours; 0 is left clear."""
    tiled, columns = _tiled(indices.astype(np.uint8))
    picture = Image.fromarray(tiled)
    palette = np.zeros((max([0, *colours]) + 1, 3), np.uint8)
    for index, colour in colours.items():
        palette[index] = np.rint(np.array(to_rgb(colour)) * 255)
    picture.putpalette(palette.ravel().tolist())
    clear = bytes([0, *[255] * (len(palette) - 1)])
    return Sheet(picture_uri(picture, transparency=clear), columns, *indices.shape[1:])


def _grey(scan: np.ndarray, shades: int) -> Sheet:
    levels = np.rint(np.rint(np.clip(scan, 0, 1) * (shades - 1)) * (255 / (shades - 1))).astype(np.uint8)
    tiled, columns = _tiled(levels)
    return Sheet(picture_uri(Image.fromarray(tiled)), columns, *scan.shape[1:])


def _tiled(stack: np.ndarray) -> tuple[np.ndarray, int]:
    """Lay the slices of [D, h, w] out row by row, about as wide as high; return the sheet and its columns."""
    depth, height, width = stack.shape
    columns = min(depth, max(1, round(math.sqrt(depth * height / width))))
    rows = math.ceil(depth / columns)
    sheet = np.zeros((rows, columns, height, width), np.uint8)
    sheet.reshape(-1, height, width)[:depth] = stack
    return sheet.transpose(0, 2, 1, 3).reshape(rows * height, columns * width), columns
