"""One run over several processes (ranks): what each draws, sums and gathers, so that together they are one.

Each rank computes its share of every batch: as many samples as the others, in the order of the ranks. Chance is
drawn for the whole batch on every rank, and sums run over all of it; so ranks give what one process would.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, distributed


@dataclass(frozen=True)
class Share:
    """Which part of every batch a process computes; alone, all of it."""

    rank: int = 0
    ranks: int = 1

    def whole(self, count: int) -> int:
        """Return the samples of the whole batch, of which ``count`` are this rank's."""
        return count * self.ranks

    def rows(self, count: int) -> slice:
        """Return where this rank's ``count`` samples lie in the whole batch."""
        return slice(self.rank * count, (self.rank + 1) * count)


class SharedGenerator(Generator):
    """Chance of a whole batch, from which a rank takes the rows of its share."""

    share = Share()

    def __reduce__(self) -> tuple[Any, ...]:
        """Go to another process with the state and the share."""
        return _generator, (self.share, self.get_state())


def generator(share: Share, seed: int) -> SharedGenerator:
    """Return a generator on the CPU that draws the same on every rank."""
    result = SharedGenerator()
    result.share = share
    result.manual_seed(seed)
    return result


def _generator(share: Share, state: Tensor) -> SharedGenerator:
    result = generator(share, 0)
    result.set_state(state)
    return result


def share_of(generator: Generator) -> Share:
    """Return the share that a generator draws for; all of the batch where it is not a batch's own."""
    return generator.share if isinstance(generator, SharedGenerator) else Share()


def count() -> int:
    """Return the processes of this run, 1 outside of a process group."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def summed(*values: Tensor) -> tuple[Tensor, ...]:
    """Return tensors of floats summed over the ranks, with their gradient; as they are where there is one rank.

    The gradient is that of a loss that every rank computes alike from the sums, and of which each rank's gradients
    are then averaged over the ranks, as DDP does.
    """
    if count() == 1:
        return values
    flat = _Sum.apply(torch.cat([value.flatten() for value in values]))
    parts = flat.split([value.numel() for value in values])  # pyright: ignore[reportAttributeAccessIssue]
    return tuple(part.view_as(value) for part, value in zip(parts, values, strict=True))


class _Sum(torch.autograd.Function):
    """The sum over the ranks; its gradient needs no message, for all ranks hold the same one."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return gradient * count()  # DDP divides by it


@torch.no_grad()
def gathered(value: Tensor) -> Tensor:
    """Return the samples [B, ...] of all ranks in the order of the batch, without gradient."""
    if count() == 1:
        return value
    parts = [torch.empty_like(value, memory_format=torch.contiguous_format) for _ in range(count())]
    distributed.all_gather(parts, value.contiguous())
    return torch.cat(parts)


def gathered_lists(values: Sequence[Any]) -> list[Any]:
    """Return the plain values of all ranks in one list."""
    if count() == 1:
        return list(values)
    parts: list[Any] = [None] * count()
    distributed.all_gather_object(parts, list(values))
    return [value for part in parts for value in part]
