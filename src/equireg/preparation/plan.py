"""Decisions for a whole data set, from its headers: spacing, slice axis, normalisation, mirror axes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from equireg.errors import EquiregError, UsageError
from equireg.imaging.grid import SliceAxis, WorkingGrid
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import Geometry
from equireg.layouts import RawCase
from equireg.layouts.channels import meaning
from equireg.preparation.sides import distinguished_axes

_AXES: tuple[SliceAxis, SliceAxis, SliceAxis] = ("x", "y", "z")
_CUBE = Geometry.from_array((2, 2, 2), np.eye(4))
_ALIKE = 1.1
"""Spacings within 10 % of each other count as equal when the slice axis is chosen."""
_CT_CASES = 40
"""Cases that the CT scale is measured on: percentiles change little beyond them."""


def canonical_spacing(geometry: Geometry) -> tuple[float, float, float]:
    """Return a scan's spacing along x, y, z of the canonical orientation, mm."""
    d, h, w = WorkingGrid.plan(geometry, None, "z").spacing_mm
    return w, h, d


def canonical_shape(geometry: Geometry) -> tuple[int, int, int]:
    """Return a scan's voxels along x, y, z of the canonical orientation."""
    d, h, w = WorkingGrid.plan(geometry, None, "z").full_shape
    return w, h, d


def common_spacings(
    geometries: Sequence[Geometry],
) -> tuple[list[tuple[float, float, float]], SliceAxis | None]:
    """Return each scan's spacing along x, y, z, and the flat axis where all scans are pictures of one slice.

    Pictures that are stored across another axis than most are turned, as ``grid_of`` turns them.
    """
    spacings = [canonical_spacing(geometry) for geometry in geometries]
    flat = [flat_axis(canonical_shape(geometry)) for geometry in geometries]
    found: list[SliceAxis] = [_AXES[axis] for axis in flat if axis is not None]
    if len(found) < len(flat):
        return spacings, None
    most: SliceAxis = max(_AXES, key=lambda axis: (found.count(axis), axis))
    return [_turned(spacing, _order(own), _order(most)) for spacing, own in zip(spacings, found, strict=True)], most


def _turned(spacing_mm: Sequence[float], before: str, after: str) -> tuple[float, float, float]:
    """Turn a spacing x, y, z from one order of axes to another: what was the first of ``before`` is of ``after``."""
    of_place = [spacing_mm["xyz".index(name)] for name in before]
    x, y, z = (of_place[after.index(name)] for name in "xyz")
    return x, y, z


def grid_of(geometry: Geometry, spacing_mm: tuple[float, float, float] | None, axis: SliceAxis) -> WorkingGrid:
    """Return the working grid of a scan before cropping.

    A scan of one slice is cut across its flat axis, whichever that is: a picture stored as (1, X, Y) is the one stored
    as (X, Y, 1). The spacing, planned for slices across ``axis``, turns with it.
    """
    flat = flat_axis(canonical_shape(geometry))
    own = axis if flat is None else _AXES[flat]
    if own == axis or spacing_mm is None:
        return WorkingGrid.plan(geometry, spacing_mm, own)
    return WorkingGrid.plan(geometry, _turned(spacing_mm, _order(axis), _order(own)), own)


def _order(axis: SliceAxis) -> str:
    """Return the canonical axes in working order, of slices across ``axis``."""
    return WorkingGrid.plan(_CUBE, None, axis).axes


def choose_spacing(option: str, spacings: Sequence[tuple[float, ...]]) -> tuple[float, float, float] | None:
    """Return the spacing x, y, z in mm that all cases are resampled to, or None for each its own.

    Raises:
        UsageError: if the option is neither auto, none nor three numbers.
    """
    if option == "none":
        return None
    if option == "auto":
        # Also where all are equal: nothing is resampled then, but a scan to predict may have another spacing.
        x, y, z = (float(value) for value in np.median(np.array(spacings), axis=0))
        return x, y, z
    try:
        x, y, z = (float(part) for part in option.split(","))
    except ValueError as error:
        raise UsageError(f"--spacing is {option}; expected auto, none or x,y,z in mm, such as 1,1,2.") from error
    if min(x, y, z) <= 0:
        raise UsageError(f"--spacing is {option}; expected numbers above 0, in mm.")
    return x, y, z


def flat_axis(shape: Sequence[int]) -> int | None:
    """Return the one axis of a single voxel, or None where none or several are: a picture of one slice."""
    flat = [axis for axis, size in enumerate(shape) if size == 1]
    return flat[0] if len(flat) == 1 and len(shape) == 3 else None


