"""A case as NIfTI files inside a page: cut to what it holds, and no finer than the page has room for."""

import base64
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import nibabel as nib
import numpy as np

from equireg.drawing.scans import foreground, region_colours
from equireg.imaging.boxes import Box, bounding_box, with_margin
from equireg.imaging.labels import LabelTable
from equireg.viewing.case_volumes import (
    DISAGREEMENT,
    MOVED,
    MOVED_SCAN,
    OF_MOVED,
    PREDICTION,
    REFERENCE,
    SCAN,
    SCANS,
    CaseVolumes,
)

DIFFERENCE = "difference"
"""Where f(T x) and T f(x) differ."""
DIFFERENCE_COLOUR = "#ff3ea5"
"""Unlike the colours of all regions."""
DOUBT_COLOURS = ("#ffffb2", "#fecc5c", "#fd8d3c", "#f03b20", "#bd0026")
"""From few contradicting views to all."""
MOST_VOXELS = 24_000_000
"""Voxels of one volume that a browser draws without trouble."""
_MARGIN = 3
_LEVELS = (4095, 255)
"""Steps of intensity, the finest that fit are taken."""


@dataclass(frozen=True)
class Packed:
    """A case as a page holds it."""

    files: Mapping[str, str]
    """kind of volume to its gzipped NIfTI file in base64; masks hold places in a palette, 0 for none"""
    windows: Mapping[str, tuple[float, float, float, float]]
    """kind of scan to its least and greatest intensity, and those that are shown as black and white"""
    centre_mm: tuple[float, float, float]
    """where to look first, world mm"""
    first: int
    """the same as a place along the slice axis of the files"""
    flat: str | None
    """the canonical axis along which there is one slice"""
    reduced: str
    """what was lost to the size of the page, in words; empty where nothing was"""


def pack(case: CaseVolumes, most_bytes: int) -> Packed:
    """Write a case as NIfTI files of at most so many bytes, where cutting down to an eighth of its voxels is enough.

    Args:
        case: as it was read.
        most_bytes: characters of base64 that all its volumes may take together.
    """
    drawn = {kind: _drawn(case.labels, kind, volume) for kind, volume in case.volumes.items()}
    if {MOVED, OF_MOVED} <= set(drawn):
        drawn[DIFFERENCE] = (case.volumes[MOVED] != case.volumes[OF_MOVED]).astype(np.uint8)
    drawn.setdefault(SCAN, np.zeros_like(drawn[PREDICTION]))
    spans = _held(drawn)
    cut = {kind: volume[spans] for kind, volume in drawn.items()}
    corner = np.array([span.start for span in spans], dtype=float)
    spacing_mm = np.linalg.norm(case.affine[:3, :3], axis=0)
    strides, levels, files = [1, 1, 1], 0, {}
    while True:
        thin = {kind: volume[tuple(slice(None, None, stride) for stride in strides)] for kind, volume in cut.items()}
        room = thin[SCAN].size <= MOST_VOXELS
        if room:
            affine = case.affine @ _placed(corner, strides)
            files = {kind: _file(volume, affine, case.axes, _LEVELS[levels]) for kind, volume in thin.items()}
        if (room and sum(map(len, files.values())) <= most_bytes) or (files and max(strides) >= 16):
            break
        if room and levels + 1 < len(_LEVELS):
            levels += 1
        else:
            strides[int(np.argmin([step * stride for step, stride in zip(spacing_mm, strides, strict=True)]))] += 1
    windows = {kind: _window(cut[kind]) for kind in SCANS if kind in case.volumes}
    flat = [name for name, size in zip(case.axes, case.volumes[PREDICTION].shape, strict=True) if size == 1]
    centre = _centre(cut)
    x, y, z = (case.affine @ [*(centre + corner), 1.0])[:3].round(2).tolist()
    first = int(centre[0]) // strides[0]
    return Packed(files, windows, (x, y, z), first, flat[0] if flat else None, _words(_LEVELS[levels], strides))


def palette(labels: LabelTable, kind: str) -> list[tuple[str, str]]:
    """Return names and colours of the places, from 1 on, that the masks of a kind hold."""
    if kind == DISAGREEMENT:
        steps = len(DOUBT_COLOURS)
        return [
            (f"up to {100 * (step + 1) // steps} % of the views disagree", c) for step, c in enumerate(DOUBT_COLOURS)
        ]
    if kind == DIFFERENCE:
        return [("f(T x) and T f(x) differ", DIFFERENCE_COLOUR)]
    return list(region_colours(labels).items())


