"""Where the voxels of a NIfTI file lie: one rule for its qform, its sform, its spacing and its unit.

A NIfTI header can say twice where the voxels lie: by the qform (a rotation and an offset, with the spacing in
``pixdim``) and by the sform (any affine), each with a code, 0 for "not set". Readers differ in which they take. The
rule here is that of ITK, and so of 3D Slicer and ITK-SNAP:

1. Numbers are in the unit of ``xyzt_units``: metres and micrometres become mm; no unit counts as mm.
2. One code set: that form counts.
3. Both set: the sform where its code is 1 (scanner) or both agree, else the qform.
4. The spacing is that of ``pixdim``; the chosen form gives the directions and the offset. A negative size, which the
   format forbids, turns its axis round.
5. Neither set: the axes run to left, posterior and superior from the origin, with the spacing of ``pixdim``.

A form that spans no space (an axis of zeros) counts as not set where the other one does span space. One exception
from ITK's rule: a sheared sform counts as it is. ITK refuses it, or takes the qform, which cannot hold the shear.
Nibabel takes the sform where its code is set, ignores the unit and gives "neither" a place of its own. Where that leads
elsewhere, a remark says so, and files written for the scan state again all that its header states, so that they lie
on the scan in either reader.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

SAME_MM = 0.02
"""Farthest that the corners of two placements lie apart while they count as one."""

_UNITS = {1: (1000.0, "metres"), 3: (0.001, "micrometres")}
"""Code of ``xyzt_units`` to millimetres and name; all others are millimetres."""
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
"""From the axes of DICOM and ITK to those of NIfTI, mm; it is its own inverse."""
_ORTHONORMAL = 1e-4  # as ITK's
_SCANNER = 1
_SMALLEST_VOLUME = 1e-3

_STATED = (
    *("qform_code", "sform_code", "pixdim", "xyzt_units"),
    *("quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"),
    *("srow_x", "srow_y", "srow_z"),
)
"""Fields of a header that say where the voxels lie."""


@dataclass(frozen=True)
class Placement:
    """Where the voxels of a file lie."""

    affine: np.ndarray
    """Voxel index to RAS millimetres by the rule, [4, 4]."""
    other: np.ndarray | None = None
    """The affine that another reader takes, in mm, where it differs."""
    stated: Mapping[str, Any] | None = None
    """The header's own fields, where a file in the scan's place must repeat them."""
    remark: str | None = None
    """What differs, for people."""


def place(header: Any, shape: tuple[int, int, int], signs: np.ndarray) -> Placement:
    """Find where the voxels of a NIfTI file lie.

    Args:
        header: nibabel's, whose voxel sizes are not negative; its numbers need not be sane.
        shape: voxels along each axis.
        signs: those of the three voxel sizes in the file.
    """
    with np.errstate(all="ignore"):  # what is not finite is refused by whoever judges the affine
        return _place(header, shape, signs)


def _place(header: Any, shape: tuple[int, int, int], signs: np.ndarray) -> Placement:
    spacing = np.abs(np.asarray(header["pixdim"][1:4], dtype=np.float64))
    spacing[spacing == 0] = 1.0
    codes = int(header["qform_code"]), int(header["sform_code"])
    qform = _qform(header, spacing) if codes[0] > 0 else None
    sform = header.get_sform() if codes[1] > 0 else None
    scale, unit = _UNITS.get(int(header["xyzt_units"]) % 8, (1.0, "mm"))
    to_mm = np.diag([scale, scale, scale, 1.0])
    stated = {name: np.asarray(header[name]).tolist() for name in _STATED}
    stated["pixdim"][1:4] = (np.asarray(stated["pixdim"][1:4]) * signs).tolist()
    if qform is not None and sform is not None and not spans_space(sform):
        return Placement(to_mm @ qform, None, stated, "its sform spans no space; its qform is used")
    nibabels = to_mm @ (sform if sform is not None else qform if qform is not None else header.get_base_affine())
    if sform is not None and not _is_orthonormal(sform):
        if qform is None or farthest_mm(nibabels, to_mm @ qform, shape) <= SAME_MM:
            return Placement(nibabels, stated=stated if scale != 1 else None)
        remark = "its sform is sheared and its qform is not; the sform is used, ITK takes the qform"
        return Placement(nibabels, to_mm @ qform, stated, remark)
    itks = to_mm @ _itks(qform, sform, spacing, codes[1]) @ np.diag([*signs, 1.0])
    apart = farthest_mm(nibabels, itks, shape)
    converted = [] if unit == "mm" else [f"its header gives lengths in {unit}; they are converted to mm"]
    if apart <= SAME_MM:
        return Placement(nibabels, stated=stated if scale != 1 else None, remark="; ".join(converted) or None)
    negative = (signs < 0).any()
    remark = _of_signs(spacing * signs) if negative else _of_forms(qform, sform, spacing, apart)
    return Placement(itks, nibabels, stated, "; ".join([remark, *converted]))


def farthest_mm(first: np.ndarray, second: np.ndarray, shape: tuple[int, int, int]) -> float:
    """Return how far apart two affines place the same corner of an array at most."""
    corners = np.stack(np.meshgrid(*((0, size - 1) for size in shape), indexing="ij"), axis=-1).reshape(-1, 3)
    with np.errstate(all="ignore"):
        difference = first - second
        return float(np.linalg.norm(corners @ difference[:3, :3].T + difference[:3, 3], axis=1).max())


def spans_space(affine: np.ndarray) -> bool:
    """Return whether no axis has zero length or lies in the plane of the others, and all is finite."""
    with np.errstate(all="ignore"):
        lengths = np.linalg.norm(affine[:3, :3], axis=0)
        # The volume of a cell of unit edges: 1 for right angles, 0 where an axis lies in the plane of the others.
        return bool(
            np.isfinite(affine).all()
            and lengths.min() > 0
            and abs(np.linalg.det(affine[:3, :3] / lengths)) >= _SMALLEST_VOLUME
        )


def _itks(qform: np.ndarray | None, sform: np.ndarray | None, spacing: np.ndarray, sform_code: int) -> np.ndarray:
    """Return the affine that ITK makes of the forms, in the header's unit; the sform is not sheared."""
    if qform is None and sform is None:
        return LPS_TO_RAS @ np.diag([*spacing, 1.0])
    agree = qform is not None and sform is not None and np.allclose(qform, sform, rtol=0, atol=1e-4)
    by_sform = qform is None or (sform is not None and (sform_code == _SCANNER or agree))
    affine = np.array(sform if by_sform else qform)
    affine[:3, :3] *= spacing / np.linalg.norm(affine[:3, :3], axis=0)
    return affine