def choose_slice_axis(
    option: str, spacing_mm: tuple[float, float, float], shape: Sequence[int] | None = None
) -> SliceAxis:
    """Return the axis across which slices are cut: that of widest spacing, axial where all are equal.

    Args:
        option: an axis, or auto.
        spacing_mm: spacing along x, y, z.
        shape: voxels along x, y, z, where it is known: a scan of one slice is cut across its flat axis.
    """
    flat = None if shape is None else flat_axis(shape)
    if option != "auto":
        return slice_axis(option)
    if flat is not None:
        return _AXES[flat]
    if max(spacing_mm) <= _ALIKE * min(spacing_mm):
        return "z"
    # Where two axes are as wide, the later one, so that axial is preferred.
    return max(_AXES, key=lambda axis: (round(spacing_mm[_AXES.index(axis)], 3), axis))


def slice_axis(name: str) -> SliceAxis:
    """Return the axis of a name.

    Raises:
        UsageError: if it is none.
    """
    axes: dict[str, SliceAxis] = {"x": "x", "y": "y", "z": "z"}
    if name not in axes:
        raise UsageError(f"slice axis {name!r}; expected x, y or z.")
    return axes[name]


def choose_flips(option: str, labels: LabelTable) -> str:
    """Return the anatomical axes along which a mirrored scan is a plausible one.

    ``auto`` leaves out an axis whose two ends the labels' names distinguish (left and right, anterior and
    posterior, superior and inferior).

    Raises:
        UsageError: if the option is neither auto, none nor some of x, y and z.
    """
    if option == "none":
        return ""
    if option == "auto":
        apart = distinguished_axes((*labels.names, *labels.regions))
        return "".join(axis for axis in "xyz" if axis not in apart)
    return named_axes(option, "auto")


def named_axes(option: str, default: str) -> str:
    """Return the axes that ``--flips`` names, in the order x, y, z; ``default`` is reported as its other value.

    Raises:
        UsageError: if it names none, or another one.
    """
    axes = option.replace(",", "").replace(" ", "")
    if not axes or set(axes) - set("xyz"):
        raise UsageError(f"--flips is {option}; expected {default}, none or some of x,y,z.")
    return "".join(axis for axis in "xyz" if axis in axes)


def choose_normalisation(
    option: str, modality: str, training: Sequence[RawCase], labels: LabelTable, channels: Sequence[str] = ()
) -> Mapping[str, Any]:
    """Return how intensities are normalised; for CT with numbers measured on training scans (nnU-Net's scheme).

    Beside a channel of CT, ``auto`` normalises channels of other names scan by scan, because their intensities have
    no common unit.
    """
    name = option
    if option == "auto":
        name = "ct" if modality == "ct" else "zscore"
    if name != "ct":
        return {"name": name}
    scale = _ct_scale(training, labels)
    schemes = ["ct" if meaning(channel) == "ct" else "zscore" for channel in channels]
    mixed = option == "auto" and scale["name"] == "ct" and len(set(schemes)) > 1
    return {**scale, "name": "mixed", "schemes": schemes} if mixed else scale


def _ct_scale(cases: Sequence[RawCase], labels: LabelTable) -> Mapping[str, Any]:
    """Measure percentiles, mean and deviation on labelled voxels, or on all where no mask is at hand.

    Voxels with the ignore label count as unlabelled: nobody said what they show.
    """
    rng = np.random.default_rng(0)
    labelled = [case for case in cases if case.label is not None] or list(cases)
    drawn: list[np.ndarray] = []
    for case in labelled[:_CT_CASES]:
        try:
            image, geometry = case.read_image()
            inside = np.ones(geometry.shape, dtype=bool)
            if case.label is not None:
                values = case.read_label(geometry)
                mask = values > 0
                if labels.ignore is not None:
                    mask &= values != labels.ignore
                del values
                inside = mask if mask.any() else inside
        except EquiregError:
            continue  # the case itself is refused, with its reason, when its turn comes
        count = int(np.count_nonzero(inside))
        places = np.flatnonzero(inside)[rng.integers(count, size=min(count, 10_000))]
        drawn.append(image.reshape(len(image), -1)[:, places])
    if not drawn:
        return {"name": "zscore"}
    sample = np.concatenate(drawn, axis=1)
    low, high = np.percentile(sample, [0.5, 99.5], axis=1)
    clipped = np.clip(sample, low[:, None], high[:, None])
    return {
        "name": "ct",
        "low": low.tolist(),
        "high": high.tolist(),
        "mean": clipped.mean(axis=1).tolist(),
        "std": clipped.std(axis=1).tolist(),
    }
