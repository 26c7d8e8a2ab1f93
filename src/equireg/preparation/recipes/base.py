"""What a recipe decides: how a data set is split, planned, and led from raw voxels to what a network sees."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from equireg.config import PrepareConfig
from equireg.folders.prepared import Split
from equireg.imaging.grid import SliceAxis, WorkingGrid
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import Geometry
from equireg.layouts import RawCase, RawDataset


@dataclass(frozen=True)
class WorkingScan:
    """A scan as the network sees it, and the way back."""

    image: np.ndarray
    """float32 [C, D, H, W]."""
    background: tuple[float, ...]
    grid: WorkingGrid
    intensities: tuple[tuple[float, ...], ...] = ()
    """Raw percentiles ``normalise.PERCENTILES`` inside the foreground, [C][3]."""
    notes: tuple[str, ...] = ()
    """What the user should know of the scan."""


class Recipe(ABC):
    """One way to prepare a data set. It is chosen once by name, and nobody asks for the name after that."""

    name: ClassVar[str]
    refused_warning: ClassVar[str | None] = None
    """What a user must know where cases were refused."""
    keeps_splits: ClassVar[bool] = True
    """Whether those who were drawn before stay where they are."""

    @abstractmethod
    def check(self, config: PrepareConfig, layout: str) -> None:
        """Check that no option and no layout contradicts the recipe.

        Raises:
            UsageError: if one does.
        """

    @abstractmethod
    def frame(
        self, config: PrepareConfig, geometries: Sequence[Geometry]
    ) -> tuple[tuple[float, float, float] | None, SliceAxis]:
        """Return the spacing x, y, z in mm to resample to (None: each scan's own) and the axis across slices."""

    @abstractmethod
    def normalisation(
        self, config: PrepareConfig, dataset: RawDataset, training: Sequence[RawCase], labels: LabelTable
    ) -> Mapping[str, Any]:
        """Return what is done to intensities, as the manifest keeps it; measured on training cases alone."""

    @abstractmethod
    def split(
        self, config: PrepareConfig, dataset: RawDataset, usable: Sequence[RawCase], known: Mapping[str, Split]
    ) -> dict[str, Split]:
        """Assign every usable case to train, val or test.

        Args:
            config: the options.
            dataset: the raw folder.
            usable: the cases that can be read.
            known: patient to split of those who were drawn before.
        """

    @abstractmethod
    def steps(
        self, image: np.ndarray, grid: WorkingGrid, normalisation: Mapping[str, Any], *, keep_empty_slices: bool
    ) -> Iterator[tuple[str, WorkingScan]]:
        """Yield the name and the result of each step of preparation; the last is what the network sees.

        Args:
            image: voxels [C, X, Y, Z] in the scan's own grid; left as it is.
            grid: the working grid before cropping.
            normalisation: what ``normalisation`` returned.
            keep_empty_slices: whether slices without tissue stay, where the recipe makes that difference.
        """

    def keeps_empty_slices(self, split: Split) -> bool:
        """Return whether cases of a split keep slices without tissue."""
        return True
