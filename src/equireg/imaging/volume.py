"""One scan: its voxels, where they lie in the patient, and the way back into a file.

Arrays here keep the file's own axes: images are [C, X, Y, Z], masks [X, Y, Z]. Affines are RAS millimetres.
"""

import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from equireg.disk import disk_errors
from equireg.errors import EquiregError
from equireg.imaging.formats import EXTENSIONS, Header, read_header, read_voxels

__all__ = [
    "EXTENSIONS",
    "TOLERANCE_MM",
    "Geometry",
    "read_geometry",
    "read_image",
    "read_label",
    "write_channels",
    "write_label",
    "write_probabilities",
]

TOLERANCE_MM = 0.02
"""How far apart the same corner of two files may lie while they count as one geometry."""

_INTEGRAL_TOLERANCE = 1e-3  # a mask stored with an intensity scale comes back a rounding error off
_SCANNER = 1  # NIfTI code of coordinates in the scanner's frame

Row = tuple[float, float, float, float]


@dataclass(frozen=True)
class Geometry:
    """Where the voxels of a file lie in the patient."""

    shape: tuple[int, int, int]
    """Voxels along the file's own axes."""
    affine: tuple[Row, Row, Row, Row]
    """Voxel index to RAS millimetres."""

    @classmethod
    def from_array(cls, shape: Sequence[int], affine: np.ndarray) -> "Geometry":
        """Build from a shape and a [4, 4] array."""
        rows = [tuple(float(value) for value in row) for row in np.asarray(affine, dtype=np.float64)]
        x, y, z = (int(size) for size in shape)
        return cls((x, y, z), tuple(rows))  # pyright: ignore[reportArgumentType]

    @property
    def affine_array(self) -> np.ndarray:
        """Voxel index to RAS millimetres, [4, 4] float64."""
        return np.array(self.affine, dtype=np.float64)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbours along the file's own axes."""
        x, y, z = np.linalg.norm(self.affine_array[:3, :3], axis=0)
        return float(x), float(y), float(z)

    def corner_distance_mm(self, other: "Geometry") -> float:
        """Return how far apart the same corner of both lies at most; shapes must be alike.

        Corners say in the patient's millimetres what entries of a matrix do not: a small angle is far away at
        the end of a long axis.
        """
        corners = np.array([(*corner, 1.0) for corner in itertools.product(*((0, n - 1) for n in self.shape))])
        difference = corners @ (self.affine_array - other.affine_array).T
        return float(np.linalg.norm(difference[:, :3], axis=1).max())

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; ``from_dict`` reads them back."""
        return {"shape": list(self.shape), "affine": [list(row) for row in self.affine]}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Geometry":
        """Read what ``as_dict`` wrote."""
        return cls.from_array(content["shape"], np.array(content["affine"]))


def read_geometry(path: Path | str) -> tuple[Geometry, int]:
    """Read from a file's header where its voxels lie and how many channels it has.

    Raises:
        EquiregError: if the file is missing, cut short, not an image, or says nothing usable of its geometry.
    """
    path = Path(path)
    header = read_header(path)
    return _geometry(path, header), header.channels


def read_image(paths: Sequence[Path | str], picks: Sequence[int] | None = None) -> tuple[np.ndarray, Geometry]:
    """Read one scan: a file a channel in channel order, or one file with all channels.

    Args:
        paths: the files; several must have one channel each and agree in shape and affine.
        picks: channels to take of one file, in this order; None takes all as they are.

    Returns:
        Voxels [C, X, Y, Z] float32 along the file's own axes, and their geometry.

    Raises:
        EquiregError: if a file is unreadable, does not fit the first, or has channels that are not finite or
            constant.
    """
    if not paths:
        raise ValueError("read_image got no path; expected one file a channel.")
    files = [Path(path) for path in paths]
    voxels, header = read_voxels(files[0])
    geometry = _geometry(files[0], header)
    if len(files) == 1:
        for channel in range(header.channels) if picks is None else picks:
            which = f"channel {channel + 1} of {header.channels} " if header.channels > 1 else ""
            _check_channel(files[0], voxels[channel], which)
        return voxels if picks is None else voxels[list(picks)], geometry
    image = np.empty((len(files), *geometry.shape), dtype=np.float32)
    for index, file in enumerate(files):
        if index:
            voxels, header = read_voxels(file)
            _check_same(file, _geometry(file, header), geometry, f"the channel {files[0].name}")
        if header.channels != 1:
            raise EquiregError(
                f"{file}: has {header.channels} channels; expected one, as the case has a file a channel. "
                "Split it, or keep it as the only file of its case."
            )
        _check_channel(file, voxels[0], "")
        image[index] = voxels[0]
    return image, geometry


def read_label(path: Path | str, expected: Geometry) -> np.ndarray:
    """Read the mask of a scan.

    Args:
        path: the mask's file.
        expected: geometry of the scan that it belongs to.

    Returns:
        Label values [X, Y, Z] int64.

    Raises:
        EquiregError: if the file is unreadable, lies elsewhere than the scan, or holds no labels.
    """
    path = Path(path)
    voxels, header = read_voxels(path)
    if header.channels != 1:
        raise EquiregError(
            f"{path}: is a mask with {header.channels} channels; expected one label value a voxel. Merge the channels."
        )
    _check_same(path, _geometry(path, header), expected, "its scan")
    _check_finite(path, voxels, "")
    rounded = np.rint(voxels[0])
    off = np.abs(voxels[0] - rounded) > _INTEGRAL_TOLERANCE
    if off.any():
        raise EquiregError(
            f"{path}: is a mask with values that are not whole numbers, such as {voxels[0][off][0]:g} "
            f"({np.count_nonzero(off)} voxels); expected label values. Resample masks with nearest neighbour."
        )
    if rounded.min() < 0:
        raise EquiregError(
            f"{path}: is a mask with the negative value {int(rounded.min())}; expected label values from "
            "0 on. Give those voxels a label of their own."
        )
    return rounded.astype(np.int64)


def write_label(path: Path | str, values: np.ndarray, geometry: Geometry) -> None:
    """Write label values [X, Y, Z] as .nii.gz in the smallest unsigned type for them; whole or not at all.

    Raises:
        EquiregError: if the disk is full or not writable.
        ValueError: if the shape is not the geometry's, or a value is negative.
    """
    if values.size and values.min() < 0:
        raise ValueError(f"label values reach down to {values.min()}; expected none below 0.")
    _write(Path(path), values.astype(np.min_scalar_type(int(values.max(initial=0)))), geometry)


def write_probabilities(path: Path | str, probs: np.ndarray, geometry: Geometry) -> None:
    """Write probabilities [K, X, Y, Z] as a .nii.gz of four axes, classes last, float32; whole or not at all.

    Raises:
        EquiregError: if the disk is full or not writable.
        ValueError: if the shape is not the geometry's.
    """
    _write(Path(path), np.moveaxis(probs, 0, -1).astype(np.float32, copy=False), geometry)


def write_channels(path: Path | str, image: np.ndarray, geometry: Geometry) -> None:
    """Write voxels [C, X, Y, Z] as a .nii.gz of four axes, channels last, in their own type; whole or not at all.

    Raises:
        EquiregError: if the disk is full or not writable.
        ValueError: if the shape is not the geometry's.
    """
    _write(Path(path), np.moveaxis(image, 0, -1), geometry)


def _write(path: Path, voxels: np.ndarray, geometry: Geometry) -> None:
    if voxels.shape[:3] != geometry.shape:
        raise ValueError(f"{path.name}: voxels of shape {voxels.shape}; expected {geometry.shape} as the scan has.")
    if not path.name.endswith(".nii.gz"):
        raise ValueError(f"{path.name}: expected a name that ends in .nii.gz.")
    image = nib.Nifti1Image(voxels, geometry.affine_array)
    image.header.set_xyzt_units("mm")
    # Readers differ in which of the two they trust. The qform gives the voxel sizes and holds no shear; the
    # sform is exact.
    image.set_qform(geometry.affine_array, _SCANNER)
    image.set_sform(geometry.affine_array, _SCANNER)
    # The writer compresses by the ending, so the temporary name keeps it.
    temporary = path.with_name(f".{path.name.removesuffix('.nii.gz')}.partial-{os.getpid()}.nii.gz")
    try:
        with disk_errors(path):
            nib.save(image, temporary)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _geometry(path: Path, header: Header) -> Geometry:
    """Return the geometry of a header after a look at its affine."""
    affine = header.affine
    lengths = np.linalg.norm(affine[:3, :3], axis=0)
    # The volume of a cell of unit edges: 1 for right angles, 0 where an axis lies in the plane of the others.
    if not np.isfinite(affine).all() or lengths.min() <= 0 or abs(np.linalg.det(affine[:3, :3] / lengths)) < 1e-3:
        rows = "; ".join(" ".join(f"{value:g}" for value in row) for row in affine[:3])
        raise EquiregError(
            f"{path}: has the affine [{rows}], with an axis of no length or no direction; expected one "
            "that spans space. Correct the header's spacing and orientation."
        )
    return Geometry.from_array(header.shape, affine)


def _check_same(path: Path, found: Geometry, expected: Geometry, what: str) -> None:
    if found.shape != expected.shape:
        raise EquiregError(
            f"{path}: has the shape {found.shape}; expected {expected.shape} as {what} has. Resample it to that grid."
        )
    distance = found.corner_distance_mm(expected)
    if distance > TOLERANCE_MM:
        raise EquiregError(
            f"{path}: has another affine than {what}: corners lie up to {distance:.4g} mm apart, expected "
            "at most "
            f"{TOLERANCE_MM:g} mm. Resample it to that grid, or copy the header if only that is wrong."
        )


def _check_finite(path: Path, voxels: np.ndarray, which: str) -> None:
    bad = voxels.size - int(np.count_nonzero(np.isfinite(voxels)))
    if bad:
        raise EquiregError(
            f"{path}: {which}has {bad} voxels that are NaN or infinite, of {voxels.size}; expected "
            "numbers only. Replace them, by the background's value say."
        )


def _check_channel(path: Path, voxels: np.ndarray, which: str) -> None:
    _check_finite(path, voxels, which)
    low, high = voxels.min(), voxels.max()
    if low == high:
        raise EquiregError(
            f"{path}: {which}is empty, every voxel is {low:g}; expected a scan. Export it again, or remove the case."
        )
