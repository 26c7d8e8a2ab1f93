"""Predictions of a scan under a fixed transform T: f(T x) beside T f(x), and how both lie on disk.

A network that is equivariant gives the same twice. The transforms follow the strong augmentation of the
thesis (Scholin 2020), whatever a run was trained with, and their seeds are stored with the prepared scans, so
that all models which mirror along the same axes are judged under the same ones.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from equireg import disk
from equireg.config import SpatialConfig
from equireg.errors import EquiregError
from equireg.folders.predictions import Files
from equireg.imaging import volume
from equireg.imaging.grid import WorkingGrid
from equireg.imaging.labels import LabelTable
from equireg.inference import InferencePlan
from equireg.losses import argmax
from equireg.preparation.case import WorkingScan
from equireg.transforms import sampling, spatial

TRANSFORM = SpatialConfig(
    some_of=True,
    at_least=3,
    rotation_deg=20.0,
    shear=0.2,
    scale=1.1,
    translation=0.1,
    elastic_amplitude=0.022,
    elastic_smoothness=0.107,
)
"""Ranges of the fixed transforms: those of the strong view in the thesis' configs."""

_SLICES = 32
"""Slices that are transformed and predicted at once: enough to fill a pass, few enough for a small machine."""
_LEVELS = 255


@dataclass(frozen=True)
class Transformed:
    """One case under its transform, in the working frame."""

    scan: np.ndarray
    """T x, uint8 [C, D, H, W], each channel from its least value, 0, to its greatest, 255."""
    outside: tuple[int, ...]
    """Value of each channel's background in ``scan``."""
    predicted_transform: np.ndarray
    """Classes of f(T x), uint8 [D, H, W]."""
    transformed_prediction: np.ndarray
    """Classes of T f(x), uint8 [D, H, W]."""


def transform_scan(
    scan: WorkingScan, probs: Tensor, seeds: Sequence[int], plan: InferencePlan, predict: Callable[[Tensor], Tensor]
) -> Transformed:
    """Predict a transformed scan and transform the scan's prediction, under the same transform.

    A model of slices has a transform for each slice, one of volumes a single one, from the first seed.
    Probabilities are warped, and classes chosen after. What T brought in from outside the scan is background
    in both: nobody can say what is there.

    Args:
        scan: the scan in its working frame.
        probs: f(x), probabilities of each class, [K, D, H, W].
        seeds: a seed for each slice, D numbers.
        plan: dimensions and mirror axes of the model.
        predict: f, from images [C, d, H, W] to probabilities [K, d, H, W] on the CPU.

    Raises:
        EquiregError: if the case has another number of seeds than slices.
    """
    image = torch.from_numpy(scan.image).float()
    depth = image.shape[1]
    if len(seeds) != depth:
        raise EquiregError(
            f"has {len(seeds)} equivariance seeds for {depth} slices; expected one a slice. Prepare the folder again."
        )
    scale = _Scale(image, scan.background)
    step = _SLICES if plan.spatial_dims == 2 else depth
    parts = []
    for start in range(0, depth, step):
        some = slice(start, start + step)
        moved, warped, inside = _transform(scan, image[:, some], probs[:, some], seeds[some], plan)
        predicted = argmax(predict(moved), dim=0)[0] * inside
        parts.append((scale(moved), _small(predicted), _small(argmax(warped, dim=0)[0] * inside)))
    scans, predicted, transformed = zip(*parts, strict=True)
    outside = tuple(int(value) for value in scale(torch.tensor(scan.background).view(-1, 1, 1, 1)).ravel())
    return Transformed(np.concatenate(scans, axis=1), outside, np.concatenate(predicted), np.concatenate(transformed))


def write(transformed: Transformed, grid: WorkingGrid, labels: LabelTable, files: Files) -> None:
    """Write the three volumes in the scan's own geometry and label values, by nearest neighbour.

    Raises:
        EquiregError: if the disk is full or not writable.
    """
    with disk.disk_errors(files.transformed_scan):
        files.transformed_scan.parent.mkdir(exist_ok=True)
    channels = [
        grid.label_to_native(channel, fill) for channel, fill in zip(transformed.scan, transformed.outside, strict=True)
    ]
    volume.write_channels(files.transformed_scan, np.stack(channels), grid.native)
    for path, classes in (
        (files.predicted_transform, transformed.predicted_transform),
        (files.transformed_prediction, transformed.transformed_prediction),
    ):
        volume.write_label(path, labels.to_values(grid.label_to_native(classes)), grid.native)


class _Scale:
    """The way from intensities to bytes, the same for all slices of a channel."""

    def __init__(self, image: Tensor, background: Sequence[float]) -> None:
        floor = torch.tensor(background, dtype=image.dtype)
        flat = image.flatten(1)
        self.low = torch.minimum(flat.amin(dim=1), floor).view(-1, 1, 1, 1)
        high = torch.maximum(flat.amax(dim=1), floor).view(-1, 1, 1, 1)
        self.span = (high - self.low).clamp_min(torch.finfo(image.dtype).tiny)

    def __call__(self, image: Tensor) -> np.ndarray:
        """Turn an image [C, ...] into uint8."""
        return ((image - self.low) / self.span * _LEVELS).round().clamp(0, _LEVELS).to(torch.uint8).numpy()


def _transform(
    scan: WorkingScan, image: Tensor, probs: Tensor, seeds: Sequence[int], plan: InferencePlan
) -> tuple[Tensor, Tensor, Tensor]:
    """Transform some slices, or a volume: image [C, d, H, W], probabilities [K, d, H, W], 1 where inside [d, H, W]."""
    slices = plan.spatial_dims == 2
    images, outputs = (whole.movedim(1, 0) if slices else whole[None] for whole in (image, probs))  # [N, *, *S]
    spacing_mm = scan.grid.spacing_mm[3 - plan.spatial_dims :]
    fill = torch.tensor(scan.background, dtype=image.dtype)[None]
    parts = []
    for index, seed in enumerate(seeds[: len(images)]):
        generator = Generator().manual_seed(int(seed))
        params = sampling.sample(TRANSFORM, 1, images.shape[2:], spacing_mm, generator, plan.flip_axes)
        moved, valid = spatial.apply(images[index : index + 1], params, fill=fill)
        warped, _ = spatial.warp_probabilities(outputs[index : index + 1], params)
        parts.append((moved[0], warped[0], valid[0, 0] > 0))
    moved, warped, inside = zip(*parts, strict=True)
    if slices:
        return torch.stack(moved, dim=1), torch.stack(warped, dim=1), torch.stack(inside)
    return moved[0], warped[0], inside[0]


def _small(classes: Tensor) -> np.ndarray:
    return classes.to(torch.uint8).numpy()
