"""From a working array to probabilities: slices or windows, and the mean over transformed scans."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from monai.inferers.utils import sliding_window_inference
from torch import Generator, Tensor, nn
from torch.nn import functional

from equireg.config import SpatialConfig
from equireg.transforms import chance, spatial

_TEST_TIME = SpatialConfig(probability=1.0, flips=False, rotation_deg=15.0, scale=1.1)
"""Random transforms of test-time equivariance: affine, so that each has an inverse."""
_BATCH_VOXELS = 2**19
"""Voxels that go through the network at once."""


@dataclass(frozen=True)
class InferencePlan:
    """How a scan is cut, and over which transformed scans the prediction is averaged."""

    spatial_dims: int
    patch_size: tuple[int, ...]
    flip_axes: tuple[int, ...] = ()
    """Spatial axes of mirroring, used unless ``test_time`` is none."""
    test_time: Literal["none", "flips", "equivariance"] = "none"
    passes: int = 8
    """Random transforms of ``equivariance``."""
    overlap: float = 0.5
    """Part that neighbouring windows share, where a scan is larger than the patch."""


@torch.no_grad()
def predict_scan(
    network: nn.Module,
    image: Tensor,
    background: Sequence[float],
    spacing_mm: Sequence[float],
    plan: InferencePlan,
) -> Tensor:
    """Predict a whole scan.

    Args:
        network: from images [B, C, *S] to logits [B, K, *S], in evaluation mode, on the device to use.
        image: working array, [C, D, H, W], on any device.
        background: value of each channel's background, with which small scans are padded.
        spacing_mm: spacing of D, H and W, mm.
        plan: windows and transforms.

    Returns:
        Probabilities, [K, D, H, W], float32, on the CPU.
    """
    device = next(network.parameters()).device
    if plan.spatial_dims == 2:
        batch, spacing = image.movedim(1, 0), spacing_mm[1:]  # slices are the batch: [D, C, H, W]
    else:
        batch, spacing = image[None], spacing_mm
    padded, inner = _pad(batch.float(), plan.patch_size, background)
    per_pass = max(1, _BATCH_VOXELS // _volume(plan.patch_size))
    views = _views(plan, spacing)
    parts = []
    for rows in padded.split(per_pass):
        merged = sliding_window_inference(
            rows.to(device),
            roi_size=plan.patch_size,
            sw_batch_size=per_pass,
            predictor=lambda window: _averaged(network, window, views),
            overlap=plan.overlap,
            mode="gaussian",
        )
        if not isinstance(merged, Tensor):
            raise TypeError(f"the network returned {type(merged).__name__}; expected one tensor of logits")
        parts.append(merged[inner].float().cpu())
    probs = torch.cat(parts)
    return probs.movedim(0, 1) if plan.spatial_dims == 2 else probs[0]


def _volume(shape: Sequence[int]) -> int:
    return int(torch.tensor(shape).prod())


def _pad(batch: Tensor, patch_size: Sequence[int], background: Sequence[float]) -> tuple[Tensor, tuple[slice, ...]]:
    """Centre a batch [B, C, *S] in at least a patch of background, as in training; return where it lies."""
    pads, inner = [], []
    for length, size in zip(patch_size, batch.shape[2:], strict=True):
        before = max(length - size, 0) // 2
        pads.append((before, max(length - size, 0) - before))
        inner.append(slice(before, before + size))
    where = (slice(None), slice(None), *inner)
    if not any(sum(pad) for pad in pads):
        return batch, where
    shape = [size + sum(pad) for size, pad in zip(batch.shape[2:], pads, strict=True)]
    fill = torch.tensor(background, dtype=batch.dtype, device=batch.device)
    padded = fill.view(1, -1, *[1] * len(shape)).expand(len(batch), -1, *shape).clone()
    padded[where] = batch
    return padded, where


def _views(plan: InferencePlan, spacing_mm: Sequence[float]) -> list[Callable[[int], spatial.SpatialParams]]:
    """Return the transforms to average over, each for any number of windows; the first changes nothing."""
    n = plan.spatial_dims
    axes = plan.flip_axes if plan.test_time != "none" else ()

    def mirror(signs: Tensor, count: int) -> spatial.SpatialParams:
        matrix = torch.diag(torch.cat([signs, torch.ones(1)])).expand(count, -1, -1)
        return spatial.affine(matrix, plan.patch_size, spacing_mm)

    def random(seed: int, count: int) -> spatial.SpatialParams:
        generator = Generator().manual_seed(seed)
        drawn = chance.sample(_TEST_TIME, 1, plan.patch_size, spacing_mm, generator)
        return drawn[torch.zeros(count, dtype=torch.long)]

    views: list[Callable[[int], spatial.SpatialParams]] = []
    for chosen in itertools.product((1.0, -1.0), repeat=len(axes)):
        signs = torch.ones(n)
        signs[list(axes)] = torch.tensor(chosen)
        views.append(lambda count, signs=signs: mirror(signs, count))
    if plan.test_time == "equivariance":
        views += [lambda count, seed=seed: random(seed, count) for seed in range(plan.passes)]
    return views


def _averaged(network: nn.Module, window: Tensor, views: Sequence[Callable[[int], spatial.SpatialParams]]) -> Tensor:
    """Average the probabilities over the views, each brought back; a voxel that left a view does not count."""
    total, weight = None, None
    for view in views:
        params = view(len(window))
        moved, _ = spatial.apply(window, params)
        probs = functional.softmax(network(moved).float(), dim=1)
        back, seen = spatial.apply(probs, spatial.invert(params))
        total = back * seen if total is None else total + back * seen
        weight = seen if weight is None else weight + seen
    if total is None or weight is None:
        raise ValueError("got no view; expected at least the scan itself")
    return total / weight
