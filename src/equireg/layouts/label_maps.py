"""Whether files hold label maps or scans, told by their voxels."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from equireg.errors import EquiregError
from equireg.imaging.formats import read_header
from equireg.imaging.labels import distinct
from equireg.imaging.limits import LIMITS
from equireg.imaging.masks import read_label_values
from equireg.imaging.pictures import CHANNELS, is_picture, picture_slabs

_MOST_VALUES = 256
_LEAST_VOXELS = 512
_BACKGROUND = 0.3
"""Fraction of voxels that are 0, at least."""
_PATCHES = 0.5
"""Fraction of neighbours inside that are equal, at least; noise leaves scans few."""
_COLOURS = 16
_COVER = 0.9
"""Fraction of the pixels inside that so many colours have, at least: smooth edges add others, a photograph has more."""
_OPENED = 3
"""Files of a name that are opened; an empty one says nothing."""


def hold_labels(files: Sequence[Path], *, any_background: bool = False) -> bool:
    """Whether the first files hold labels, all but those that are empty; most of pictures, as edges may be smooth."""
    opened = files[:_OPENED]
    found = [holds_labels(file, any_background=any_background) for file in opened]
    odd = found.count(False)
    return found.count(True) > odd and (odd == 0 or all(map(is_picture, opened)))


def hold_scans(files: Sequence[Path]) -> bool:
    """Whether no file of the first holds labels, and one at least is no empty mask."""
    found = [holds_labels(file, any_background=True) for file in files[:_OPENED]]
    return False in found and True not in found


def holds_labels(path: Path, *, any_background: bool = False) -> bool | None:
    """Whether a file's voxels are whole numbers, few different ones, in patches, on a background.

    Args:
        path: the file.
        any_background: whether the background may be another number than 0: the most frequent one.

    Returns:
        None where nothing tells: every voxel is background, which is an empty mask or no scan, there are few voxels,
        or the file cannot be read.
    """
    if not path.exists():  # a link to nothing
        return None
    state = path.stat()
    return _judged(path, state.st_size, state.st_mtime_ns, any_background)


@cache
def _judged(path: Path, size: int, time: int, any_background: bool) -> bool | None:
    """Judge a file in the state of that size and time; one without whole numbers holds no labels."""
    try:
        header = read_header(path)
    except EquiregError:
        return None
    try:
        coloured = header.channels == len(CHANNELS) and is_picture(path)
        if header.scale is not None or (header.channels != 1 and not coloured):
            return False
        values = _colours(path) if coloured else read_label_values(path)[0]
    except (EquiregError, ValueError):
        return False
    background = _most_frequent(values) if any_background else 0
    if values.size < _LEAST_VOXELS or (values == background).all():
        return None
    if not (_few_colours(values) if coloured else _few_values(values)):
        return False
    first, second = values[:-1], values[1:]
    inside = (first != background) | (second != background)
    return bool(np.mean(values == background) > _BACKGROUND and np.mean(first[inside] == second[inside]) > _PATCHES)


def _most_frequent(values: np.ndarray) -> int:
    found, counts = np.unique(values, return_counts=True)
    return int(found[counts.argmax()])


def _colours(path: Path) -> np.ndarray:
    """Return a number for the colour of each pixel of a picture, [X, Y, 1]; black is 0."""
    with picture_slabs(path, LIMITS) as (_, slabs):
        red, green, blue = next(iter(slabs)).values.astype(np.int32)
    return red << 16 | green << 8 | blue


def _few_values(values: np.ndarray) -> bool:
    different = len(distinct(values))
    return different <= _MOST_VALUES and different**2 <= values.size


def _few_colours(colours: np.ndarray) -> bool:
    counts = np.sort(np.unique(colours[colours != 0], return_counts=True)[1])[::-1]
    return bool(counts[:_COLOURS].sum() >= _COVER * counts.sum())
