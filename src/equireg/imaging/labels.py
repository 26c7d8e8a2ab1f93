"""What the label values of a data set mean: classes for the network, values and regions for people."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from equireg.errors import EquiregError
from equireg.imaging.colours import RGB, ColourTable

IGNORED = 255
"""Class index of voxels that carry the data set's ignore label: they enter no loss and no metric."""


_PART = 2**20  # values worked on at once
_SHOWN = 20  # unknown values that an error shows
_INTEGERS = (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.int64)


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
    colours: Mapping[int, RGB] = field(default_factory=dict)
    """Label value to its colour in masks that are pictures with a palette or in colour; empty for all others."""

    def __post_init__(self) -> None:
        if not len(self.values) == len(set(self.values)) == len(self.names) == len(set(self.names)):
            raise EquiregError(f"labels {self.values} with names {self.names}: expected one name a value, none twice.")
        if len(self.values) > IGNORED:
            raise EquiregError(f"{len(self.values)} labels; expected at most {IGNORED}.")

    @property
    def classes(self) -> int:
        """Number of classes, background included."""
        return len(self.values)

    def renamed(self, names: Mapping[int, str]) -> "LabelTable":
        """Return the table with other names of some label values."""
        return replace(self, names=tuple(map(names.get, self.values, self.names)))

    def judged_regions(self) -> dict[str, tuple[int, ...]]:
        """Return the regions to report: those of the data set, or each label but the background."""
        if self.regions:
            return dict(self.regions)
        return {name: (value,) for name, value in zip(self.names[1:], self.values[1:], strict=True)}

    def to_classes(self, values: np.ndarray) -> np.ndarray:
        """Turn label values into class indices (uint8; the ignore label becomes ``IGNORED``).

        Works on some rows at a time: beside the result it needs little memory.

        Raises:
            EquiregError: if a value is unknown.
        """
        known = dict(zip(self.values, range(self.classes), strict=True))
        if self.ignore is not None:
            known[self.ignore] = IGNORED
        fitting = sorted(value for value in known if _fits(value, values.dtype))
        keys = np.array(fitting, dtype=values.dtype)
        indices = np.array([known[value] for value in fitting], dtype=np.uint8)
        classes = np.empty(values.shape, dtype=np.uint8)
        unknown: set[int | float] = set()
        for part, result in _parts(values, classes):
            place = np.minimum(np.searchsorted(keys, part), max(len(keys) - 1, 0))
            wrong = keys[place] != part if len(keys) else np.ones(part.shape, dtype=bool)
            if wrong.any():
                unknown.update(np.unique(part[wrong]).tolist())
            elif not unknown:
                result[...] = indices[place]
        if unknown:
            some = sorted(unknown)[:_SHOWN]
            more = f" and {len(unknown) - len(some)} more" if len(unknown) > len(some) else ""
            raise EquiregError(f"has the label values {some}{more}; expected some of {sorted(known)}.")
        return classes

    def to_values(self, classes: np.ndarray) -> np.ndarray:
        """Turn class indices into label values, in the smallest integer type that holds them all."""
        return np.array(self.values, dtype=smallest_integer(min(self.values), max(self.values)))[classes]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; ``from_dict`` reads them back."""
        content: dict[str, Any] = {
            "labels": dict(zip(self.names, self.values, strict=True)),
            "regions": {name: list(values) for name, values in self.regions.items()},
            "ignore": self.ignore,
        }
        if self.colours:
            content["colours"] = {str(value): list(colour) for value, colour in self.colours.items()}
        return content

    def colour_table(self) -> ColourTable | None:
        """Return what the colours of masks mean; None where they have none."""
        return ColourTable.of(self.colours)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "LabelTable":
        """Read what ``as_dict`` wrote."""
        labels = content["labels"]
        return cls(
            values=tuple(int(value) for value in labels.values()),
            names=tuple(labels),
            regions={name: tuple(values) for name, values in content["regions"].items()},
            ignore=content["ignore"],
            colours={int(value): (r, g, b) for value, (r, g, b) in content.get("colours", {}).items()},
        )


def smallest_integer(low: int, high: int) -> np.dtype[Any]:
    """Return the smallest integer type that holds ``low`` to ``high``; unsigned where it can be.

    Raises:
        ValueError: if no type of 64 bits holds both.
    """
    for kind in _INTEGERS:
        limits = np.iinfo(kind)
        if limits.min <= low and high <= limits.max:
            return np.dtype(kind)
    raise ValueError(f"label values from {low} to {high}; expected what 64 bits can hold.")


def in_smallest_type(values: np.ndarray) -> np.ndarray:
    """Return whole numbers in the smallest integer type that holds them."""
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    return values.astype(smallest_integer(low, high), copy=False)


def distinct(values: np.ndarray) -> list[int]:
    """Return the values of a mask in rising order, with little memory."""
    found: set[int] = set()
    for (part,) in _parts(values):
        found.update(np.unique(part).tolist())
    return sorted(found)


def counted(values: np.ndarray) -> dict[int, int]:
    """Return how many voxels have each value of a mask, in rising order, with little memory."""
    found: Counter[int] = Counter()
    for (part,) in _parts(values):
        kinds, voxels = np.unique(part, return_counts=True)
        found.update(dict(zip(kinds.tolist(), voxels.tolist(), strict=True)))
    return dict(sorted(found.items()))


def _fits(value: int, dtype: np.dtype[Any]) -> bool:
    return dtype.kind not in "iu" or np.iinfo(dtype).min <= value <= np.iinfo(dtype).max


def _parts(*arrays: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Yield the same rows of all arrays, of about ``_PART`` values each."""
    first = np.atleast_1d(arrays[0])
    step = max(1, _PART // max(1, first[:1].size)) if first.size else 1
    for start in range(0, len(first), step):
        yield tuple(np.atleast_1d(array)[start : start + step] for array in arrays)