def _qform(header: Any, spacing: np.ndarray) -> np.ndarray:
    """Return the qform as the reference library reads it, also of a quaternion that is too long."""
    b, c, d = (float(header[f"quatern_{name}"]) for name in "bcd")
    length = b * b + c * c + d * d
    if 1 - length < 1e-7:
        b, c, d = (value / np.sqrt(length) for value in (b, c, d))
        a = 0.0
    else:
        a = np.sqrt(1 - length)
    turn = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    qform = np.eye(4)
    qform[:3, :3] = turn * spacing * [1, 1, -1 if float(header["pixdim"][0]) < 0 else 1]
    qform[:3, 3] = [float(header[f"qoffset_{name}"]) for name in "xyz"]
    return qform


def _is_orthonormal(affine: np.ndarray) -> bool:
    """Return whether the axes stand at right angles."""
    turn = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return bool(np.allclose(turn @ turn.T, np.eye(3), rtol=0, atol=_ORTHONORMAL))


def _of_forms(qform: np.ndarray | None, sform: np.ndarray | None, spacing: np.ndarray, apart: float) -> str:
    if qform is None and sform is None:
        return "its header says neither by qform nor by sform where it lies; it is placed as ITK does"
    if qform is None or sform is None:
        return f"its sform and its pixdim disagree in spacing ({_sizes(sform)} and {_shown(spacing)}); pixdim is used"
    return (
        f"its qform and sform disagree by up to {apart:.3g} mm (spacing {_sizes(qform)} and {_sizes(sform)}); it is "
        "placed as ITK does, other readers may place it elsewhere"
    )


def _of_signs(signed: np.ndarray) -> str:
    return (
        f"its header has a negative voxel size (pixdim {_shown(signed)}); that axis is turned round as ITK does, other "
        "readers do not and place it elsewhere"
    )


def _sizes(affine: np.ndarray | None) -> str:
    return "unknown" if affine is None else _shown(np.linalg.norm(affine[:3, :3], axis=0))


def _shown(spacing: np.ndarray) -> str:
    return " x ".join(f"{size:g}" for size in spacing)
