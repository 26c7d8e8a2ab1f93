"""Planes to series: one stack of slices at equal distances, or the reason why there is none."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equireg.imaging.dicom.heads import PHASES, Head
from equireg.imaging.dicom.plane import Plane
from equireg.imaging.dicom.planes import SeriesError, planes_of
from equireg.imaging.dicom.uneven import slices_of
from equireg.imaging.geometry import Geometry

_SAME = 1e-3
"""How far orientations and relative pixel spacings of one stack may differ."""
_SAME_PLACE = 0.01
"""Distance of two slices, relative to the usual one, below which they lie in one place."""
_UNEVEN = 0.05
"""Distance of a slice from its place in an even stack, relative to that between slices, that counts as rounding."""
_ROUNDED_MM, _MOST_ROUNDED = 0.06, 0.2
"""The same in mm, for positions that are rounded to 0.1 mm; at most so much of the distance between slices."""
_DRIFT_MM, _DRIFT, _ROUNDED_DRIFT = 0.05, 5e-4, 0.01
"""Shift of the slices along their own plane that is no gantry tilt: in mm, and relative to the stack's length.

The last is of an orientation that is rounded to two digits.
"""
_SIDEWAYS, _SIDEWAYS_MM = 0.5, 0.2
"""Shift of single slices along their plane that is allowed, in pixels and in mm; the larger one counts."""
_CONTRASTS = ("EchoTime", "TemporalPositionIdentifier", "DiffusionBValue")
"""Of PHASES, those that no single scan has by turns; interleaved slices have acquisitions and trigger times so."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One slice: where its pixels are, and how they become values."""

    file: int
    """Index into the series' files."""
    number: int
    """Frame in that file, from 0."""
    slope: float
    intercept: float
    padding: tuple[int, int] | None = None
    """Least and largest stored number that stands for no measurement."""


@dataclass(frozen=True)
class Series:
    """The slices of one scan, in order, on a grid (columns, rows, slices) without turns or mirrors."""

    files: tuple[Path, ...]
    frames: tuple[Frame, ...]
    """One a slice."""
    geometry: Geometry
    packed: bool
    """Whether the pixels are compressed."""
    voxel_bytes: int
    """Of a stored number, as the headers say."""
    remark: str | None = None
    """What is odd, for people."""


