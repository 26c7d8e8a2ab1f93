"""The network over one case, and what is written of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from equireg.config import PredictConfig
from equireg.devices import autocast, choose_device, choose_precision
from equireg.folders import predictions
from equireg.imaging import volume
from equireg.imaging.grid import WorkingGrid
from equireg.inference import InferencePlan, predict_scan
from equireg.model import Model
from equireg.prediction import equivariance
from equireg.prediction.scans import Case
from equireg.preparation.case import WorkingScan


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
        )

    def __call__(self, scan: WorkingScan, image: torch.Tensor | None = None) -> torch.Tensor:
        """Return probabilities of a scan, or of an image [C, d, H, W] in its place: [K, D, H, W], float32."""
        if image is None:
            image = torch.from_numpy(scan.image)
        with autocast(self.precision, self.device):
            return predict_scan(self.network, image, scan.background, scan.grid.spacing_mm, self.plan)

    def under_transform(self, scan: WorkingScan, probs: torch.Tensor, seeds: Sequence[int]) -> equivariance.Transformed:
        """Return what becomes of a scan and of its probabilities [K, D, H, W] under the fixed transforms."""
        return equivariance.transform_scan(scan, probs, seeds, self.plan, lambda image: self(scan, image))


@dataclass(frozen=True)
class Segmented:
    """What the network says of one case, in the working frame."""

    grid: WorkingGrid
    probs: np.ndarray
    """Probabilities of each class, float32 [K, D, H, W]."""
    transformed: equivariance.Transformed | None
    """The case under its fixed transforms, where that is asked for."""


def segment(predictor: Predictor, case: Case, scan: WorkingScan, config: PredictConfig) -> Segmented:
    """Run the network over one case, and over the case under its fixed transforms where it has seeds."""
    probs = predictor(scan)
    transformed = None if case.seeds is None else predictor.under_transform(scan, probs, case.seeds)
    return Segmented(scan.grid, probs.numpy(), transformed)


def write(predictor: Predictor, case: Case, segmented: Segmented, folder: Path, config: PredictConfig) -> None:
    """Write all that is asked for of one case, in its scan's own geometry; its prediction comes last."""
    grid = segmented.grid
    if segmented.transformed is not None:
        equivariance.write(segmented.transformed, grid, predictor.labels, predictions.Files.of(folder, case.name))
    probs = grid.probs_to_native(segmented.probs)
    if config.probabilities:
        volume.write_probabilities(predictions.probabilities_file(folder, case.name), probs, grid.native)
    volume.write_label(
        predictions.prediction_file(folder, case.name), predictor.labels.to_values(probs.argmax(axis=0)), grid.native
    )
