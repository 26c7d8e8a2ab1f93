"""Whether a file's place makes sense, and whether two files lie in the same one."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equireg.errors import EquiregError
from equireg.imaging.geometry import Geometry
from equireg.imaging.header import Header
from equireg.imaging.limits import LIMITS, Limits, check_spacing
from equireg.imaging.pictures import is_picture
from equireg.imaging.placing import SAME_MM, spans_space
from equireg.imaging.turning import UNTURNED, Fit, Turn, axis_codes, closest, fits, limit_mm, part_of

log = logging.getLogger("equireg")
_headers = logging.getLogger("equireg.headers")
"""Remarks on headers; worker processes are silent about them, because whoever listed the files has read the headers."""

_FINE_MM = 0.01
"""Spacing below which a header may well be in metres without saying so."""
_NO_COPY = "A copied header would mirror or turn it."
_CROPPED = (
    "Its voxels lie on the same grid, of which it covers another part: save it over the whole of it, in 3D Slicer by "
    "an export with the scan as reference volume."
)
_NUMBER = re.compile(r"\d[\d.e+-]*")


@dataclass(frozen=True)
class _Remark:
    """What is unusual about a file that can be used."""

    kind: str
    """Remarks of one kind are told in one line."""
    words: str
    level: int = logging.WARNING
    off_mm: float = 0.0
    """How far the file lies beside its scan; the farthest is named first."""


_told: set[tuple[Path, str]] = set()
"""Files with the kinds of remarks on them that this process has made; a header is read several times in one verb."""
_warned: set[object] = set()
"""Kinds of warnings that this process has made."""
_gathered: ContextVar[dict[str, dict[Path, _Remark]] | None] = ContextVar("gathered", default=None)
"""Kind of remark to files, each with its own; None: told as they come."""


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
        check_spacing(path, geometry.spacing_mm, geometry.shape, limits)
        finest = min(geometry.spacing_mm)
        if finest < _FINE_MM:
            words = f"has a voxel spacing of {finest:g} mm, as of microscopy; else correct the unit in its header"
            _tell(path, _Remark("fine", words))
    if header.remark is not None:
        _tell(path, _Remark(_NUMBER.sub("", header.remark), header.remark))
    return geometry


@contextmanager
def one_line_a_remark() -> Iterator[None]:
    """Gather the remarks on the headers that are read within the block; tell each kind once at its end."""
    gathered: dict[str, dict[Path, _Remark]] = {}
    token = _gathered.set(gathered)
    try:
        yield
    finally:
        _gathered.reset(token)
        for files in gathered.values():
            (path, remark), *others = sorted(files.items(), key=lambda item: -item[1].off_mm)
            some = ", ".join(str(other) for other, _ in others[:2])
            same = "The same holds, by at most that distance," if remark.off_mm else "The same holds"
            more = f" {same} of {len(others)} more files, such as {some}." if others else ""
            _headers.log(remark.level, "%s: %s.%s", path, remark.words, more)


def _tell(path: Path, remark: _Remark) -> None:
    """Tell what is unusual in a file's header, once."""
    if (path, remark.kind) in _told:
        return
    _told.add((path, remark.kind))
    gathered = _gathered.get()
    if gathered is None:
        _headers.log(remark.level, "%s: %s.", path, remark.words)
    else:
        gathered.setdefault(remark.kind, {})[path] = remark


def warn_once(message: str, kind: object = None) -> None:
    """Log a warning once for each ``kind``, by default for each message: a file is read several times in one verb."""
    told = message if kind is None else kind
    if told not in _warned:
        _warned.add(told)
        log.warning("%s", message)


