"""Windows over a volume, stitched in a buffer that moves along its first axis: it never holds all of the volume.

The sums are those of MONAI's ``sliding_window_inference`` with its Gaussian weights, in the same order.
"""

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from equireg.inference.plan import InferencePlan

_HALF_FROM = 2**30
"""Bytes from which on the sums are kept in 16 bits."""
_HALF_OVERLAP = 0.75
"""Overlap of windows up to which they may be: the sums of more windows would lose digits, and overflow from 0.88 on."""
_HALF_SCALE = 2.0**12
"""Factor of weights in 16 bits: the least, 0.001, keeps all its digits, and the sum of a few stays finite."""
_GPU_PART = 0.5
"""Part of a GPU's free memory that the sums may take."""

Window = tuple[slice, ...]


def stitched(
    predict: Callable[[Tensor], Tensor], volume: Tensor, plan: InferencePlan, device: torch.device
) -> Iterator[Tensor]:
    """Yield the probabilities of a volume, some slices at a time; those of one window as they are.

    Args:
        predict: from windows [B, C, *S] on ``device`` to their probabilities [B, K, *S].
        volume: [C, D, H, W], at least a patch, on any device.
        plan: size and overlap of the windows.
        device: where windows are predicted; sums lie there too where they fit.

    Yields:
        Probabilities [K, d, H, W] float32 on the CPU, in the order of D.
    """
    shape = tuple(volume.shape[1:])
    if shape == tuple(plan.patch_size):
        (probs,) = predict(volume[None].to(device))
        yield from (slab.float().cpu() for slab in probs.split(plan.slices_at_once(math.prod(shape[1:])), dim=1))
        return
    from monai.data.utils import compute_importance_map  # takes a second; where one window suffices, not needed

    windows = _windows(shape, plan)
    batches = [windows[i : i + plan.windows_at_once] for i in range(0, len(windows), plan.windows_at_once)]
    depth = max(batch[-1][0].stop - batch[0][0].start for batch in batches)
    weight = compute_importance_map(plan.patch_size, "gaussian", 0.125, device, torch.float32)
    sums: _Sums | None = None
    for index, batch in enumerate(batches):
        cut = [volume[(None, slice(None), *window)] for window in batch]
        probs = predict((torch.cat(cut) if len(cut) > 1 else cut[0]).to(device))
        if sums is None:
            sums = _Sums(probs.shape[1], depth, shape[1:], weight, may_be_half=plan.overlap <= _HALF_OVERLAP)
        for window, of_window in zip(batch, probs, strict=True):
            sums.add(window, of_window)
        done = batches[index + 1][0][0].start if index + 1 < len(batches) else shape[0]
        yield from sums.take(done, plan.slices_at_once(math.prod(shape[1:])))


def _windows(shape: Sequence[int], plan: InferencePlan) -> list[Window]:
    """Return where windows lie, those of the first slices first."""
    from monai.data.utils import dense_patch_slices

    steps = [
        size if size == whole else max(1, int(size * (1 - plan.overlap)))
        for size, whole in zip(plan.patch_size, shape, strict=True)
    ]
    return list(dense_patch_slices(shape, plan.patch_size, steps))


class _Sums:
    """Weighted sums over the slices from ``start`` on, in a ring of ``depth`` slices."""

    def __init__(self, classes: int, depth: int, plane: Sequence[int], weight: Tensor, *, may_be_half: bool) -> None:
        self.start, self.depth = 0, depth
        count = classes * depth * math.prod(plane)
        device = weight.device if _fits(4 * count, weight.device) else torch.device("cpu")
        half = may_be_half and device.type == "cpu" and 4 * count > _HALF_FROM
        kind = torch.float16 if half else torch.float32
        self.weight = weight * _HALF_SCALE if half else weight
        self.probs = torch.zeros((classes, depth, *plane), dtype=kind, device=device)
        self.weights = torch.zeros((depth, *plane), dtype=torch.float32, device=device)

    def add(self, window: Window, probs: Tensor) -> None:
        """Add the probabilities of a window, [K, d, h, w]."""
        along, *plane = window
        weighted, weight = (probs * self.weight).to(self.probs), self.weight.to(self.weights)
        for ring, own in self._pieces(along.start, along.stop):
            self.probs[(slice(None), ring, *plane)] += weighted[:, own]
            self.weights[(ring, *plane)] += weight[own]

    def take(self, stop: int, most: int) -> Iterator[Tensor]:
        """Yield what is before ``stop``, at most so many slices at a time, and make room for what follows."""
        while self.start < stop:
            end = min(stop, self.start + most)
            for ring, _ in self._pieces(self.start, end):
                yield (self.probs[:, ring].float() / self.weights[ring]).cpu()
                self.probs[:, ring] = 0
                self.weights[ring] = 0
            self.start = end

    def _pieces(self, start: int, stop: int) -> Iterator[tuple[slice, slice]]:
        """Yield where slices lie in the ring, and where among themselves: in two pieces where the ring ends between."""
        first = start
        while start < stop:
            place = start % self.depth
            length = min(stop - start, self.depth - place)
            yield slice(place, place + length), slice(start - first, start - first + length)
            start += length


def _fits(size: int, device: torch.device) -> bool:
    """Whether so many bytes fit beside the network."""
    return device.type != "cuda" or size < _GPU_PART * torch.cuda.mem_get_info(device)[0]
