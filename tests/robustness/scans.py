"""Kinds of files that hold scans, and how each is read."""

import functools
import gzip
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import SimpleITK as sitk

from fuzz import Subject, Target

VOXELS = np.abs(np.random.default_rng(1).normal(size=(11, 10, 9)) * 50).astype(np.int16)
MASK = (VOXELS > 40).astype(np.uint8)


def nifti(voxels: np.ndarray = VOXELS, kind: type = nib.Nifti1Image) -> bytes:
    """Return a file of voxels [X, Y, Z]."""
    return kind(voxels, np.diag([1.0, 2.0, 3.0, 1.0])).to_bytes()


def scan_file(name: str, content: bytes, damage: Callable[..., bytes], *, packs: bool = False) -> Target:
    def make(folder: Path) -> Subject:
        from equireg.imaging.volume import read_geometry, read_image, read_label

        path = folder / name
        path.write_bytes(content)

        def read() -> Any:
            if packs:
                path.write_bytes(gzip.compress(path.read_bytes(), 1, mtime=0))
            geometry, _ = read_geometry(path)
            image, again = read_image([path])
            if again != geometry or image.shape[1:] != geometry.shape:
                raise AssertionError("two readings of one file differ")
            return [image, read_label(path, geometry), geometry.affine_array]

        return Subject(path, damage, read)

    return Target(make, sealed=name.endswith(".nii.gz") and not packs)


@functools.cache
def by_itk(ending: str, packed: bool) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"seed.{ending}"
        sitk.WriteImage(sitk.GetImageFromArray(VOXELS), str(path), useCompression=packed)
        return path.read_bytes()
