"""Whether a file's place makes sense, and whether two files lie in the same one."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path

from equireg.errors import EquiregError
from equireg.imaging.geometry import Geometry
from equireg.imaging.header import Header
from equireg.imaging.limits import LIMITS, Limits, check_spacing
from equireg.imaging.pictures import is_picture
from equireg.imaging.placing import SAME_MM, spans_space

log = logging.getLogger("equireg")
_headers = logging.getLogger("equireg.headers")
"""Remarks on headers; worker processes are silent about them, because whoever listed the files has read the headers."""

TOLERANCE_MM = SAME_MM
"""How far apart the same corner of two files may lie while they count as one geometry."""
_NUMBER = re.compile(r"\d[\d.e+-]*")
_told: set[tuple[Path, str]] = set()
"""Files with the remarks on them that this process has made; a header is read several times in one verb."""
_gathered: ContextVar[dict[str, dict[Path, str]] | None] = ContextVar("gathered", default=None)
"""Kind of remark (its words without their numbers) to files, each with the whole remark; None: told as they come."""


def geometry_of(path: Path, header: Header, limits: Limits = LIMITS) -> Geometry:
    """Return the geometry of a header after a look at its affine.

    Raises:
        EquiregError: if the affine spans no space, or the spacing is beyond the limits.
    """
    affine = header.affine
    if not spans_space(affine):
        rows = "; ".join(" ".join(f"{value:g}" for value in row) for row in affine[:3])
        raise EquiregError(
            f"{path}: has the affine [{rows}], with an axis of no length or no direction; expected one "
            "that spans space. Correct the header's spacing and orientation."
        )
    geometry = Geometry.from_array(header.shape, affine, header.other, header.stated, flat=header.flat)
    if not is_picture(path):
        check_spacing(path, geometry.spacing_mm, limits)
    if header.remark is not None:
        _remark(path, header.remark)
    return geometry


@contextmanager
def one_line_a_remark() -> Iterator[None]:
    """Gather the remarks on the headers that are read within the block; tell each kind once at its end."""
    gathered: dict[str, dict[Path, str]] = {}
    token = _gathered.set(gathered)
    try:
        yield
    finally:
        _gathered.reset(token)
        for files in gathered.values():
            (path, words), *others = files.items()
            some = ", ".join(str(other) for other, _ in others[:2])
            more = f" The same holds of {len(others)} more files, such as {some}." if others else ""
            _headers.warning("%s: %s.%s", path, words, more)


def _remark(path: Path, words: str) -> None:
    """Tell what is unusual in a file's header, once."""
    if (path, words) in _told:
        return
    _told.add((path, words))
    gathered = _gathered.get()
    if gathered is None:
        _headers.warning("%s: %s.", path, words)
    else:
        gathered.setdefault(_NUMBER.sub("", words), {})[path] = words


@lru_cache(maxsize=4096)
def warn_once(message: str) -> None:
    """Log a warning; a file is read several times in one verb."""
    log.warning("%s", message)


def check_same(path: Path, found: Geometry, expected: Geometry, what: str, remedy: str = "") -> None:
    """Refuse a file that lies elsewhere than ``what``; a picture says nothing of its place, so its size is enough.

    Args:
        path: the file.
        found: its geometry.
        expected: that of ``what``.
        what: the other file, in words.
        remedy: how to mend it; by default to resample, or to correct the header.

    Raises:
        EquiregError: if shapes differ, or corners lie farther apart than ``TOLERANCE_MM``.
    """
    if is_picture(path):
        _check_same_size(path, found, expected, what)
        return
    if found.shape != expected.shape:
        raise EquiregError(
            f"{path}: has the shape {found.shape}; expected {expected.shape} as {what} has. "
            f"{remedy or 'Resample it to that grid.'}"
        )
    distance_mm = found.corner_distance_mm(expected)
    if distance_mm > TOLERANCE_MM:
        raise EquiregError(
            f"{path}: has another affine than {what}: corners lie up to {distance_mm:.4g} mm apart; expected at most "
            f"{TOLERANCE_MM:g} mm. {remedy or 'Resample it to that grid, or copy the header if only that is wrong.'}"
        )


def _check_same_size(path: Path, found: Geometry, expected: Geometry, what: str) -> None:
    """Refuse a picture of another size than ``what``."""
    if found.shape == expected.shape:
        return
    (width, height, _), (columns, rows, slices) = found.shape, expected.shape
    wanted = f"{columns} x {rows}" + (f" in {slices} slices" if slices > 1 else "")
    turned = " It looks turned by 90 degrees." if (width, height, 1) == (rows, columns, slices) else ""
    raise EquiregError(
        f"{path}: has {width} x {height} pixels; expected {wanted} as {what} has.{turned} Export it again in that size."
    )
