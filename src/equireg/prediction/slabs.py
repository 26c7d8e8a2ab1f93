"""Streams of slabs: slices asked for by ranges, and the mean of several streams."""

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
import torch


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


def mean_slabs(streams: Sequence[Iterator[torch.Tensor]], weights: Sequence[float]) -> Iterator[torch.Tensor]:
    """Yield the weighted mean of streams of one scan, in the slabs of the first; no stream is held whole.

    Args:
        streams: probabilities [K, d, H, W] of the next slices, cut as each likes.
        weights: of each stream; one alone is passed on as it is.
    """
    first, *others = streams
    if not others:
        yield from first
        return
    rest = [SlabStream(stream) for stream in others]
    done = 0
    for slab in first:
        stop = done + slab.shape[1]
        total = slab * weights[0]
        for stream, weight in zip(rest, weights[1:], strict=True):
            total += torch.from_numpy(stream(done, stop)) * weight
        yield total / sum(weights)
        done = stop
