"""Label values, probabilities and channels into .nii.gz files that lie on their scan in every reader."""

from pathlib import Path
from typing import Any

import numpy as np

from equireg.disk import staged_file
from equireg.imaging.geometry import Geometry
from equireg.imaging.labels import in_smallest_type

_SCANNER = 1  # NIfTI code of coordinates in the scanner's frame
_LONGEST = 2**15 - 1
"""Voxels along an axis that NIfTI-1 can state; NIfTI-2 states more."""


def write_label(path: Path | str, values: np.ndarray, geometry: Geometry) -> None:
    """Write label values [X, Y, Z] as .nii.gz in the smallest integer type for them; completely or not at all.

    The mask of a file of two axes has two axes. The type is unsigned unless a value is negative.

    Raises:
        EquiregError: if the disk is full or not writable.
        ValueError: if the shape is not the geometry's.
    """
    _write(Path(path), in_smallest_type(values), geometry, flat=geometry.flat)


def write_probabilities(path: Path | str, probs: np.ndarray, geometry: Geometry) -> None:
    """Write probabilities [K, X, Y, Z] as ``write_label`` does, float32 with classes as the last of four axes."""
    _write(Path(path), np.moveaxis(probs, 0, -1).astype(np.float32, copy=False), geometry)


def write_channels(path: Path | str, image: np.ndarray, geometry: Geometry) -> None:
    """Write voxels [C, X, Y, Z] as ``write_label`` does, in their own type with channels as the last of four axes."""
    _write(Path(path), np.moveaxis(image, 0, -1), geometry)


def _write(path: Path, voxels: np.ndarray, geometry: Geometry, *, flat: bool = False) -> None:
    import nibabel as nib

    if voxels.shape[:3] != geometry.shape:
        raise ValueError(f"{path.name}: voxels of shape {voxels.shape}; expected {geometry.shape} as the scan has.")
    if not path.name.endswith(".nii.gz"):
        raise ValueError(f"{path.name}: expected a name that ends in .nii.gz.")
    voxels = voxels[:, :, 0] if flat else voxels
    long = max(voxels.shape) > _LONGEST
    header = nib.Nifti2Header() if long else nib.Nifti1Header()
    header.set_data_dtype(voxels.dtype)
    header.set_data_shape(voxels.shape)
    if geometry.stated is None:
        header.set_xyzt_units("mm")
        # Readers differ in which of the two they trust. The qform gives the voxel sizes and holds no shear; the
        # sform is exact.
        header.set_qform(geometry.affine_array, _SCANNER)
        header.set_sform(geometry.affine_array, _SCANNER)
    image = (nib.Nifti2Image if long else nib.Nifti1Image)(voxels, None, header)
    if geometry.stated is not None:
        _repeat(image.header, geometry.stated)  # not before: a new image would correct negative voxel sizes
    # The writer compresses by the ending, so the temporary name keeps it.
    with staged_file(path, ".nii.gz") as temporary:
        nib.save(image, temporary.absolute())  # a folder that is called `~` is no home


def _repeat(header: Any, stated: Any) -> None:
    """State the scan's place as the scan's own header does."""
    for name, value in stated.items():
        if name == "pixdim":
            header["pixdim"][:4] = value[:4]
        else:
            header[name] = value
