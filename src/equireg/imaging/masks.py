"""Reading masks: label values exactly as they are meant, in the smallest integer type."""

import math
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from equireg.errors import EquiregError
from equireg.imaging.alignment import find_turn, geometry_of, warn_once
from equireg.imaging.dicom.masks import read_mask
from equireg.imaging.formats import not_finite, open_slabs, read_header, readable, scaled
from equireg.imaging.geometry import Geometry
from equireg.imaging.header import Header, Slab
from equireg.imaging.labels import distinct, smallest_integer
from equireg.imaging.limits import LIMITS, Limits
from equireg.imaging.picture_masks import read_picture_mask
from equireg.imaging.pictures import is_picture
from equireg.imaging.segments import by_numbers, place_in, renumbered, stated_names
from equireg.imaging.turning import UNTURNED

_TOLERANCE = 1e-3
"""Distance from a whole number that counts as rounding, where the mask is stored as floats or with a scale."""
_WITH_SCALE = 0.02
"""The most that counts as rounding where a scale is so wide that whole numbers lie between its steps."""
_FLOAT32 = 2.0**-21
"""The same, relative to the value: a scale is stored with 24 bits."""
_MOST_STORED = 256
"""Distinct stored numbers up to which a mask with an odd scale is still taken for labels."""

_SHOWN = 5
"""Stored numbers that a warning names."""
_SCAN = "its scan"


def read_label_values(path: Path, limits: Limits = LIMITS) -> tuple[np.ndarray, Header]:
    """Read the label values of a mask, of any sign.

    Integers are read as they are, and so exactly, whatever their size. Floats must be whole numbers. With an intensity
    scale the values after the scale count if they are whole, as other readers show them; else the stored integers do.
    Both are logged. Of pictures ``read_picture_mask`` says what counts.

    Args:
        path: the mask's file.
        limits: what the file may claim; any compression is fine, as a mask of one value shrinks a thousand times.

    Returns:
        Label values [X, Y, Z] in the smallest integer type, and the header.

    Raises:
        EquiregError: if the file is unreadable or holds no labels.
    """
    if is_picture(path):
        with readable(path):
            return read_picture_mask(path, limits)
    mask = _read(path, limits, use_scale=True)
    if mask.header.scale is None:
        if mask.bad or mask.off:
            raise mask.fault()
        return mask.values, mask.header
    slope, inter = mask.header.scale
    about = f"{path}: the mask has an intensity scale (stored number x {slope:.8g} + {inter:.8g})"
    if not mask.bad and not mask.off:
        rounded = f", rounded to whole numbers (by {mask.farthest:.2g} at most)" if mask.farthest > 0 else ""
        warn_once(f"{about}; the values after the scale are used{rounded}. Save masks as plain integers.")
        return mask.values, mask.header
    if mask.header.dtype.kind not in "iub":
        raise mask.fault()
    stored = _read(path, limits, use_scale=False)
    ids = distinct(stored.values)
    if len(ids) > _MOST_STORED:
        raise mask.fault()
    warn_once(
        f"{about}, which gives values that are not whole, such as {mask.example:.10g}; the stored ids "
        f"{', '.join(map(str, ids[:_SHOWN]))}{', ...' * (len(ids) > _SHOWN)} are used without it. Save masks as plain "
        "integers."
    )
    return stored.values, stored.header


def read_label(
    path: Path | str, expected: Geometry, limits: Limits = LIMITS, told_of: Path | None = None
) -> np.ndarray:
    """Read the mask of a scan; one that is stored along other axes is turned to those of the scan.

    Args:
        path: the mask's file.
        expected: geometry of the scan that it belongs to.
        limits: what the file may claim.
        told_of: the folder that is named in place of the file where it is told that it was turned or is rounded.

    Returns:
        Label values [X, Y, Z] along the scan's axes, in the smallest integer type.

    Raises:
        EquiregError: if the file is unreadable, lies elsewhere than the scan, or holds no labels.
    """
    path = Path(path)
    values, header = read_label_values(path, limits)
    found = geometry_of(path, header, limits)
    place = place_in(path, found, expected)
    if place is None:
        values = find_turn(path, found, expected, _SCAN, told_of=told_of).copied_to_scan(values)
    else:
        part, values = values[place[0]], np.zeros(expected.shape, dtype=values.dtype)
        values[place[1]] = part
    by_colours = is_picture(path) and limits.colours is not None
    values = renumbered(values, path, limits.segments) if limits.segments and not by_colours else values
    if values.min() < 0:
        raise EquiregError(
            f"{path}: is a mask with the negative value {int(values.min())}; expected label values from "
            "0 on. Give those voxels a label of their own."
        )
    return values


