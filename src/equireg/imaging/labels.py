"""What the label values of a data set mean: classes for the network, values and regions for people."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from equireg.errors import EquiregError

IGNORED = 255
"""Class index of voxels that carry the data set's ignore label: they enter no loss and no metric."""


@dataclass(frozen=True)
class LabelTable:
    """The classes of a data set: index i has the value ``values[i]`` in files and the name ``names[i]``.

    ``regions`` are named unions of label values that the data set is judged by (BraTS' whole tumour); where
    there are none, each label but the background is a region of its own.
    """

    values: tuple[int, ...]
    """Label values as they stand in files; the first is the background."""
    names: tuple[str, ...]
    regions: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Region name to the label values that it unites."""
    ignore: int | None = None
    """Label value of voxels that nobody annotated, or None."""

    def __post_init__(self) -> None:
        if len(self.values) != len(self.names) or len(set(self.values)) != len(self.values):
            raise EquiregError(f"labels {self.values} with names {self.names}: expected one name a value, none twice.")
        if len(self.values) > IGNORED:
            raise EquiregError(f"{len(self.values)} labels; expected at most {IGNORED}.")

    @property
    def classes(self) -> int:
        """Number of classes, background included."""
        return len(self.values)

    def judged_regions(self) -> dict[str, tuple[int, ...]]:
        """Return the regions to report: those of the data set, or each label but the background."""
        if self.regions:
            return dict(self.regions)
        return {name: (value,) for name, value in zip(self.names[1:], self.values[1:], strict=True)}

    def to_classes(self, values: np.ndarray) -> np.ndarray:
        """Turn label values into class indices (uint8; the ignore label becomes ``IGNORED``).

        Raises:
            EquiregError: if a value is unknown.
        """
        known = dict(zip(self.values, range(self.classes), strict=True))
        if self.ignore is not None:
            known[self.ignore] = IGNORED
        found, inverse = np.unique(values, return_inverse=True)
        unknown = [int(value) for value in found if int(value) not in known]
        if unknown:
            raise EquiregError(f"has the label values {unknown}; expected some of {sorted(known)}.")
        table = np.array([known[int(value)] for value in found], dtype=np.uint8)
        return table[inverse].reshape(values.shape)

    def to_values(self, classes: np.ndarray) -> np.ndarray:
        """Turn class indices into label values, in the smallest integer type that holds them all."""
        return np.array(self.values).astype(np.min_scalar_type(max(self.values)))[classes]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; ``from_dict`` reads them back."""
        return {
            "labels": dict(zip(self.names, self.values, strict=True)),
            "regions": {name: list(values) for name, values in self.regions.items()},
            "ignore": self.ignore,
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "LabelTable":
        """Read what ``as_dict`` wrote."""
        labels = content["labels"]
        return cls(
            values=tuple(int(value) for value in labels.values()),
            names=tuple(labels),
            regions={name: tuple(values) for name, values in content["regions"].items()},
            ignore=content["ignore"],
        )
