"""The voxels of a scan: a series a channel, on one grid."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from equireg.disk import read_errors
from equireg.errors import EquiregError
from equireg.imaging.alignment import find_turn, geometry_of
from equireg.imaging.dicom.frames import read_frames
from equireg.imaging.dicom.padding import unpad
from equireg.imaging.dicom.series import Frame, Series
from equireg.imaging.formats import Channel
from equireg.imaging.geometry import Geometry
from equireg.imaging.header import Header
from equireg.imaging.limits import Limits, check_ratio, check_size
from equireg.imaging.volume import check_channels

_NO_SLOPE = (
    "has the RescaleSlope 0, which makes all its values equal; expected another number. Export the series again."
)
_REGISTER = "Resample the series of a study to one grid and give NIfTI files, or prepare each series as a case."


def series_geometry(series: Series, limits: Limits) -> Geometry:
    """Return where a series lies, after a look at its size and its spacing.

    Raises:
        EquiregError: if it is larger than the limits allow, or its spacing is beyond them.
    """
    first, shape = series.files[0], series.geometry.shape
    check_size(first, shape, 1, limits.max_voxels, limits)
    header = Header(shape, 1, series.geometry.affine_array, np.dtype(np.float32), remark=series.remark)
    return replace(geometry_of(first, header, limits), slices=series.geometry.slices)


def read_series(several: Sequence[Series], limits: Limits) -> tuple[np.ndarray, Geometry]:
    """Read one scan, a series a channel: its values after slope and intercept.

    Needs 4 bytes a voxel and channel, and 64 MiB or the largest frame; as much again in the decoder's process.

    Args:
        several: the series; all must lie on one grid. The first one's axes count.
        limits: what they may claim.

    Returns:
        Voxels [C, X, Y, Z] float32, and their geometry.

    Raises:
        EquiregError: if a file is gone, damaged, changed or compressed in a way that is not known, a series does not
            lie as the first one does, or holds one value only.
    """
    geometry = series_geometry(several[0], limits)
    turns = []
    for one in several:
        own = series_geometry(one, limits)
        turns.append(find_turn(one.files[0], own, geometry, "the case's first channel", _REGISTER))
        _check_files(one, limits)
    image = np.empty((len(several), *geometry.shape), dtype=np.float32)
    seen: list[Channel] = []
    for index, (one, turn) in enumerate(zip(several, turns, strict=True)):
        found, padded = Channel(), Channel()
        frames = [(frame.file, frame.number) for frame in one.frames]
        target = turn.to_file(image[index])
        for place, stored in read_frames(one.files, frames, (target.shape[1], target.shape[0]), limits):
            frame = one.frames[place]
            if frame.slope == 0 and stored.min() != stored.max():
                raise EquiregError(f"{one.files[frame.file]}: {_NO_SLOPE}")
            values = _valued(stored, frame)
            target[:, :, place] = values.T
            if frame.padding is not None:
                padding = (stored >= frame.padding[0]) & (stored <= frame.padding[1])
                padded.add(values[padding])
                values = values[~padding]
            found.add(values)
        if padded.low <= padded.high and not unpad(target, found, padded):
            found.low, found.high = min(found.low, padded.low), max(found.high, padded.high)
        seen.append(replace(found, bad=found.bad + padded.bad))
    check_channels([one.files[0] for one in several], seen, int(np.prod(geometry.shape)))
    return image, geometry


def _check_files(series: Series, limits: Limits) -> None:
    """Refuse a series whose headers claim more than its files can hold, before memory is asked for."""
    first, shape = series.files[0], series.geometry.shape
    with read_errors(first):
        sizes = [path.stat().st_size for path in series.files]
    claimed = int(np.prod(shape, dtype=object)) * series.voxel_bytes
    if series.packed:
        check_ratio(first, claimed, sum(sizes), limits)
    elif claimed > sum(sizes):  # so one of them is too short
        frames = Counter(frame.file for frame in series.frames)
        for index, (path, size) in enumerate(zip(series.files, sizes, strict=True)):
            check_size(path, (*shape[:2], frames[index]), series.voxel_bytes, size, limits)


def _valued(stored: np.ndarray, frame: Frame) -> np.ndarray:
    if (frame.slope, frame.intercept) == (1.0, 0.0):
        return stored
    return (stored.astype(np.float64) * frame.slope + frame.intercept).astype(np.float32)
