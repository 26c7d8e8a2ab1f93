"""One picture of a DICOM file, and where it lies."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equireg.imaging.placing import LPS_TO_RAS


@dataclass(frozen=True, slots=True)
class Plane:
    """One picture: where it lies, and how its stored numbers become values."""

    path: Path
    number: int
    """Frame in its file, from 0."""
    rows: int
    columns: int
    position: tuple[float, ...]
    """Of the first pixel's centre, LPS mm; empty where the header has none."""
    orientation: tuple[float, ...]
    """Direction along a row, then along a column; unit vectors."""
    spacing_mm: tuple[float, ...]
    """Between rows, then between columns."""
    thickness_mm: float | None
    """Between slices, as the header says."""
    slope: float
    intercept: float
    padding: tuple[int, int] | None
    """Least and largest stored number that stands for no measurement (PixelPaddingValue)."""
    phases: tuple[str, ...]
    """Values of ``heads.PHASES``."""
    rescaled: bool = True
    """Whether its header has slope and intercept."""

    @property
    def normal(self) -> np.ndarray:
        """The direction in which slices follow each other; of length 1, also where the orientation is rounded."""
        normal = np.cross(self.orientation[:3], self.orientation[3:])
        return normal / np.linalg.norm(normal)

    def affine(self, step: np.ndarray) -> np.ndarray:
        """Return the affine of a stack that begins here, (column, row, slice) to RAS mm.

        ``step`` leads from one slice to the next, LPS mm.
        """
        affine = np.eye(4)
        affine[:3, 0] = np.array(self.orientation[:3]) * self.spacing_mm[1]
        affine[:3, 1] = np.array(self.orientation[3:]) * self.spacing_mm[0]
        affine[:3, 2] = step
        affine[:3, 3] = self.position
        return LPS_TO_RAS @ affine
