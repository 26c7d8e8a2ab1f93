"""Decisions for a whole data set, from its headers: spacing, slice axis, normalisation, mirror axes."""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from equireg.errors import EquiregError, UsageError
from equireg.imaging.grid import SliceAxis, WorkingGrid
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import Geometry
from equireg.layouts import RawCase
from equireg.layouts.channels import meaning, without_numbers
from equireg.preparation.normalise import ROUNDING
from equireg.preparation.sides import distinguished_axes

log = logging.getLogger("equireg")

_AXES: tuple[SliceAxis, SliceAxis, SliceAxis] = ("x", "y", "z")
_CUBE = Geometry.from_array((2, 2, 2), np.eye(4))
_ALIKE = 1.1
"""Spacings within 10 % of each other count as equal when the slice axis is chosen."""
_CT_CASES = 40
"""Cases that the CT scale is measured on: percentiles change little beyond them."""
_UNCHANGED = re.compile(r"nonorm(_\d+)?", re.IGNORECASE)
_RESCALED = re.compile(r"(rescale(_to)?|rgb_to)_0_1(_\d+)?", re.IGNORECASE)
"""Channels called by nnU-Net's words for a normalisation; a number tells several of them apart."""


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
    no common unit. It leaves channels called ``noNorm`` as they are.
    """
    schemes = _schemes(modality, channels) if option == "auto" else [option]
    scale = _ct_scale(training, labels, schemes) if "ct" in schemes else {}
    if "ct" in schemes and not scale:
        schemes = ["zscore" if scheme == "ct" else scheme for scheme in schemes]
    if len(set(schemes)) == 1:
        return {**scale, "name": schemes[0]}
    return {**scale, "name": "mixed", "schemes": schemes}


def _schemes(modality: str, channels: Sequence[str]) -> list[str]:
    """Return how each channel is normalised, by its name and the modality of all."""
    named = without_numbers(channels)
    rescaled = [name for name in channels if _RESCALED.fullmatch(name)]
    if rescaled:
        log.warning(
            "channels called %s are normalised as others are, to mean 0 and deviation 1 in each scan: --normalise "
            "knows no scaling to 0 to 1. To keep intensities as they are in the files, call these channels noNorm",
            ", ".join(rescaled),
        )
    other = "zscore" if modality != "ct" or "ct" in map(meaning, named) else "ct"
    of_ct = "ct" if modality == "ct" else "zscore"
    return ["none" if _UNCHANGED.fullmatch(name) else of_ct if meaning(name) == "ct" else other for name in named] or [
        other
    ]


def _ct_scale(cases: Sequence[RawCase], labels: LabelTable, schemes: Sequence[str]) -> Mapping[str, Any]:
    """Measure percentiles, mean and deviation on labelled voxels, or on all where no mask is at hand.

    Channels that have one value in all labelled voxels, such as saturated ones, are measured on all voxels.

    Returns:
        Nothing where no case can be read.
    """
    labelled = [case for case in cases if case.label is not None] or list(cases)
    sample = _sample(labelled[:_CT_CASES], labels)
    if sample is None:
        return {}
    scale = _scale_of(sample)
    flat = (scale[3] <= ROUNDING * np.abs(scale[:2]).max(axis=0)) & (np.array(schemes) == "ct")
    whole = _sample(labelled[:_CT_CASES], None) if flat.any() else None
    if whole is not None:
        scale = np.where(flat, _scale_of(whole), scale)
        log.warning(
            "all labelled voxels have the same value in channel %s, so its CT scale is measured on all voxels. If "
            "scans were clipped or converted to fewer bits, prepare the original ones",
            " and ".join(str(index + 1) for index in np.flatnonzero(flat)),
        )
    return dict(zip(("low", "high", "mean", "std"), scale.tolist(), strict=True))


def _scale_of(sample: np.ndarray) -> np.ndarray:
    """Return the percentiles 0.5 and 99.5 of intensities [C, N], and mean and deviation of what is clipped to them."""
    low, high = np.percentile(sample, [0.5, 99.5], axis=1)
    clipped = np.clip(sample, low[:, None], high[:, None])
    return np.stack([low, high, clipped.mean(axis=1), clipped.std(axis=1)])


def _sample(cases: Sequence[RawCase], labels: LabelTable | None) -> np.ndarray | None:
    """Draw labelled voxels [C, N] of cases; without labels, or where a case has none, of all voxels.

    Voxels with the ignore label count as unlabelled: nobody said what they show.
    """
    rng = np.random.default_rng(0)
    drawn: list[np.ndarray] = []
    for case in cases:
        try:
            image, geometry = case.read_image()
            inside = np.ones(geometry.shape, dtype=bool)
            if labels is not None and case.label is not None:
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
    return np.concatenate(drawn, axis=1) if drawn else None
