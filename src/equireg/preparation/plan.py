"""Decisions for a whole data set, from its headers: spacing, slice axis, normalisation, mirror axes."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from equireg.errors import EquiregError, UsageError
from equireg.imaging.grid import SliceAxis, WorkingGrid
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import Geometry
from equireg.layouts import RawCase

_ALIKE = 1.1
"""Spacings within 10 % of each other count as alike when the slice axis is chosen."""
_SIDES = {
    "x": r"\b(left|right)\b",
    "y": r"\b(anterior|posterior|front|back)\b",
    "z": r"\b(superior|inferior|upper|lower)\b",
}
"""Words in label names that tell the two ends of an axis apart: mirrored, such a label would be wrong."""
_CT_CASES = 40
"""Cases that the CT scale is measured on: percentiles change little beyond them."""


def canonical_spacing(geometry: Geometry) -> tuple[float, float, float]:
    """Return a scan's spacing along x, y, z of the canonical orientation, mm."""
    d, h, w = WorkingGrid.plan(geometry, None, "z").spacing_mm
    return w, h, d


def choose_spacing(option: str, spacings: Sequence[tuple[float, ...]]) -> tuple[float, float, float] | None:
    """Return the spacing x, y, z in mm that all cases are resampled to, or None for each its own.

    Raises:
        UsageError: if the option is neither auto, none nor three numbers.
    """
    if option == "none":
        return None
    if option == "auto":
        # Also where all are alike: nothing is resampled then, but a scan to predict may have another spacing.
        x, y, z = (float(value) for value in np.median(np.array(spacings), axis=0))
        return x, y, z
    try:
        x, y, z = (float(part) for part in option.split(","))
    except ValueError as error:
        raise UsageError(f"--spacing is {option}; expected auto, none or x,y,z in mm, such as 1,1,2.") from error
    if min(x, y, z) <= 0:
        raise UsageError(f"--spacing is {option}; expected numbers above 0, in mm.")
    return x, y, z


def choose_slice_axis(option: str, spacing_mm: tuple[float, float, float]) -> SliceAxis:
    """Return the axis across which slices are cut: that of widest spacing, axial where all are alike."""
    if option != "auto":
        return slice_axis(option)
    if max(spacing_mm) <= _ALIKE * min(spacing_mm):
        return "z"
    axes: tuple[SliceAxis, ...] = ("x", "y", "z")
    # Where two axes are as wide, the later one, so that axial is preferred.
    return max(axes, key=lambda axis: (round(spacing_mm[axes.index(axis)], 3), axis))


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

    ``auto`` leaves out an axis whose two ends the labels' names tell apart (left and right, anterior and
    posterior, superior and inferior).

    Raises:
        UsageError: if the option is neither auto, none nor some of x, y and z.
    """
    if option == "none":
        return ""
    if option == "auto":
        names = " ".join((*labels.names, *labels.regions)).lower().replace("_", " ")
        return "".join(axis for axis, words in _SIDES.items() if not re.search(words, names))
    return named_axes(option, "auto")


def named_axes(option: str, default: str) -> str:
    """Return the axes that ``--flips`` names, in the order x, y, z; ``default`` is told as its other value.

    Raises:
        UsageError: if it names none, or another one.
    """
    axes = option.replace(",", "").replace(" ", "")
    if not axes or set(axes) - set("xyz"):
        raise UsageError(f"--flips is {option}; expected {default}, none or some of x,y,z.")
    return "".join(axis for axis in "xyz" if axis in axes)


def choose_normalisation(
    option: str, modality: str, training: Sequence[RawCase], labels: LabelTable
) -> Mapping[str, Any]:
    """Return how intensities are normalised; for CT with numbers measured on training scans (nnU-Net's scheme)."""
    name = option
    if option == "auto":
        name = "ct" if modality == "ct" else "zscore"
    return _ct_scale(training, labels) if name == "ct" else {"name": name}


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
