"""How the array of one file is turned to the axes of another: axes are exchanged and flipped, no value changes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np

from equireg.imaging.boxes import Box
from equireg.imaging.geometry import Geometry
from equireg.imaging.placing import SAME_MM

_QUARTER_VOX = 0.25
"""How far a corner may lie beside that of the scan, of the smallest voxel side: headers are rounded by programs."""


@dataclass(frozen=True)
class Turn:
    """The way from the axes of a file to those of its scan."""

    axes: tuple[int, ...] = (0, 1, 2)
    """For each axis of the scan, the axis of the file that runs along it."""
    flips: tuple[bool, ...] = (False, False, False)
    """For each axis of the scan, whether that axis of the file runs the other way."""

    def to_scan(self, array: np.ndarray) -> np.ndarray:
        """Return an array of the file, [..., X, Y, Z], along the scan's axes: a view."""
        lead = array.ndim - 3
        return array.transpose(*range(lead), *(lead + axis for axis in self.axes))[(..., *self._slices)]

    def to_file(self, array: np.ndarray) -> np.ndarray:
        """Return an array along the scan's axes, [..., X, Y, Z], along those of the file: a view."""
        lead = array.ndim - 3
        flipped = array[(..., *self._slices)]
        return flipped.transpose(*range(lead), *(lead + self.axes.index(axis) for axis in range(3)))

    def copied_to_scan(self, array: np.ndarray) -> np.ndarray:
        """Return ``to_scan`` in memory of its own; the array itself where nothing is to be turned."""
        return array if self == UNTURNED else np.ascontiguousarray(self.to_scan(array))

    def geometry(self, found: Geometry) -> Geometry:
        """Return the geometry of the turned array: each voxel stays where it is in the patient."""
        way = np.zeros((4, 4))
        way[3, 3] = 1.0
        for place, (axis, flipped) in enumerate(zip(self.axes, self.flips, strict=True)):
            way[axis, place] = -1.0 if flipped else 1.0
            way[axis, 3] = found.shape[axis] - 1 if flipped else 0
        other = None if found.other is None else np.array(found.other) @ way
        return Geometry.from_array([found.shape[axis] for axis in self.axes], found.affine_array @ way, other)

    def moves(self, shape: Sequence[int]) -> tuple[tuple[int, int, bool], ...]:
        """Return what becomes of the axes of a file of this shape that have more than one voxel.

        It is equal for turns that do the same to an array.
        """
        return tuple(
            (place, axis, flipped)
            for place, (axis, flipped) in enumerate(zip(self.axes, self.flips, strict=True))
            if shape[axis] > 1
        )

    @property
    def _slices(self) -> tuple[slice, ...]:
        return tuple(slice(None, None, -1) if flipped else slice(None) for flipped in self.flips)


UNTURNED = Turn()


@dataclass(frozen=True)
class Fit:
    """How a file lies on the grid of its scan."""

    turn: Turn
    """What brings its array to the scan's axes."""
    off_mm: float
    """How far apart the same corner of both lies at most, once it is turned."""


def fits(found: Geometry, expected: Geometry) -> list[Fit]:
    """Return the turns that bring a file onto the grid of its scan; none or one, but for headers with two places.

    An array that lies there as it is, within ``SAME_MM``, is never turned; nor is any where a header states no place.
    """
    if found.shape == expected.shape and (off_mm := found.corner_distance_mm(expected)) <= _same_mm(expected):
        return [Fit(UNTURNED, off_mm)]
    near: dict[tuple[tuple[int, int, bool], ...], Fit] = {}
    placed = _states_a_place(found) and _states_a_place(expected)
    for fit in _all(found, expected):
        if (fit.off_mm <= _same_mm(expected) or fit.off_mm < limit_mm(expected)) and (placed or fit.turn == UNTURNED):
            near.setdefault(fit.turn.moves(found.shape), fit)
    return list(near.values())


def closest(found: Geometry, expected: Geometry) -> Fit | None:
    """Return the turn that brings a file closest to the grid of its scan; None where no turn has that shape."""
    return min(_all(found, expected), key=lambda fit: fit.off_mm, default=None)


def part_of(found: Geometry, expected: Geometry) -> tuple[Box, Box] | None:
    """Return which box of a file lies on the grid of its scan, and where there; None where its voxels lie elsewhere."""
    begin = np.linalg.solve(expected.affine_array, found.affine_array[:, 3])[:3]
    first = np.rint(begin).astype(int)
    affine = expected.affine_array.copy()
    affine[:3, 3] += affine[:3, :3] @ first
    low, high = np.maximum(first, 0), np.minimum(first + found.shape, expected.shape)
    if (low >= high).any() or found.corner_distance_mm(Geometry.from_array(found.shape, affine)) > SAME_MM:
        return None
    return _box(low - first, high - first), _box(low, high)


def _box(low: np.ndarray, high: np.ndarray) -> Box:
    return tuple(slice(start, stop) for start, stop in zip(low.tolist(), high.tolist(), strict=True))


def limit_mm(expected: Geometry) -> float:
    """Return how far apart corners may lie on the grid of a scan, mm."""
    return max(_same_mm(expected), _QUARTER_VOX * min(expected.spacing_mm))


def _same_mm(expected: Geometry) -> float:
    """Return how far apart corners of one place may lie: ``SAME_MM``, or less where voxels are far smaller."""
    return min(SAME_MM, 2 * min(expected.spacing_mm))


def axis_codes(geometry: Geometry) -> str:
    """Return where the axes run to, such as ``"RAS"``: right, anterior, superior."""
    from nibabel.orientations import aff2axcodes

    return "".join(map(str, aff2axcodes(geometry.affine_array)))


def _states_a_place(geometry: Geometry) -> bool:
    """Whether a NIfTI header says where its voxels lie; where it does not, each reader makes up another place."""
    stated = geometry.stated
    return stated is None or max(int(stated["qform_code"]), int(stated["sform_code"])) > 0


def _all(found: Geometry, expected: Geometry) -> Iterator[Fit]:
    """Yield all turns to the shape of the scan; that which leaves all as it is comes first, where it is one."""
    for axes in permutations(range(3)):
        if tuple(found.shape[axis] for axis in axes) != expected.shape:
            continue
        # An axis of one voxel has no other end.
        for flips in product(*((False, True) if size > 1 else (False,) for size in expected.shape)):
            turn = Turn(axes, flips)
            yield Fit(turn, turn.geometry(found).corner_distance_mm(expected))