@dataclass(frozen=True)
class MaskFiles:
    """The mask of one scan as it lies on disk: a file, or a folder with a file a class."""

    path: Path
    parts: tuple[tuple[int, Path], ...] = ()
    """Label value and file of each class, where ``path`` is a folder."""
    limits: Limits = LIMITS
    """What the files may claim."""
    more: tuple[Path, ...] = ()
    """Further masks of the same scan, which are united with the first: of each pixel the higher value counts."""
    segments: tuple[tuple[int, int], ...] = ()
    """Number and label value of each segment, where ``path`` is a DICOM-SEG or an RTSTRUCT."""
    grid: Geometry | None = None
    """Where the scan of a DICOM mask lies, which alone has no grid of its own."""
    numbers: tuple[tuple[int, int], ...] = ()
    """Label value in the files, and the one that it has elsewhere; none where all stay as they are."""

    @property
    def files(self) -> tuple[Path, ...]:
        """All files of the mask."""
        return tuple(path for _, path in self.parts) or (self.path, *self.more)

    def lists(self, values: Collection[int]) -> bool:
        """Whether the mask says anything of some labels: a DICOM mask that lists none of them does not."""
        numbers = dict(self.numbers)
        return self.grid is None or any(numbers.get(value, value) in values for _, value in self.segments)

    def read_geometry(self) -> Geometry:
        """Read from a header where the voxels lie, as ``volume.read_geometry`` does."""
        if self.grid is not None:
            return self.grid
        path = self.files[0]
        return geometry_of(path, read_header(path, self.limits), self.limits)

    def read(self, expected: Geometry) -> np.ndarray:
        """Read the label values [X, Y, Z] of a mask that lies as ``expected`` says, of an integer type.

        Where the masks of two classes overlap, the class of the higher value counts. Segments that a file names have
        the values of their names already.

        Raises:
            EquiregError: as ``read_label`` does, or for a value that ``numbers`` lacks.
        """
        values = self._read(expected)
        if not self.numbers or stated_names(self.path):
            return values
        found, numbers = distinct(values), dict(self.numbers)
        if unknown := sorted(set(found) - set(numbers)):
            raise EquiregError(f"{self.path}: has the label values {unknown}; expected some of {sorted(numbers)}.")
        return by_numbers(values, {value: numbers[value] for value in found})

    def _read(self, expected: Geometry) -> np.ndarray:
        """Read the label values as the files have them."""
        if self.grid is not None:
            turn = find_turn(self.path, self.grid, expected, "the scan that it is compared with")
            grid = replace(expected, slices=self.grid.slices) if turn == UNTURNED else self.grid
            return turn.copied_to_scan(read_mask(self.path, dict(self.segments), grid, self.limits))
        if not self.parts:
            first, *others = (read_label(path, expected, self.limits, self.path) for path in self.files)
            return first if not others else np.maximum.reduce([first, *others])
        values = np.zeros(expected.shape, dtype=np.uint8)
        for value, path in sorted(self.parts):
            values[read_label(path, expected, self.limits, self.path) != 0] = value
        return values

    def compare_headers(self, expected: Geometry) -> None:
        """Tell, from headers alone, whether the mask's files will be turned to the scan's axes, or are rounded.

        What does not fit is left to ``read``, which refuses it.
        """
        for path in self.files if self.grid is None else ():
            with suppress(EquiregError):
                found = geometry_of(path, read_header(path, self.limits), self.limits)
                if place_in(path, found, expected) is None:
                    find_turn(path, found, expected, _SCAN, told_of=self.path)

    def __str__(self) -> str:
        return str(self.path)