_APART = (
    "Export each of its stacks (echoes, times, orientations) as a file of its own, or convert each to a NIfTI file."
)
"""How one file that holds several stacks is mended."""
_PLAIN = ("", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
"""Transfer syntaxes whose pixels lie in the file as they are."""


def series_of(heads: Sequence[Head]) -> Series:
    """Put the slices of one series, from the heads of its files in any order, on one grid.

    Raises:
        SeriesError: if they are not one stack of slices at equal distances.
    """
    planes = _in_order([plane for head in heads for plane in planes_of(head)])
    first = planes[0]
    step = _step(planes)
    files = tuple(dict.fromkeys(plane.path for plane in planes))
    place = {path: index for index, path in enumerate(files)}
    frames = tuple(Frame(place[one.path], one.number, one.slope, one.intercept, one.padding) for one in planes)
    slices = slices_of(np.array([plane.position for plane in planes]) @ first.normal)
    geometry = Geometry.from_array((first.columns, first.rows, len(planes)), first.affine(step), slices=slices)
    packed = any(head.syntax not in _PLAIN for head in heads)
    remark = "; ".join(_remarks(heads, planes)) or None
    return Series(files, frames, geometry, packed, max(1, min(head.bits for head in heads) // 8), remark)


def _remarks(heads: Sequence[Head], planes: Sequence[Plane]) -> Iterator[str]:
    """Yield what is odd about values."""
    if any(head.inverted for head in heads):
        yield "its high numbers are meant to be dark (MONOCHROME1); they are kept as they are"
    plain = [plane for plane in planes if not plane.rescaled]
    if plain and any(plane.rescaled and (plane.slope, plane.intercept) != (1.0, 0.0) for plane in planes):
        yield (
            f"{len(plain)} of its {len(planes)} slices lack RescaleSlope or RescaleIntercept, which others have, so "
            f"their values may be on another scale, such as {plain[0].path}"
        )


def _in_order(planes: Sequence[Plane]) -> list[Plane]:
    """Sort planes of one orientation and size along their normal."""
    first = planes[0]
    for plane in planes:
        what = _differs(plane, first)
        if what is not None and plane.path == first.path:
            finding = f"has a frame of another {what} than its first; expected one stack of slices."
            raise SeriesError(plane.path, finding, _APART)
        if what is not None:
            finding = f"is of another {what} than {first.path} of the same series; expected one stack of slices."
            raise SeriesError(plane.path, finding, "Move the images of one of the two elsewhere.")
    return sorted(planes, key=lambda plane: float(first.normal @ np.array(plane.position)))


def _differs(plane: Plane, first: Plane) -> str | None:
    if (plane.rows, plane.columns) != (first.rows, first.columns):
        return f"size ({plane.columns} x {plane.rows}, not {first.columns} x {first.rows})"
    if not np.allclose(plane.orientation, first.orientation, rtol=0, atol=_SAME):
        return "orientation"
    if not np.allclose(plane.spacing_mm, first.spacing_mm, rtol=_SAME):
        return "pixel spacing"
    return None


def _step(planes: Sequence[Plane]) -> np.ndarray:
    """Return the way from one slice to the next, LPS mm, after a look at all of them."""
    first, last = planes[0], planes[-1]
    if len(planes) == 1:
        return first.normal * (abs(first.thickness_mm or 0) or 1.0)
    positions = np.array([plane.position for plane in planes])  # [slices, 3]
    heights = positions @ first.normal
    gaps = np.diff(heights)
    apart = gaps[gaps > _SAME_PLACE * float(gaps.max())]
    usual = float(np.median(apart)) if len(apart) else 0.0
    _refuse_same_place(planes, gaps, usual)
    _refuse_turns(planes)
    for index in np.flatnonzero(gaps > (1 + _UNEVEN) * usual).tolist():
        number = round(float(gaps[index]) / usual)
        if number > 1 and abs(gaps[index] / usual - number) <= _UNEVEN * number:
            finding = (
                f"is followed by a gap of {gaps[index]:.4g} mm where slices are {usual:.4g} mm apart: "
                f"{number - 1} slice{'s are' if number > 2 else ' is'} missing."
            )
            raise SeriesError(planes[index].path, finding, "Export the whole series again, or take it out.")
    if np.abs(gaps - usual).max() > _UNEVEN * usual:
        _refuse_uneven(planes, heights, gaps)
    way = positions[-1] - positions[0]
    length = float(heights[-1] - heights[0])
    _refuse_sideways(planes, positions, heights)
    drift = way - length * first.normal
    drift_mm = float(np.linalg.norm(drift))
    rounded = np.allclose(np.round(first.orientation, 2), first.orientation, rtol=0, atol=1e-9)
    oblique = not np.isin(np.abs(first.orientation), (0, 1)).all()
    if drift_mm > _DRIFT_MM + (_ROUNDED_DRIFT if rounded and oblique else _DRIFT) * length:
        angle = np.degrees(np.arctan2(drift_mm, length))
        finding = f"belongs to slices that are shifted along their plane by a gantry tilt of {angle:.1f} degrees."
        raise SeriesError(last.path, finding, "Undo the tilt, for example with dcm2niix, and give the NIfTI file.")
    return way / (len(planes) - 1)


def _refuse_sideways(planes: Sequence[Plane], positions: np.ndarray, heights: np.ndarray) -> None:
    """Refuse slices, in order, that do not lie on one line; those of a gantry tilt do."""
    way = (positions[-1] - positions[0]) / (heights[-1] - heights[0])
    beside = np.linalg.norm(positions - positions[0] - np.outer(heights - heights[0], way), axis=1)
    allowed = max(_SIDEWAYS * min(planes[0].spacing_mm), _SIDEWAYS_MM)
    if beside.max() <= allowed:
        return
    flat = positions - np.outer(heights, planes[0].normal)
    beside = np.linalg.norm(flat - np.median(flat, axis=0), axis=1)
    index = int(beside.argmax())
    finding = (
        f"lies {beside[index]:.3g} mm sideways of most slices of its series, along their plane; expected slices one "
        "above the other."
    )
    raise SeriesError(
        planes[index].path, finding, "Export the stacks apart, or resample the series to one grid as a NIfTI file."
    )


def _refuse_turns(planes: Sequence[Plane]) -> None:
    """Refuse several scans whose slices lie between each other's: their echoes, times or b-values come by turns."""
    for name in _CONTRASTS:
        values = [plane.phases[PHASES.index(name)] for plane in planes]
        count = len(set(values))
        if 1 < count <= len(values) // 2 and values == (values[:count] * len(values))[: len(values)]:
            found = ", ".join(sorted(set(values))[:4])
            finding = f"belongs to slices that have {count} values of {name} by turns ({found}); expected one scan."
            raise SeriesError(planes[0].path, finding, "Move the slices of each to a folder and series of its own.")


def _refuse_uneven(planes: Sequence[Plane], heights: np.ndarray, gaps: np.ndarray) -> None:
    """Refuse slices that lie beside the places of equal distances, which fit best to all of them (least squares).

    Single gaps are no measure: rounding moves a gap twice as far as a slice, and every second one in a row. Where gaps
    change slowly, nothing is refused.
    """
    numbers = np.arange(len(heights)) - (len(heights) - 1) / 2
    step = float(numbers @ heights / (numbers @ numbers))
    beside = heights - (heights.mean() + step * numbers)
    index = int(np.abs(beside).argmax())
    if abs(beside[index]) <= max(_UNEVEN * step, min(_ROUNDED_MM, _MOST_ROUNDED * step)):
        return
    finding = (
        f"lies {abs(beside[index]):.2g} mm beside its place among slices at equal distances of {step:.4g} mm; the "
        f"distances are {gaps.min():.4g} to {gaps.max():.4g} mm; expected one distance."
    )
    raise SeriesError(planes[index].path, finding, "Resample it to equal distances, or take it out.")


def _refuse_same_place(planes: Sequence[Plane], gaps: np.ndarray, usual: float) -> None:
    """Refuse several images at one place, and say in what they differ."""
    twice = np.flatnonzero(gaps <= _SAME_PLACE * usual) if usual else np.arange(len(gaps))
    if not len(twice):
        return
    one, other = planes[twice[0]], planes[twice[0] + 1]
    values: defaultdict[str, set[str]] = defaultdict(set)
    for plane in planes:
        for name, value in zip(PHASES, plane.phases, strict=True):
            values[name].add(value)
    differing = [name for name, mine, its in zip(PHASES, one.phases, other.phases, strict=True) if mine != its]
    why = f", which differ in {differing[0]} ({len(values[differing[0]])} values)" if differing else ""
    if one.path == other.path:
        finding = f"has several frames in one place{why}: {len(twice)} duplicate slices."
        raise SeriesError(one.path, finding, _APART)
    finding = f"lies in the same place as {other.path} of the same series{why}: {len(twice)} duplicate slices."
    remedy = "Keep one image for each place: move other echoes, times, phase images or copies to a folder elsewhere."
    raise SeriesError(one.path, finding, remedy)
