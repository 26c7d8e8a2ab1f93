"""What an image file says of its voxels, whatever its format."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from equireg.errors import EquiregError

_SLAB_BYTES = 2**23


@dataclass(frozen=True)
class Header:
    """What a file says about its voxels, brought to three axes and a number of channels."""

    shape: tuple[int, int, int]
    """Voxels along the file's own axes."""
    channels: int
    affine: np.ndarray
    """Voxel index to RAS millimetres, [4, 4] float64."""
    dtype: np.dtype[Any]
    """Type of the stored numbers."""
    scale: tuple[float, float] | None = None
    """Slope and offset that make values of the stored numbers, where they change them."""
    other: np.ndarray | None = None
    """The affine that another reader takes, where it differs."""
    stated: Mapping[str, Any] | None = None
    """Fields of the header that a file in the same place must repeat."""
    remark: str | None = None
    """What is odd about the place, for people."""
    flat: bool = False
    """Whether the file has two axes alone."""

    @property
    def bytes(self) -> int:
        """Bytes of all stored numbers."""
        x, y, z = self.shape
        return self.channels * x * y * z * self.dtype.itemsize


class Slab(NamedTuple):
    """Some slices of an image, as they are stored."""

    channels: slice
    slices: slice
    """Where they lie along the file's third axis."""
    values: np.ndarray
    """Stored numbers, [channels, X, Y, slices]."""


def three_axes(path: Path, sizes: tuple[int, ...]) -> tuple[tuple[int, int, int], int]:
    """Split the sizes of an array into three spatial ones and a number of channels; refuse others, and empty ones."""
    spatial = (*sizes, 1, 1)[:3] if len(sizes) >= 2 else ()
    extra = [size for size in sizes[3:] if size != 1]
    if not spatial or len(extra) > 1 or min(sizes) < 1:
        raise EquiregError(
            f"{path}: has the array shape {sizes}; expected 2 or 3 spatial axes and at most one of "
            "channels, none empty. Correct the sizes in its header, or export it again."
        )
    return (spatial[0], spatial[1], spatial[2]), extra[0] if extra else 1


def slabs_of(read: Callable[[int], bytes], header: Header, *, vector: bool = False) -> Iterator[Slab]:
    """Give slices as they are stored: the slowest axis first, channels last if a voxel is a ``vector`` of values."""
    x, y, z = header.shape
    together = header.channels if vector else 1
    of_slice = x * y * header.dtype.itemsize * together
    step = max(1, _SLAB_BYTES // of_slice)
    for channel in range(0, header.channels, together):
        for start in range(0, z, step):
            stop = min(start + step, z)
            values = np.frombuffer(read((stop - start) * of_slice), dtype=header.dtype)
            values = values.reshape(stop - start, y, x, together).transpose(3, 2, 1, 0)
            yield Slab(slice(channel, channel + together), slice(start, stop), values)