def find_turn(
    path: Path, found: Geometry, expected: Geometry, what: str, remedy: str = "", told_of: Path | None = None
) -> Turn:
    """Return what turns a file's array to the axes of ``what``; refuse a file that lies elsewhere.

    A file that covers the same voxels along exchanged or flipped axes is turned. One whose corners lie less than a
    quarter of a voxel beside those of ``what`` counts as rounded: it is taken voxel by voxel. Both are told. A picture
    says nothing of its place, so its size is enough; so it is for a volume that lies as a picture of 1 mm a pixel
    does, where ``what`` lies as a picture.

    Args:
        path: the file.
        found: its geometry.
        expected: that of ``what``.
        what: the other file, in words.
        remedy: how to mend it; by default to resample, or to correct the header.
        told_of: the file or folder that is named where something is told; None: the file itself.

    Raises:
        EquiregError: if shapes differ, corners lie farther apart, or a header with two places leaves open how it is
            to be turned.
    """
    if is_picture(path):
        _check_same_size(path, found, expected, what)
        return UNTURNED
    if found.shape == expected.shape and _pixel_mm(expected) and _pixel_mm(found) == 1:
        return UNTURNED  # drawn on a picture by a program that knows no --pixel_mm
    several = fits(found, expected)
    if len(several) != 1:
        raise _elsewhere(path, found, expected, what, remedy, several)
    (fit,) = several
    _tell_fit(told_of or path, found, expected, what, fit)
    return fit.turn


def _pixel_mm(geometry: Geometry) -> float | None:
    """Return how wide a pixel is, to a nanometre, where a file lies as pictures do; else None."""
    width = -geometry.affine[0][0]
    flat = geometry.shape[2] == 1 and width > 0
    lies_so = np.allclose(geometry.affine_array, np.diag([-width, -width, 1.0, 1.0]), rtol=1e-5, atol=1e-6)
    return round(width, 6) if flat and lies_so else None


def _tell_fit(path: Path, found: Geometry, expected: Geometry, what: str, fit: Fit) -> None:
    """Tell that a file is turned, and that it lies a little beside ``what``."""
    if fit.turn != UNTURNED:
        words = (
            f"is stored along other axes ({axis_codes(found)}) than {what} ({axis_codes(expected)}); it is turned to "
            "these without resampling"
        )
        _tell(path, _Remark("turned", words, logging.INFO))
    if fit.off_mm > SAME_MM:
        words = (
            f"lies up to {fit.off_mm:.3g} mm beside {what}, less than a quarter of a voxel, as where a header is "
            f"rounded; it is taken voxel by voxel, and the header of {what} counts"
        )
        _tell(path, _Remark("rounded", words, off_mm=fit.off_mm))


def _elsewhere(
    path: Path, found: Geometry, expected: Geometry, what: str, remedy: str, several: list[Fit]
) -> EquiregError:
    """Return why a file does not lie on the grid of ``what``; ``several`` are the turns that would fit."""
    if several:
        return EquiregError(
            f"{path}: fits {what} in {len(several)} ways, as a header says of two places (qform and sform) where the "
            f"voxels lie; expected one. {remedy or 'Correct the header, so that both say the same.'}"
        )
    limit = limit_mm(expected)
    allowed = f"less than {limit:.4g} mm, a quarter of a voxel" if limit > SAME_MM else f"at most {limit:g} mm"
    ours, theirs, nearest = axis_codes(found), axis_codes(expected), closest(found, expected)
    if nearest is not None and ours != theirs == axis_codes(nearest.turn.geometry(found)):
        return EquiregError(
            f"{path}: has another affine than {what}: its axes run to {ours} and not to {theirs}, and corners lie up "
            f"to {nearest.off_mm:.4g} mm apart once they are turned; expected {allowed}. "
            f"{remedy or f'Resample it to that grid. {_NO_COPY}'}"
        )
    if found.shape != expected.shape:
        advice = _CROPPED if part_of(found, expected) is not None else "Resample it to that grid."
        return EquiregError(
            f"{path}: has the shape {found.shape}; expected {expected.shape} as {what} has. {remedy or advice}"
        )
    advice = "Resample it to that grid, or copy the header if only that is wrong."
    advice = advice if ours == theirs else f"Resample it to that grid. {_NO_COPY}"
    width = _pixel_mm(expected)
    if width not in (None, 1):
        advice = f"Save it with pixels of {width:g} mm (--pixel_mm) or of 1 mm, or as PNG, where size alone counts."
    return EquiregError(
        f"{path}: has another affine than {what}: corners lie up to {found.corner_distance_mm(expected):.4g} mm apart; "
        f"expected {allowed}. {remedy or advice}"
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
