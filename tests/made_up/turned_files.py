"""Images stored again along other axes, by nibabel's way and so apart from the code under test."""

from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform


def store_along(path: Path, codes: str, shift_mm: float = 0.0) -> None:
    """Store a file along other axes, such as ``"PIR"``; each voxel stays where it is, but for a shift along world x."""
    image = nib.Nifti1Image.from_filename(path)
    affine = np.array(image.affine)
    way = ornt_transform(io_orientation(affine), axcodes2ornt(codes)).astype(int).tolist()
    affine[0, 3] += shift_mm
    nib.save(nib.Nifti1Image(np.asarray(image.dataobj), affine).as_reoriented(way), path)
