"""The network over one case, and what is written of it."""

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from equireg.config import PredictConfig
from equireg.devices import autocast, choose_device, choose_precision
from equireg.errors import EquiregError
from equireg.folders import predictions
from equireg.imaging import volume
from equireg.imaging.grid import WorkingGrid
from equireg.inference import Agreement, InferencePlan, predict_slabs
from equireg.model import Model
from equireg.prediction import equivariance
from equireg.prediction.scans import InputCase
from equireg.preparation.case import WorkingScan

_WHOLE_BYTES = 2**30
"""Bytes of a case's probabilities, in 32 bits, from which on its classes are chosen some slices at a time."""


class Predictor:
    """The network with all that stays the same from case to case."""

    def __init__(self, model: Model, config: PredictConfig) -> None:
        self.device = choose_device(config.device)
        self.precision = choose_precision(config.precision, self.device)
        self.network = model.predictor.to(self.device)
        self.labels = model.facts.labels
        self.plan = InferencePlan(
            model.config.spatial_dims,
            model.facts.patch_size,
            model.facts.flip_axes,
            config.test_time,
            config.passes,
            config.overlap,
            self.labels.classes,
        )

    def __call__(
        self, scan: WorkingScan, image: torch.Tensor | None = None, agreement: Agreement | None = None
    ) -> torch.Tensor:
        """Return probabilities of a scan, or of an image [C, d, H, W] in its place: [K, D, H, W], float32."""
        depth = scan.image.shape[1] if image is None else image.shape[1]
        probs, done = torch.empty((self.labels.classes, depth, *scan.image.shape[2:])), 0
        for slab in self.slabs(scan, image, agreement):
            probs[:, done : done + slab.shape[1]] = slab
            done += slab.shape[1]
        return probs

    def slabs(
        self, scan: WorkingScan, image: torch.Tensor | None = None, agreement: Agreement | None = None
    ) -> Iterator[torch.Tensor]:
        """Yield the same some slices at a time, [K, d, H, W].

        Raises:
            EquiregError: if the network's output is not finite; its argmax would be the background.
        """
        if image is None:
            image = torch.from_numpy(scan.image)
        slabs = predict_slabs(self.network, image, scan.background, scan.grid.spacing_mm, self.plan, agreement)
        while True:
            with autocast(self.precision, self.device):
                slab = next(slabs, None)
            if slab is None:
                return
            if not torch.isfinite(slab.sum()):
                raise EquiregError(
                    f"the network's output holds values that are NaN or infinite (--precision is {self.precision}); "
                    "expected numbers only. Predict with --precision 32, or give another checkpoint."
                )
            yield slab

    def agreement(self) -> Agreement:
        """Return the counts, still empty, of how far the mirrored views of a scan agree."""
        return Agreement(self.plan.mirrored_views, self.labels.classes)

    def classes(self, scan: WorkingScan, agreement: Agreement | None = None) -> np.ndarray:
        """Return the class indices of a scan in its own grid, [X, Y, Z]; classes are chosen some slices at a time."""
        return scan.grid.argmax_to_native(SlabStream(self.slabs(scan, agreement=agreement)), self.labels.classes)

    def under_transform(self, scan: WorkingScan, probs: torch.Tensor, seeds: Sequence[int]) -> equivariance.Transformed:
        """Return what becomes of a scan and of its probabilities [K, D, H, W] under the fixed transforms."""
        return equivariance.transform_scan(scan, probs, seeds, self.plan, lambda image: self(scan, image))


@dataclass(frozen=True)
class Segmented:
    """What the network says of one case: all probabilities, or of a large case the classes alone."""

    grid: WorkingGrid
    probs: np.ndarray | None = None
    """Probabilities of each class in the working frame, float32 [K, D, H, W]."""
    classes: np.ndarray | None = None
    """Class indices in the scan's own grid, [X, Y, Z]."""
    transformed: equivariance.Transformed | None = None
    """The case under its fixed transforms, where that is asked for."""


def segment(predictor: Predictor, case: InputCase, scan: WorkingScan, config: PredictConfig) -> Segmented:
    """Run the network over one case, and over the case under its fixed transforms where it has seeds."""
    grid, count = scan.grid, predictor.labels.classes
    voxels = max(math.prod(grid.shape), math.prod(grid.native.shape))
    whole = config.probabilities or case.seeds is not None
    if not whole and 4 * count * voxels > _WHOLE_BYTES:
        return Segmented(grid, classes=predictor.classes(scan))
    probs = predictor(scan)
    transformed = None if case.seeds is None else predictor.under_transform(scan, probs, case.seeds)
    return Segmented(grid, probs.numpy(), transformed=transformed)


def write(predictor: Predictor, case: InputCase, segmented: Segmented, folder: Path, config: PredictConfig) -> None:
    """Write all that is asked for of one case, in its scan's own geometry; its prediction comes last."""
    grid, classes = segmented.grid, segmented.classes
    if segmented.transformed is not None:
        equivariance.write(segmented.transformed, grid, predictor.labels, predictions.Files.of(folder, case.name))
    if classes is None:
        classes = _write_probabilities(case, segmented, folder, config)
    volume.write_label(predictions.prediction_file(folder, case.name), predictor.labels.to_values(classes), grid.native)


def _write_probabilities(case: InputCase, segmented: Segmented, folder: Path, config: PredictConfig) -> np.ndarray:
    """Write the probabilities where they are asked for; return the classes [X, Y, Z]."""
    if segmented.probs is None:
        raise ValueError("got neither probabilities nor classes; expected one of them")
    if not config.probabilities:
        return segmented.grid.argmax_to_native(segmented.probs)
    probs = segmented.grid.probs_to_native(segmented.probs)
    volume.write_probabilities(predictions.probabilities_file(folder, case.name), probs, segmented.grid.native)
    return probs.argmax(axis=0)


class SlabStream:
    """Slices of a stream of slabs [K, d, H, W], asked for by ranges that only grow; what is behind is let go."""

    def __init__(self, slabs: Iterator[torch.Tensor]) -> None:
        self._slabs = slabs
        self._kept: deque[tuple[int, np.ndarray]] = deque()
        self._end = 0

    def __call__(self, start: int, stop: int) -> np.ndarray:
        """Return the slices from ``start`` to ``stop``, [K, stop - start, H, W].

        Raises:
            ValueError: if a slice is asked for that was let go, or that never comes.
        """
        while self._kept and self._kept[0][0] + self._kept[0][1].shape[1] <= start:
            self._kept.popleft()
        while self._end < stop:
            slab = next(self._slabs, None)
            if slab is None:
                raise ValueError(f"slices {start} to {stop} are asked for; expected at most {self._end}")
            if self._end + slab.shape[1] > start:
                self._kept.append((self._end, slab.numpy()))
            self._end += slab.shape[1]
        if not self._kept or self._kept[0][0] > start:
            raise ValueError(f"slices from {start} on are asked for again; expected ranges that only grow")
        parts = [slab[:, max(start - first, 0) : stop - first] for first, slab in self._kept if first < stop]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
