"""The bias of the foreground: what is added to the logits of all classes but the background.

A network that has seen few masks, or few steps, is often right about where something is and too careful about how far
it reaches. One number, added to the logits of all classes but the background, moves the border between them and it, and
none between them (logit adjustment, Menon et al. 2021; here the shift is chosen by the Dice of validation cases). Of
``BIASES`` the one with the highest mean Dice over patients and regions is taken if

1. there are five patients or more,
2. its gain is at least 0.002, and more than its standard error over the patients,
3. no region's mean Dice falls by more than the standard error of its change.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from equireg.config.parsing import to_plain
from equireg.folders.schema import SchemaError, strict
from equireg.imaging.labels import IGNORED
from equireg.postprocessing.patients import LEAST_PATIENTS, mean_and_error, patient_means

BIASES = (-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0)
"""What is tried, added to the logits."""
NONE = BIASES.index(0.0)
"""Place of no bias."""
_LEAST_GAIN = 0.002


@dataclass(frozen=True)
class ForegroundBias:
    """What is added to the logits of all classes but the background."""

    bias: float = 0.0
    dice: float | None = None
    """mean Dice without it, over the patients and regions that it was chosen on"""
    gain: float | None = None
    """mean of what it added to that Dice"""
    error: float | None = None
    """standard error of that mean over patients"""
    patients: int = 0
    """on whose scans it was chosen"""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; ``from_dict`` reads them back."""
        return to_plain(self)

    @classmethod
    def from_dict(cls, content: Any) -> "ForegroundBias":
        """Read what ``as_dict`` wrote; no bias for None.

        Raises:
            SchemaError: if a value is missing, unknown or of another kind.
        """
        if content is None:
            return cls()
        found = strict(cls, content, "foreground_bias")
        if not BIASES[0] <= found.bias <= BIASES[-1]:
            raise SchemaError(f"foreground_bias is {found.bias}; expected {BIASES[0]:g} to {BIASES[-1]:g}")
        return found

    def words(self) -> str:
        """Say it in a line."""
        gain = "" if self.gain is None else f" (Dice {self.gain:+.4f} on validation cases)"
        return f"{self.bias:+g}{gain}" if self.bias else "none"


class UnderBiases:
    """What the classes of one prediction are under each bias, in two small maps.

    Args:
        best: most probable class but the background, [D, H, W].
        first: place in ``BIASES`` of the least bias under which a voxel has that class, [D, H, W]; their number where
            it is background under all.
    """

    def __init__(self, best: np.ndarray, first: np.ndarray) -> None:
        shown = first < len(BIASES)
        self._shape, self._kind = best.shape, best.dtype
        self._best = zlib.compress(np.where(shown, best, 0).astype(best.dtype).tobytes(), 1)
        self._first = zlib.compress(first.astype(np.uint8).tobytes(), 1)

    def _maps(self) -> tuple[np.ndarray, np.ndarray]:
        best = np.frombuffer(zlib.decompress(self._best), dtype=self._kind).reshape(self._shape)
        return best, np.frombuffer(zlib.decompress(self._first), dtype=np.uint8).reshape(self._shape)

    def classes(self, bias: float) -> np.ndarray:
        """Return the class indices under a bias of ``BIASES``, [D, H, W]."""
        best, first = self._maps()
        return np.where(first <= BIASES.index(bias), best, 0)

    def dice(self, label: np.ndarray, regions: Mapping[str, Sequence[int]]) -> np.ndarray:
        """Return the Dice of each region under each bias, [biases, regions]; 1 where a region is empty in both.

        Args:
            label: class indices of the mask, [D, H, W]; voxels of ``IGNORED`` are left out.
            regions: region name to its class indices.
        """
        best, first = self._maps()
        known = label != IGNORED
        best, first, label = best[known], first[known], label[known]
        found = np.empty((len(BIASES), len(regions)))
        for column, classes in enumerate(regions.values()):
            of_region, referred = np.isin(best, list(classes)), np.isin(label, list(classes))
            # A voxel that has the class under one bias has it under all that are higher.
            predicted, common = (
                np.cumsum(np.bincount(first[mask], minlength=len(BIASES) + 1)[: len(BIASES)])
                for mask in (of_region, of_region & referred)
            )
            total = predicted + int(referred.sum())
            found[:, column] = np.where(total > 0, 2 * common / np.maximum(total, 1), 1.0)
        return found


def choose_bias(dice: Sequence[np.ndarray], patients: Sequence[str]) -> ForegroundBias:
    """Choose the bias on validation cases.

    Args:
        dice: of each case, [biases, regions], as ``UnderBiases.dice`` gives them.
        patients: of each case.
    """
    count = len(set(patients))
    best = ForegroundBias(patients=count)
    if count < LEAST_PATIENTS:
        return best
    each = patient_means(patients, np.array(dice))  # [patients, biases, regions]
    before = each[:, NONE]
    for place, bias in enumerate(BIASES):
        change = each[:, place] - before
        gain, error = (float(value) for value in mean_and_error(change.mean(axis=1)))
        mean, of_mean = mean_and_error(change)
        sure = gain >= _LEAST_GAIN and gain > error * (1 + 1e-9)  # beyond rounding, where one patient alone gains
        if sure and (mean + of_mean >= -1e-12).all() and gain > (best.gain or 0.0):
            best = ForegroundBias(bias, float(before.mean()), gain, error, count)
    return best