def colour_indices(labels: LabelTable, values: np.ndarray) -> np.ndarray:
    """Return 1 + place of the smallest judged region that holds each label value; 0 where none does."""
    regions = list(labels.judged_regions().values())
    found = np.zeros(values.shape, np.uint8)
    # Large unions first, so that a region inside another has the last word.
    for members in sorted(regions, key=len, reverse=True):
        found[np.isin(values, members)] = 1 + regions.index(members)
    return found


def _drawn(labels: LabelTable, kind: str, volume: np.ndarray) -> np.ndarray:
    if kind in SCANS:
        return volume.astype(np.float32)
    if kind == DISAGREEMENT:
        return np.ceil(np.clip(volume, 0, 1) * len(DOUBT_COLOURS) - 1e-3).astype(np.uint8)
    return colour_indices(labels, volume)


def _held(drawn: Mapping[str, np.ndarray]) -> Box:
    """Return the box that holds all that is not background, with a narrow margin; a page is heavy enough."""
    held = np.any([foreground(one) if kind in SCANS else one != 0 for kind, one in drawn.items()], axis=0)
    box = bounding_box(held) or tuple(slice(0, size) for size in held.shape)
    return with_margin(box, held.shape, _MARGIN)


def _placed(corner: np.ndarray, strides: list[int]) -> np.ndarray:
    """Return the way from an index of the cut and thinned array to that of the whole one."""
    way = np.diag([*map(float, strides), 1.0])
    way[:3, 3] = corner
    return way


def _file(volume: np.ndarray, affine: np.ndarray, axes: str, levels: int) -> str:
    """Write a volume [D, H, W] as NIfTI with its axes in the order x, y, z; intensities in so many steps."""
    order = [axes.index(name) for name in "xyz"]
    header = nib.Nifti1Header()
    if volume.dtype == np.float32:
        low, high = float(volume.min()), float(volume.max())
        slope = max(high - low, 1e-6) / levels
        volume = np.rint((volume - low) / slope).astype(np.uint8 if levels < 256 else np.int16)
        header.set_slope_inter(slope, low)
    header.set_data_dtype(volume.dtype)
    header.set_data_shape([volume.shape[axis] for axis in order])
    header.set_sform(affine[:, [*order, 3]], "scanner")
    header["pixdim"][1:4] = np.linalg.norm(affine[:3, order], axis=0)
    header["vox_offset"] = 352
    content = header.binaryblock + bytes(4) + volume.transpose(order).tobytes(order="F")
    return base64.b64encode(gzip.compress(content, 6, mtime=0)).decode()


def _window(scan: np.ndarray) -> tuple[float, float, float, float]:
    inside = scan[foreground(scan)]
    values = [scan.min(), scan.max(), *(np.percentile(inside, [1, 99.5]) if inside.size else (scan.min(), scan.max()))]
    least, greatest, black, white = (round(float(value), 4) for value in values)
    return least, greatest, black, max(white, black + 1e-3)


def _centre(cut: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the index to look at first: in the slice with most of the reference or prediction, else the middle."""
    for mask in (cut.get(REFERENCE), cut[PREDICTION]):
        if mask is not None and mask.any():
            depth = int((mask != 0).sum(axis=(1, 2)).argmax())
            return np.array([depth, *np.argwhere(mask[depth]).mean(axis=0).round()])
    return np.array(cut[PREDICTION].shape) // 2


def _words(levels: int, strides: list[int]) -> str:
    lost = [f"scans have {levels + 1} steps of intensity"] if levels < _LEVELS[0] else []
    lost += ["only some voxels are kept: 1 of " + " x ".join(map(str, strides))] if max(strides) > 1 else []
    return f"To keep this page small, {' and '.join(lost)}." if lost else ""


def panels_of(packed: Packed) -> list[dict[str, Any]]:
    """Return what can be looked at side by side: a title, and a panel a picture with its scan and its mask."""
    shown: list[tuple[str, list[tuple[str, str, str]]]] = []
    prediction = ("Prediction", SCAN, PREDICTION)
    if REFERENCE in packed.files:
        shown.append(("Prediction and truth", [prediction, ("Truth", SCAN, REFERENCE)]))
    else:
        shown.append(("Prediction", [prediction]))
    if DISAGREEMENT in packed.files:
        shown.append(("Doubt", [prediction, ("Where the views disagree", SCAN, DISAGREEMENT)]))
    if DIFFERENCE in packed.files:
        scan = MOVED_SCAN if MOVED_SCAN in packed.files else SCAN
        moved = [("f(T x)", scan, OF_MOVED), ("T f(x)", scan, MOVED), ("Where the two differ", scan, DIFFERENCE)]
        shown.append(("Equivariance", moved))
    return [{"title": title, "panels": panels} for title, panels in shown]
