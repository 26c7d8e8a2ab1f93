"""Whether files hold label maps or scans, told by their voxels."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np

from equireg.errors import EquiregError
from equireg.imaging.formats import open_slabs, read_header, scaled
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
_FEW = 16
"""Values that no scan is limited to, at most."""
_PLATEAU = 0.2
"""Part of what is no background that one value has in a picture of labels with smooth or lossy edges, at least."""
_OPENED = 3
"""Files of a name that are opened; an empty one says nothing."""


def hold_labels(files: Sequence[Path], *, any_background: bool = False) -> bool:
    """Whether the first files hold labels, all but those that are empty; most of pictures, as edges may be smooth."""
    opened = files[:_OPENED]
    found = [holds_labels(file, any_background=any_background) for file in opened]
    odd = found.count(False)
    return found.count(True) > odd and (odd == 0 or all(map(is_picture, opened)))


def hold_scans(files: Sequence[Path]) -> bool:
    """Whether no file of the first holds labels, and most of those that are no empty masks show a scan."""
    opened = files[:_OPENED]
    found = [holds_labels(file, any_background=True) for file in opened]
    looks = [_look_of(file) for file, labels in zip(opened, found, strict=True) if labels is False]
    return True not in found and 2 * looks.count("scan") > len(looks)


def are_label_maps(files: Sequence[Path]) -> bool:
    """Whether all of some files that are opened hold labels, but for empty ones; of pictures, those of few values.

    Grey pictures have few values anyway, and the dark ones a background.
    """
    found = False
    for file in files[:: max(1, math.ceil(len(files) / _OPENED))]:
        labels = holds_labels(file)
        if labels is False or (labels and is_picture(file) and _look_of(file) != "few"):
            return False
        found = found or labels is True
    return found


def show_no_labels(files: Sequence[Path]) -> bool:
    """Whether the first files hold no labels, and more different values than masks of dots, lines, or of nothing."""
    few = all(_look_of(file) == "few" for file in files[:_OPENED])
    return not few and not hold_labels(files, any_background=True)


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


def _look_of(path: Path) -> Literal["few", "unclear", "scan"]:
    """Return what the values of a file that ``holds_labels`` does not see labels in look like.

    Labels in dots and thin lines have few values. Fractions from 0 to 1, patches, and a picture with smooth or lossy
    edges may be labels too. A file that cannot be read is unclear.
    """
    try:
        state = path.stat()
        return _looked_at(path, state.st_size, state.st_mtime_ns)
    except (OSError, EquiregError, ValueError):
        return "unclear"


@cache
def _looked_at(path: Path, size: int, time: int) -> Literal["few", "unclear", "scan"]:
    found: set[float] = set()
    inside = equal = 0
    low, high, plateau = math.inf, -math.inf, 0.0
    with open_slabs(path, replace(LIMITS, max_ratio=math.inf)) as (header, slabs):
        coloured = header.channels == len(CHANNELS) and is_picture(path)
        if header.channels != 1 and not coloured:
            return "scan"
        for slab in slabs:
            values = _one_number(slab.values) if coloured else slab.values[0]
            different, counts = np.unique(values, return_counts=True)
            if len(found) <= _FEW:
                found.update(different.tolist())
            ends = scaled(different[[0, -1]], header)
            low, high = min(low, float(ends.min())), max(high, float(ends.max()))
            background = different[counts.argmax()]
            pairs = (values[:-1] != background) | (values[1:] != background)
            inside += int(np.count_nonzero(pairs))
            equal += int(np.count_nonzero(pairs & (values[:-1] == values[1:])))
            most = np.sort(counts)[::-1]
            plateau = float(most[1] / most[1:].sum()) if len(most) > 1 else 0.0
    if len(found) <= _FEW:
        return "few"
    fractions = low >= 0 and high <= 1
    smooth = is_picture(path) and plateau >= _PLATEAU
    return "unclear" if fractions or smooth or equal > _PATCHES * inside else "scan"


def _most_frequent(values: np.ndarray) -> int:
    found, counts = np.unique(values, return_counts=True)
    return int(found[counts.argmax()])


def _colours(path: Path) -> np.ndarray:
    """Return a number for the colour of each pixel of a picture, [X, Y, 1]; black is 0."""
    with picture_slabs(path, LIMITS) as (_, slabs):
        return _one_number(next(iter(slabs)).values)


def _one_number(colours: np.ndarray) -> np.ndarray:
    red, green, blue = colours.astype(np.int32)
    return red << 16 | green << 8 | blue


def _few_values(values: np.ndarray) -> bool:
    different = len(distinct(values))
    return different <= _MOST_VALUES and different**2 <= values.size


def _few_colours(colours: np.ndarray) -> bool:
    counts = np.sort(np.unique(colours[colours != 0], return_counts=True)[1])[::-1]
    return bool(counts[:_COLOURS].sum() >= _COVER * counts.sum())
