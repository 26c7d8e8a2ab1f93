"""A mask in little memory: a byte a voxel, and the box of each label."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy

from equireg.imaging.boxes import Box, union
from equireg.imaging.geometry import Geometry
from equireg.imaging.masks import MaskFiles

_CHUNK_VOXELS = 2**18
"""Voxels that are looked at in one go, so that what is needed on the way stays small."""


@dataclass(frozen=True)
class LabelVoxels:
    """The label values of a file."""

    codes: np.ndarray
    """A code for each voxel [X, Y, Z], uint8 as far as 256 values are enough; 0 is label 0."""
    code_of: Mapping[int, int]
    """Label value to its code, for all values found and 0."""
    boxes: Sequence[Box | None]
    """The smallest box around each code from 1 on."""

    @classmethod
    def read(cls, mask: MaskFiles, geometry: Geometry) -> "LabelVoxels":
        """Read a mask that lies as ``geometry`` says.

        Raises:
            EquiregError: as ``MaskFiles.read`` does.
        """
        return cls.of(mask.read(geometry))

    @classmethod
    def of(cls, labels: np.ndarray) -> "LabelVoxels":
        """Take label values [X, Y, Z], whole numbers."""
        found = _found_values(labels)
        if labels.dtype == np.uint8:
            code_of = {value: value for value in found}
        else:
            code_of = {0: 0, **{value: code for code, value in enumerate((v for v in found if v), start=1)}}
            labels = _coded(labels, code_of)
        return cls(labels, code_of, _boxes(labels, max(code_of.values())))

    @property
    def values(self) -> frozenset[int]:
        """The label values found, and 0."""
        return frozenset(self.code_of)

    def holds_only(self, value: int) -> bool:
        """Whether all voxels have one label value."""
        code = self.code_of.get(value)
        return code is not None and all(bool((chunk == code).all()) for chunk in _chunks(_contiguous(self.codes)))

    def box(self, members: Collection[int]) -> Box | None:
        """Return the smallest box around all voxels of some label values; None where there is none."""
        if 0 in members:
            return tuple(slice(0, size) for size in self.codes.shape)
        boxes = [self.boxes[self.code_of[value] - 1] for value in members if value in self.code_of]
        return union([box for box in boxes if box is not None])

    def mask(self, members: Collection[int], box: Box) -> np.ndarray:
        """Return where a box holds one of some label values, boolean."""
        crop = self.codes[box]
        mask = np.zeros(crop.shape, dtype=bool)
        for value in members:
            if value in self.code_of:
                mask |= crop == self.code_of[value]
        return mask


def _chunks(array: np.ndarray) -> list[np.ndarray]:
    """Return all voxels of an array that is contiguous in any order, in parts that share its memory."""
    flat = array.reshape(-1, order="A")
    return [flat[start : start + _CHUNK_VOXELS] for start in range(0, flat.size, _CHUNK_VOXELS)]


def _contiguous(array: np.ndarray) -> np.ndarray:
    return array if array.flags.forc else np.ascontiguousarray(array)


def _found_values(labels: np.ndarray) -> list[int]:
    """Return the label values of a mask and 0, ascending."""
    found = {0}
    for chunk in _chunks(_contiguous(labels)):
        if labels.dtype in (np.uint8, np.uint16):
            found.update(int(value) for value in np.flatnonzero(np.bincount(chunk)))
        else:
            # Most of a mask is background; to sort it would take longer than all metrics together.
            found.update(int(value) for value in np.unique(chunk[chunk != 0]))
    return sorted(found)


def _boxes(codes: np.ndarray, largest: int) -> list[Box | None]:
    """Return the box of each code from 1 on; SciPy is ten times faster along the memory's own order."""
    if not largest:
        return []
    if codes.flags.c_contiguous:
        return scipy.ndimage.find_objects(codes, largest)
    return [None if box is None else box[::-1] for box in scipy.ndimage.find_objects(codes.T, largest)]


def _coded(labels: np.ndarray, code_of: Mapping[int, int]) -> np.ndarray:
    """Replace each label value by its code."""
    labels = _contiguous(labels)
    values = np.array(sorted(code_of))
    codes = np.array([code_of[int(value)] for value in values], dtype=np.min_scalar_type(len(values) - 1))
    coded = np.empty_like(labels, dtype=codes.dtype)
    for chunk, target in zip(_chunks(labels), _chunks(coded), strict=True):
        target[...] = codes[np.searchsorted(values, chunk)]
    return coded
