"""Image files to plain arrays: NIfTI by nibabel, MetaImage and NRRD by SimpleITK.

Nothing here judges what a file holds beyond being an image; ``volume`` does.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError, SpatialImage
from nibabel.wrapstruct import WrapStructError

from equireg.errors import EquiregError

if TYPE_CHECKING:
    import SimpleITK as sitk

EXTENSIONS = (".nii", ".nii.gz", ".mha", ".nrrd")
"""Endings of the files that equireg reads, in lower case."""

_UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,
    zlib.error,
    ImageFileError,
    HeaderDataError,
    WrapStructError,
)
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Header:
    """What a file says about its voxels, brought to three axes and a number of channels."""

    shape: tuple[int, int, int]
    """Voxels along the file's own axes."""
    channels: int
    affine: np.ndarray
    """Voxel index to RAS millimetres, [4, 4] float64."""


def extension_of(path: Path | str) -> str | None:
    """Return the ending of an image file as it stands in ``EXTENSIONS``, or None for another kind of file."""
    name = Path(path).name.lower()
    return next((ending for ending in sorted(EXTENSIONS, key=len, reverse=True) if name.endswith(ending)), None)


def read_header(path: Path) -> Header:
    """Read what a file says of its voxels, without the voxels.

    Raises:
        EquiregError: if the file is missing, cut short, or not an image.
    """
    with _readable(path):
        if _is_nifti(path):
            return _nifti_header(path, _open_nifti(path))
        return _itk_header(path, _open_itk(path))


def read_voxels(path: Path) -> tuple[np.ndarray, Header]:
    """Read all voxels of a file.

    Returns:
        Voxels [C, X, Y, Z] float32 along the file's own axes, any intensity scaling applied, and the header.

    Raises:
        EquiregError: if the file is missing, cut short, or not an image.
    """
    with _readable(path), np.errstate(over="ignore", invalid="ignore"):
        if _is_nifti(path):
            image = _open_nifti(path)
            header = _nifti_header(path, image)
            voxels = image.get_fdata(caching="unchanged", dtype=np.float32)
            voxels = voxels.reshape(*header.shape, header.channels, order="F")
            return np.ascontiguousarray(np.moveaxis(voxels, -1, 0)), header
        reader = _open_itk(path)
        header = _itk_header(path, reader)
        return _itk_voxels(reader, header), header


def _is_nifti(path: Path) -> bool:
    return extension_of(path) in (".nii", ".nii.gz")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn whatever a reader raises into one error that names the file."""
    if not path.exists():
        raise EquiregError(f"{path}: no such file. Check the path.")
    if not path.is_file():
        raise EquiregError(f"{path}: is a folder; expected an image file ({', '.join(EXTENSIONS)}).")
    if extension_of(path) is None:
        raise EquiregError(f"{path}: is not a known kind of image; expected one of {', '.join(EXTENSIONS)}.")
    try:
        yield
    except PermissionError as error:
        raise EquiregError(f"{path}: reading is not permitted. Change the file's permissions.") from error
    except _UNREADABLE as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = lines[-1].rstrip(".") if lines else type(error).__name__
        raise EquiregError(
            f"{path}: cannot be read as an image, it is cut short, damaged or of another format ({reason}). "
            "Copy it again from its source, or remove it."
        ) from error


def _three_axes(path: Path, sizes: tuple[int, ...]) -> tuple[tuple[int, int, int], int]:
    """Split the sizes of an array into three spatial ones and a number of channels."""
    spatial = (*sizes, 1, 1)[:3] if len(sizes) >= 2 else ()
    extra = [size for size in sizes[3:] if size != 1]
    if not spatial or len(extra) > 1 or min(sizes) < 1:
        raise EquiregError(
            f"{path}: has the array shape {sizes}; expected 2 or 3 spatial axes and at most one of "
            "channels, none empty."
        )
    return (spatial[0], spatial[1], spatial[2]), extra[0] if extra else 1


def _open_nifti(path: Path) -> SpatialImage:
    image = nib.load(path, mmap=False)
    if not isinstance(image, SpatialImage):
        raise EquiregError(f"{path}: is a {type(image).__name__}; expected an image of voxels.")
    if image.get_data_dtype().kind not in "buif":
        raise EquiregError(
            f"{path}: has voxels of type {image.get_data_dtype()}; expected plain numbers. Save it as one "
            "grey value a voxel and channel."
        )
    return image


def _nifti_header(path: Path, image: SpatialImage) -> Header:
    shape, channels = _three_axes(path, tuple(int(size) for size in image.shape))
    affine = image.affine
    if affine is None:
        raise EquiregError(f"{path}: has no affine; expected where its voxels lie. Save it again with one.")
    return Header(shape, channels, np.asarray(affine, dtype=np.float64))


def _open_itk(path: Path) -> "sitk.ImageFileReader":
    import SimpleITK as sitk  # 0.2 s that a folder of NIfTI files need not wait for

    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return reader


def _itk_header(path: Path, reader: "sitk.ImageFileReader") -> Header:
    """Bring ITK's spacing, direction and origin (LPS) to one affine (RAS)."""
    sizes = tuple(int(size) for size in reader.GetSize())
    dimension = len(sizes)
    components = int(reader.GetNumberOfComponents())
    shape, channels = _three_axes(path, sizes)
    if components > 1 and channels > 1:
        raise EquiregError(
            f"{path}: has {components} values a voxel and a fourth axis of {channels}; expected channels "
            "in one of them."
        )
    used = min(dimension, 3)
    direction = np.array(reader.GetDirection(), dtype=np.float64).reshape(dimension, dimension)[:used, :used]
    affine = np.eye(4)
    affine[:used, :used] = direction * np.array(reader.GetSpacing()[:used])
    affine[:used, 3] = reader.GetOrigin()[:used]
    return Header(shape, max(components, channels), _LPS_TO_RAS @ affine)


def _itk_voxels(reader: "sitk.ImageFileReader", header: Header) -> np.ndarray:
    """Read the voxels, which SimpleITK gives slowest axis first and components last, as [C, X, Y, Z]."""
    import SimpleITK as sitk

    image = reader.Execute()
    voxels = sitk.GetArrayViewFromImage(image)
    if image.GetNumberOfComponentsPerPixel() > 1:
        voxels = np.moveaxis(voxels, -1, 0)
    voxels = voxels.reshape(header.channels, *header.shape[::-1])
    return np.ascontiguousarray(voxels.transpose(0, 3, 2, 1), dtype=np.float32)
