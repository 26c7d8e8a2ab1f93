"""Where the voxels of a scan lie in the patient."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from equireg.imaging.placing import farthest_mm

Row = tuple[float, float, float, float]
AffineRows = tuple[Row, Row, Row, Row]


@dataclass(frozen=True)
class Geometry:
    """Where the voxels of a file lie in the patient."""

    shape: tuple[int, int, int]
    """Voxels along the file's own axes."""
    affine: AffineRows
    """Voxel index to RAS millimetres."""
    other: AffineRows | None = field(default=None, compare=False)
    """The affine that another reader takes of the same file, where its header states two places."""
    stated: Mapping[str, Any] | None = field(default=None, compare=False)
    """What the file's header says of its place, where a file in the same place must say it again."""
    flat: bool = field(default=False, compare=False)
    """Whether the file has two axes alone, as a mask of it must have: arrays of other shapes broadcast silently."""

    slices: tuple[float, ...] | None = field(default=None, compare=False)
    """Where slices of unequal distances lie along the third axis, in voxels, from 0 on; None where they are equal."""

    @classmethod
    def from_array(
        cls,
        shape: Sequence[int],
        affine: np.ndarray,
        other: np.ndarray | None = None,
        stated: Mapping[str, Any] | None = None,
        *,
        flat: bool = False,
        slices: Sequence[float] | None = None,
    ) -> "Geometry":
        """Build from a shape and arrays [4, 4]."""
        x, y, z = (int(size) for size in shape)
        return cls(
            (x, y, z),
            _rows(affine),
            None if other is None else _rows(other),
            stated,
            flat,
            None if slices is None else tuple(map(float, slices)),
        )

    @property
    def affine_array(self) -> np.ndarray:
        """Voxel index to RAS millimetres, [4, 4] float64."""
        return np.array(self.affine, dtype=np.float64)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbours along the file's own axes."""
        x, y, z = np.linalg.norm(self.affine_array[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def voxel_mm3(self) -> float:
        """Volume of a voxel; less than the product of its spacings where the axes are not perpendicular."""
        return float(abs(np.linalg.det(self.affine_array[:3, :3])))

    @property
    def shear_factor(self) -> float:
        """Volume of a voxel over the product of its spacings: 1 where the axes are perpendicular, else less."""
        return self.voxel_mm3 / math.prod(self.spacing_mm)

    def corner_distance_mm(self, other: "Geometry") -> float:
        """Return how far apart the same corner of both lies at most; shapes must be equal.

        Corners say in the patient's millimetres what entries of a matrix do not: a small angle is far away at
        the end of a long axis. Of a file that states two places the nearer one counts: a mask drawn in one reader
        belongs to the scan as that reader shows it.
        """
        return min(
            farthest_mm(np.array(mine), np.array(theirs), self.shape)
            for mine in (self.affine, self.other)
            for theirs in (other.affine, other.other)
            if mine is not None and theirs is not None
        )

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; ``from_dict`` reads them back."""
        content: dict[str, Any] = {"shape": list(self.shape), "affine": [list(row) for row in self.affine]}
        if self.other is not None:
            content["other"] = [list(row) for row in self.other]
        if self.stated is not None:
            content["stated"] = dict(self.stated)
        if self.flat:
            content["flat"] = True
        if self.slices is not None:
            content["slices"] = list(self.slices)
        return content

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "Geometry":
        """Read what ``as_dict`` wrote."""
        other = content.get("other")
        return cls.from_array(
            content["shape"],
            np.array(content["affine"]),
            None if other is None else np.array(other),
            content.get("stated"),
            flat=content.get("flat") is True,
            slices=content.get("slices"),
        )


def _rows(affine: np.ndarray) -> AffineRows:
    a, b, c, d = (
        (float(row[0]), float(row[1]), float(row[2]), float(row[3])) for row in np.asarray(affine, dtype=np.float64)
    )
    return a, b, c, d
