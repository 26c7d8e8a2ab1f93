"""A whole scan through a network, all at once or some slices at a time."""

import math
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module

import torch
from torch import Tensor, nn

from equireg.inference.agreement import Agreement
from equireg.inference.plan import InferencePlan
from equireg.inference.stitching import stitched
from equireg.inference.views import averaged, doubting_views_of, views_of


def import_ahead() -> None:
    """Import what the first prediction imports, so that one that is timed takes no longer than any other."""
    import_module("monai.inferers.utils")


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
    probs, done = None, 0
    for slab in predict_slabs(network, image, background, spacing_mm, plan):
        if probs is None:
            probs = slab.new_empty((len(slab), *image.shape[1:]))
        probs[:, done : done + slab.shape[1]] = slab
        done += slab.shape[1]
    if probs is None:
        raise ValueError(f"got an image of shape {tuple(image.shape)}; expected at least one slice")
    return probs


@torch.no_grad()
def predict_slabs(
    network: nn.Module,
    image: Tensor,
    background: Sequence[float],
    spacing_mm: Sequence[float],
    plan: InferencePlan,
    agreement: Agreement | None = None,
) -> Iterator[Tensor]:
    """Predict a scan some slices at a time, so that nobody holds all classes of all of it.

    Args and yields are as in ``predict_scan``: probabilities [K, d, H, W] of the next slices. ``agreement`` counts
    how far the views agree, and takes their contradictions slab by slab where it keeps a map.
    """
    device = next(network.parameters()).device
    if plan.spatial_dims == 2:
        batch, spacing = image.movedim(1, 0), spacing_mm[1:]  # slices are the batch: [D, C, H, W]
    else:
        batch, spacing = image[None], spacing_mm
    padded, inner = _pad(batch.float(), plan.patch_size, background)
    views, others = views_of(plan, spacing), doubting_views_of(plan, spacing)

    def predict(window: Tensor) -> Tensor:
        return averaged(network, window, views, agreement, others)

    if plan.spatial_dims == 2:
        slabs = _slices(predict, padded, inner, plan, device)
    else:
        slabs = _stitched(predict, padded[0], inner, plan, device)
    for slab in slabs:
        if agreement is None or agreement.map is None:
            yield slab
        else:
            agreement.map.append(slab[-1])
            yield slab[:-1]


def _stitched(
    predict: Callable[[Tensor], Tensor],
    padded: Tensor,
    inner: tuple[slice, ...],
    plan: InferencePlan,
    device: torch.device,
) -> Iterator[Tensor]:
    """Predict a volume [C, D, H, W] window by window; yield [K, d, H, W]."""
    done = 0
    along, *plane = inner
    for slab in stitched(predict, padded, plan, device):
        low, high = max(along.start - done, 0), min(along.stop - done, slab.shape[1])
        done += slab.shape[1]
        if low < high:
            yield slab[(slice(None), slice(low, high), *plane)]


def middle_window(image: Tensor, background: Sequence[float], plan: InferencePlan) -> Tensor:
    """Return the window in the middle of a scan [C, D, H, W], as the network would see it: [1, C, *patch] float32."""
    batch = image[None] if plan.spatial_dims == 3 else image[None, :, image.shape[1] // 2]
    padded, _ = _pad(batch.float(), plan.patch_size, background)
    starts = [(size - length) // 2 for size, length in zip(padded.shape[2:], plan.patch_size, strict=True)]
    window = [slice(start, start + length) for start, length in zip(starts, plan.patch_size, strict=True)]
    return padded[(slice(None), slice(None), *window)].contiguous()


def _slices(
    predict: Callable[[Tensor], Tensor],
    padded: Tensor,
    inner: tuple[slice, ...],
    plan: InferencePlan,
    device: torch.device,
) -> Iterator[Tensor]:
    """Predict slices [D, C, H, W], each on its own; yield [K, d, H, W]."""
    per_pass = plan.windows_at_once
    whole = tuple(padded.shape[2:]) == tuple(plan.patch_size)
    for rows in padded.split(min(per_pass, plan.slices_at_once(math.prod(padded.shape[2:])))):
        probs = predict(rows.to(device)) if whole else _windows_merged(predict, rows.to(device), plan)
        yield probs[(slice(None), slice(None), *inner)].float().cpu().movedim(0, 1)


def _windows_merged(predict: Callable[[Tensor], Tensor], rows: Tensor, plan: InferencePlan) -> Tensor:
    """Predict slices [B, C, H, W] larger than a patch in windows that overlap; return [B, K, H, W]."""
    from monai.inferers.utils import sliding_window_inference  # takes a second; where one window suffices, not needed

    merged = sliding_window_inference(
        rows,
        roi_size=plan.patch_size,
        sw_batch_size=plan.windows_at_once,
        predictor=predict,
        overlap=plan.overlap,
        mode="gaussian",
    )
    if not isinstance(merged, Tensor):
        raise TypeError(f"the network returned {type(merged).__name__}; expected one tensor of logits")
    return merged


def _pad(batch: Tensor, patch_size: Sequence[int], background: Sequence[float]) -> tuple[Tensor, tuple[slice, ...]]:
    """Centre a batch [B, C, *S] in at least a patch of background, as in training; return where it lies in S."""
    pads, inner = [], []
    for length, size in zip(patch_size, batch.shape[2:], strict=True):
        before = max(length - size, 0) // 2
        pads.append((before, max(length - size, 0) - before))
        inner.append(slice(before, before + size))
    where = tuple(inner)
    if not any(sum(pad) for pad in pads):
        return batch, where
    shape = [size + sum(pad) for size, pad in zip(batch.shape[2:], pads, strict=True)]
    fill = torch.tensor(background, dtype=batch.dtype, device=batch.device)
    padded = fill.view(1, -1, *[1] * len(shape)).expand(len(batch), -1, *shape).clone()
    padded[(slice(None), slice(None), *where)] = batch
    return padded, where