class _Mask:
    """A mask that grows slab by slab, and with it its type."""

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        self.header = header
        self.values = np.zeros(header.shape, dtype=np.uint8)
        self.low = self.high = 0
        self.bad = 0
        """Voxels that are NaN or infinite."""
        self.off = 0
        """Voxels that are no whole number."""
        self.farthest = 0.0
        self.example: Any = None
        self.fractions: set[float] = set()
        """Values that are no whole numbers, as far as they are few."""
        self.whole = False
        """Whether some are, and not 0."""

    def put(self, slab: Slab, values: np.ndarray) -> None:
        """Write a slab's values."""
        if values.dtype.kind == "f":
            values = self._whole(values)
        low, high = min(self.low, int(values.min())), max(self.high, int(values.max()))
        needed = smallest_integer(low, high)
        if needed != self.values.dtype:
            self.values = self.values.astype(needed)
        self.low, self.high = low, high
        self.values[:, :, slab.slices] = values

    def fault(self) -> EquiregError:
        """Return what is wrong with the values, where some are ``bad`` or ``off``."""
        if self.bad:
            return not_finite(self.path, self.bad, self.values.size)
        return EquiregError(
            f"{self.path}: is a mask with values that are not whole numbers, such as {self.example:.10g} "
            f"({self.off} voxels); expected label values. {self._scaled() or 'Resample masks with nearest neighbour.'}"
        )

    def _scaled(self) -> str | None:
        """Say that the labels were scaled, where all values but 0 are multiples of the least; None where they are not.

        Where a mask was interpolated, most voxels keep their labels, or values are many.
        """
        found = np.abs(sorted(self.fractions, key=abs))
        times = found / found[0] if len(found) else found
        if self.whole or not 0 < len(found) < _MOST_STORED or np.abs(times - np.rint(times)).max() > _WITH_SCALE:
            return None
        return (
            f"All are multiples of {found[0]:.6g}, as of labels that were divided, such as by 255: multiply them to "
            "whole numbers, and save these as integers."
        )

    def _whole(self, values: np.ndarray) -> np.ndarray:
        """Return whole numbers as integers; count what is none."""
        finite = np.isfinite(values)
        if not finite.all():
            self.bad += values.size - int(np.count_nonzero(finite))
            values = np.where(finite, values, 0)
        rounded = np.rint(values)
        distance = np.abs(values - rounded)
        self.farthest = max(self.farthest, float(distance.max()))
        off = distance > self._allowed(np.abs(rounded))
        if off.any():
            self.off += int(np.count_nonzero(off))
            self.example = values[off][0] if self.example is None else self.example
            if len(self.fractions) < _MOST_STORED:
                self.fractions.update(np.unique(values[off]).tolist())
        self.whole = self.whole or bool(rounded[~off].any())
        highest = float(np.abs(rounded).max())
        exact = 2.0 ** (np.finfo(values.dtype).nmant + 1)
        if highest > min(exact, 2.0**62):
            raise EquiregError(
                f"{self.path}: is a mask of {values.dtype.name} with the value {highest:.0f}; floats of that type hold "
                f"whole numbers apart only up to {min(exact, 2.0**62):.0f}. Save it with an integer type."
            )
        return rounded.astype(np.int64)

    def _allowed(self, rounded: np.ndarray) -> np.ndarray | float:
        """Return how far values may lie from whole numbers; with a scale half a step of it, a little more for floats.

        Labels that were scaled to fill a type lie within half a step. An id that means itself lies a whole step off.
        """
        if self.header.scale is None:
            return _TOLERANCE
        half_a_step = min(0.51 * abs(self.header.scale[0]), _WITH_SCALE)
        return np.maximum(rounded * _FLOAT32, max(_TOLERANCE, half_a_step))


def _read(path: Path, limits: Limits, *, use_scale: bool) -> _Mask:
    with open_slabs(path, replace(limits, max_ratio=math.inf)) as (header, slabs), np.errstate(all="ignore"):
        if header.channels != 1:
            raise EquiregError(
                f"{path}: is a mask with {header.channels} channels; expected one label value a voxel. Merge the "
                "channels."
            )
        mask = _Mask(path, header)
        for slab in slabs:
            values = slab.values[0]
            mask.put(slab, scaled(values, header) if use_scale else values)
    return mask
