"""Whether a file's place makes sense, and whether two files lie in the same one."""

import logging
from functools import lru_cache
from pathlib import Path

from equireg.errors import EquiregError
from equireg.imaging.geometry import Geometry
from equireg.imaging.header import Header
from equireg.imaging.limits import LIMITS, Limits, check_spacing
from equireg.imaging.placing import SAME_MM, spans_space

log = logging.getLogger("equireg")

TOLERANCE_MM = SAME_MM
"""How far apart the same corner of two files may lie while they count as one geometry."""


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
    geometry = Geometry.from_array(header.shape, affine, header.other, header.stated)
    check_spacing(path, geometry.spacing_mm, limits)
    if header.remark is not None:
        warn_once(f"{path}: {header.remark}.")
    return geometry


@lru_cache(maxsize=4096)
def warn_once(message: str) -> None:
    """Log a warning; a file's header is read several times in one verb."""
    log.warning("%s", message)


def check_same(path: Path, found: Geometry, expected: Geometry, what: str, remedy: str = "") -> None:
    """Refuse a file that lies elsewhere than ``what``.

    Args:
        path: the file.
        found: its geometry.
        expected: that of ``what``.
        what: the other file, in words.
        remedy: how to mend it; by default to resample, or to correct the header.

    Raises:
        EquiregError: if shapes differ, or corners lie farther apart than ``TOLERANCE_MM``.
    """
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
