"""Contours (RTSTRUCT) as the voxels of a scan inside them."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from equireg.errors import EquiregError, some_of
from equireg.imaging.alignment import warn_once
from equireg.imaging.dicom.filling import PARTS, fill, in_units
from equireg.imaging.dicom.mask_heads import segments_of
from equireg.imaging.dicom.uneven import Lookup
from equireg.imaging.geometry import Geometry
from equireg.imaging.placing import LPS_TO_RAS

_OFF_SLICE_VOX = 0.25
"""How far a contour may lie beside the middle of a slice."""
_PLANE_VOX = 0.1
"""Distance of two contours along the third axis, in slices, above which they lie in different planes."""
_REPEATED = PARTS // 4
"""How far, in units, a contour may run beside another one that it repeats."""
_MOST_TRIED = 2000
_OPEN = ("POINT", "OPEN")
"""How the kinds of contours that have no inside begin."""

Voxels = tuple[np.ndarray, np.ndarray, np.ndarray]


def voxels_of_contours(
    path: Path, dataset: Any, values: Mapping[int, int], grid: Geometry
) -> Iterator[tuple[int, Voxels]]:
    """Yield label value and voxels of each region in each slice, of the regions whose numbers ``values`` has.

    A voxel is inside where its centre is, or lies on an edge. Of two contours of one region in one plane, the inner one
    is a hole (DICOM PS3.3, C.8.8.6.3); planes within one slice are united. A contour that repeats another one, also
    with points that are rounded otherwise, is no hole: it counts once. Points and open lines have no inside, and what
    lies beyond the scan is cut off; that is logged.

    Raises:
        EquiregError: if a contour lies across slices or between them, or all lie beyond the scan.
        ValueError: if no contour has points.
    """
    drawn, size = list(_closed(path, dataset, values)), np.array(grid.shape[:2])
    lookup = Lookup(grid, np.reshape([np.median(contour.points, axis=1) for contour in drawn], (-1, 3)).T)
    slices: defaultdict[tuple[int, int, int], list[tuple[float, np.ndarray]]] = defaultdict(list)
    beyond: Counter[str] = Counter()
    for contour in drawn:
        place, height, corners = _in_slice(path, lookup.voxels(contour.points), grid.shape[2])
        if corners is None or (corners < -PARTS).any() or (corners > PARTS * size).any():
            beyond[contour.name] += 1
        if corners is not None:
            slices[contour.region, contour.number, place].append((height, corners))
    if drawn and not slices:
        raise EquiregError(
            f"{path}: has contours beyond the slices of its series alone. Export it again for this series."
        )
    repeated: Counter[str] = Counter()
    names = {contour.number: contour.name for contour in drawn}
    for (_, number, place), several in slices.items():
        for plane in _planes(several):
            once = _without_repeated(plane)
            repeated[names[number]] += len(plane) - len(once)
            x, y = np.nonzero(fill(once, grid.shape[:2]))
            yield values[number], (x, y, np.full_like(x, place))
    tell(path, +repeated, "contours that repeat another one of their region and slice count once")
    tell(path, beyond, "contours lie beyond the scan, wholly or in part, and what is beyond is left out")


@dataclass(frozen=True)
class _Contour:
    """A closed contour."""

    region: int
    """Place of its region in the file."""
    number: int
    """Of its region, as the file has it."""
    name: str
    points: np.ndarray
    """[3, n], RAS mm"""


def _closed(path: Path, dataset: Any, values: Mapping[int, int]) -> Iterator[_Contour]:
    """Yield the contours that have an inside, of the regions that are used."""
    names = dict(segments_of(dataset))
    without_inside: Counter[str] = Counter()
    empty: Counter[str] = Counter()
    unnamed: Counter[str] = Counter()
    count = 0
    for place, region in enumerate(dataset.get("ROIContourSequence") or []):
        number = int(region.ReferencedROINumber)
        name = names.get(number, f"number {number}")
        unnamed[name] += len(region.get("ContourSequence") or []) * (number not in names)
        for contour in (region.get("ContourSequence") or []) if number in values else []:
            if str(contour.get("ContourGeometricType", "")).upper().startswith(_OPEN):
                without_inside[name] += 1
                continue
            points = LPS_TO_RAS[:3, :3] @ _numbers(contour.get("ContourData")).reshape(-1, 3).T
            if not np.isfinite(points).all():
                raise EquiregError(f"{path}: has contours with points that are no numbers. Export it again.")
            if points.size:
                count += 1
                yield _Contour(place, number, name, points)
            else:
                empty[name] += 1
    if empty and not count:
        raise ValueError("none of its contours has points")
    tell(path, +unnamed, "contours of regions that it does not list are left out")
    tell(path, without_inside, "contours that are points or open lines have no inside and are left out")
    tell(path, empty, "contours that have no points are left out")


def _numbers(value: Any) -> np.ndarray:
    """Return the numbers of an element; pydicom leaves one that is longer than its kind can be as bytes."""
    if isinstance(value, bytes):
        value = [word for word in value.decode("ascii").strip(" \0").split("\\") if word]
    return np.array([] if value is None else value, dtype=np.float64)


def tell(path: Path, contours: Counter[str], what: str) -> None:
    """Log what becomes of some contours, and how many of which regions they are, in one line."""
    if contours:
        warn_once(f"{path}: {what}: {some_of([f'{name} ({count})' for name, count in contours.most_common()])}.")


def _planes(contours: list[tuple[float, np.ndarray]]) -> list[list[np.ndarray]]:
    """Return the contours of a slice, each with where it lies in slices, by the planes that they lie in."""
    ordered = sorted(contours, key=lambda contour: contour[0])
    starts = np.flatnonzero(np.diff([height for height, _ in ordered]) > _PLANE_VOX) + 1
    edges = [0, *starts.tolist(), len(ordered)]
    return [[corners for _, corners in ordered[first:last]] for first, last in pairwise(edges)]


def _without_repeated(contours: list[np.ndarray]) -> list[np.ndarray]:
    """Return the contours of a plane without those that run along an earlier one."""
    boxes = np.array([(*corners.min(axis=0), *corners.max(axis=0)) for corners in contours])
    kept: list[int] = []
    order = np.argsort(boxes[:, 0], kind="stable")
    lefts = boxes[order, 0]
    is_kept = np.zeros(len(contours), dtype=bool)
    for index, corners in enumerate(contours):
        first, last = np.searchsorted(lefts, boxes[index, 0] + np.array([-_REPEATED, _REPEATED + 1]))
        alike = order[first:last]
        alike = alike[is_kept[alike]]
        near = alike[(np.abs(boxes[alike] - boxes[index]) <= _REPEATED).all(axis=1)]
        if not any(_along(corners, contours[other]) and _along(contours[other], corners) for other in near):
            kept.append(index)
            is_kept[index] = True
    return [contours[index] for index in kept]


def _along(corners: np.ndarray, other: np.ndarray) -> bool:
    """Whether corners and middles of edges of a closed contour [points, 2] lie beside the edges of another one."""
    tried = np.vstack([corners, (corners + np.roll(corners, -1, axis=0)) / 2])
    tried = tried[:: len(tried) // _MOST_TRIED + 1]
    start, way = other.astype(np.float64), np.roll(other, -1, axis=0) - other.astype(np.float64)
    squares = np.maximum((way**2).sum(axis=1), 1.0)
    for point in tried:
        part = np.clip(((point - start) * way).sum(axis=1) / squares, 0, 1)
        if ((start + part[:, None] * way - point) ** 2).sum(axis=1).min() > _REPEATED**2:
            return False
    return True


def _in_slice(path: Path, voxels: np.ndarray, slices: int) -> tuple[int, float, np.ndarray | None]:
    """Return the slice of a contour, where it lies in slices, and its points in units of ``fill`` [points, 2].

    The points are None beyond the slices. A contour that lies across slices, or between them, is refused.
    """
    height = float(np.median(voxels[2]))
    place = round(height)
    if not 0 <= place < slices:
        return place, height, None
    off = float(np.abs(voxels[2] - place).max())
    if off > _OFF_SLICE_VOX:
        raise EquiregError(
            f"{path}: has a contour that lies up to {off:.2g} slices beside slice {place + 1} of its series; expected "
            "contours in the slices' planes. Export it as a segmentation (DICOM-SEG), or draw it in the slices."
        )
    return place, height, in_units(voxels[:2].T)
