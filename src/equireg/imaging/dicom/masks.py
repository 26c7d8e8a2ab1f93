"""Segmentations (DICOM-SEG) and contours (RTSTRUCT) as label values on the grid of their scan."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from equireg.errors import EquiregError, some_of
from equireg.imaging.alignment import warn_once
from equireg.imaging.dicom.contour_reading import Voxels, tell, voxels_of_contours
from equireg.imaging.dicom.frames import read_frames
from equireg.imaging.dicom.heads import GROUPS, SEGMENTATIONS, read_dataset
from equireg.imaging.dicom.library import quietly
from equireg.imaging.dicom.mask_heads import is_labelmap, segments_of
from equireg.imaging.dicom.plane import Plane
from equireg.imaging.dicom.planes import frames_of
from equireg.imaging.dicom.uneven import Lookup
from equireg.imaging.geometry import Geometry
from equireg.imaging.labels import counted, smallest_integer
from equireg.imaging.limits import Limits, check_size
from equireg.imaging.placing import LPS_TO_RAS

_OFF_VOX = 0.1
"""How far a picture of a segmentation may lie beside the scan's voxels."""
_RESAMPLE = "Save it again on the grid of its series, for example in 3D Slicer with the series as reference."


@quietly()
def read_mask(path: Path, values: Mapping[int, int], grid: Geometry, limits: Limits) -> np.ndarray:
    """Read a DICOM-SEG, binary or a labelmap, or an RTSTRUCT on the grid of its scan.

    Where segments overlap, the one of the higher label value counts; what each loses is logged. So are segments that
    are drawn in every second slice alone.

    Args:
        path: the file.
        values: number of a segment to its label value; others are left out.
        grid: of the scan.
        limits: what the file may claim.

    Returns:
        Label values [X, Y, Z] in the smallest unsigned type.

    Raises:
        EquiregError: if the file is damaged, or does not lie on the grid.
    """
    mask = np.zeros(grid.shape, dtype=smallest_integer(0, max(values.values(), default=0)))
    size: Counter[int] = Counter()
    lost: Counter[tuple[int, int]] = Counter()
    drawn = {value: np.zeros(grid.shape[2], dtype=bool) for value in values.values()}
    with _damage(path):
        dataset = read_dataset(path)
        of_frames = dataset.get("SOPClassUID") in SEGMENTATIONS
        if of_frames:
            parts = _of_frames(path, dataset, values, grid, limits)
        else:
            parts = voxels_of_contours(path, dataset, values, grid)
        for value, voxels in parts:
            before = mask[voxels]
            size[value] += before.size
            for other, count in counted(before[(before != 0) & (before != value)]).items():
                lost[min(other, value), max(other, value)] += count
            mask[voxels] = np.maximum(before, value)
            drawn[value][voxels[2]] = True
        names = dict(segments_of(dataset))
    called = {number: names.get(number, f"number {number}") for number in values}
    sparse = Counter({called[number]: _left_out(drawn[value]) for number, value in values.items()})
    tell(
        path,
        +sparse,
        "segments are drawn in every second slice or so, and the slices between, counted here, are background; "
        "interpolate them where they are drawn, and export the mask again",
    )
    if lost:
        by_value = {value: called[number] for number, value in values.items()}
        told = [
            f"{by_value[low]!r} loses {100 * count / size[low]:.0f} % of its voxels to {by_value[high]!r}"
            for (low, high), count in lost.most_common()
        ]
        warn_once(
            f"{path}: its segments overlap in {lost.total()} voxels; there the one of the higher label value counts: "
            f"{some_of(told)}. `prepare --segments` numbers them in the order of their names there, so that later ones "
            "win, and leaves out others."
        )
    return mask


def _left_out(drawn: np.ndarray) -> int:
    """Return how many slices lie between those drawn, where most of these follow each other at one distance above 1."""
    steps = np.diff(np.flatnonzero(drawn))
    usual = int(np.median(steps)) if len(steps) > 1 else 1
    regular = usual > 1 and 3 * np.count_nonzero(steps == usual) >= 2 * len(steps)
    return int((steps - 1).sum()) if regular else 0


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Turn whatever a damaged header raises into one error that names the file."""
    try:
        yield
    except EquiregError:
        raise
    except Exception as error:  # a header is foreign, and pydicom raises whatever its parts do
        words = " ".join(str(error).split())[:100].rstrip(".")
        raise EquiregError(
            f"{path}: cannot be read as a mask, it is damaged or incomplete ({words}). Export it again."
        ) from error


def _of_frames(
    path: Path, dataset: Any, values: Mapping[int, int], grid: Geometry, limits: Limits
) -> Iterator[tuple[int, Voxels]]:
    """Yield label value and voxels of each frame of a segmentation."""
    planes = list(frames_of(path, dataset))
    shape = int(dataset.Rows), int(dataset.Columns)
    check_size(path, (*shape, len(planes)), 1, limits.max_voxels, limits)
    labelmap = is_labelmap(dataset)
    segments = [0 if labelmap else _segment_of(dataset, plane.number) for plane in planes]
    asked = [place for place, segment in enumerate(segments) if labelmap or segment in values]
    corners = [LPS_TO_RAS[:3, :3] @ planes[place].position for place in asked]
    lookup = Lookup(grid, np.reshape(corners, (-1, 3)).T)
    for index, stored in read_frames([path], [(0, planes[place].number) for place in asked], shape, limits):
        place = asked[index]
        found = stored.astype(np.int64)
        present = [value for value in np.unique(found).tolist() if value or labelmap]
        for number in present:
            value = values.get(number) if labelmap else values[segments[place]]
            if value is not None:
                yield value, _placed(path, planes[place], found == number, grid, lookup)


def _segment_of(dataset: Any, frame: int) -> int:
    """Return the number of the segment that a frame is of."""
    own = dataset[GROUPS].value[frame].get("SegmentIdentificationSequence")
    shared: Any = next(iter(dataset.get("SharedFunctionalGroupsSequence") or []), {})
    return int((own or shared.get("SegmentIdentificationSequence"))[0].ReferencedSegmentNumber)


def _placed(path: Path, plane: Plane, inside: np.ndarray, grid: Geometry, lookup: Lookup) -> Voxels:
    """Return the scan's voxels of the pixels that are inside, [rows, columns] bool; refuse those beside its voxels."""
    affine = plane.affine(plane.normal)
    rows, columns = np.nonzero(inside)
    exact = lookup.voxels(affine[:3, [0]] * columns + affine[:3, [1]] * rows + affine[:3, [3]])
    whole = np.rint(exact).astype(np.int64)
    size = max(plane.rows, plane.columns)
    steps = np.abs(np.linalg.norm((lookup.inverse @ affine)[:3, :2], axis=0) - 1) * size
    if steps.max() > _OFF_VOX or np.abs(exact - whole).max() > _OFF_VOX:
        raise EquiregError(
            f"{path}: frame {plane.number + 1} lies between the voxels of its series; expected the same grid. "
            f"{_RESAMPLE}"
        )
    if (whole < 0).any() or (whole >= np.array(grid.shape)[:, None]).any():
        raise EquiregError(f"{path}: frame {plane.number + 1} reaches beyond its series. {_RESAMPLE}")
    return whole[0], whole[1], whole[2]
