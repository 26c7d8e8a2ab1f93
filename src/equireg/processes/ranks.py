"""One run over several processes (ranks): what each draws, sums and gathers, so that together they are one.

Each rank computes its slice of every batch: as many samples as the others, in the order of the ranks. Random numbers
are drawn for the whole batch on every rank, and sums run over all of it; so ranks give what one process would.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, distributed


@dataclass(frozen=True)
class Rank:
    """This process among those that compute every batch together; by default the only one."""

    index: int = 0
    count: int = 1
    local: int = 0
    """Index among the processes of the same machine: the number of its GPU."""

    def whole(self, own: int) -> int:
        """Return the samples of the whole batch, of which ``own`` are this rank's."""
        return own * self.count

    def slice_of(self, own: int) -> slice:
        """Return where this rank's ``own`` samples lie in the whole batch."""
        return slice(self.index * own, (self.index + 1) * own)


class BatchGenerator(Generator):
    """A generator that draws for a whole batch on every rank; each rank takes its slice of what is drawn."""

    rank = Rank()

    def __reduce__(self) -> tuple[Any, ...]:
        """Go to another process with the state and the rank."""
        return _generator, (self.rank, self.get_state())


def generator(rank: Rank, seed: int) -> BatchGenerator:
    """Return a generator on the CPU that draws the same on every rank."""
    result = BatchGenerator()
    result.rank = rank
    result.manual_seed(seed)
    return result


def _generator(rank: Rank, state: Tensor) -> BatchGenerator:
    result = generator(rank, 0)
    result.set_state(state)
    return result


def rank_of(generator: Generator) -> Rank:
    """Return the rank that a generator draws for; the only one where it is not a batch's own."""
    return generator.rank if isinstance(generator, BatchGenerator) else Rank()


@dataclass(frozen=True)
class Random:
    """Random numbers for a batch's samples: the same for a sample, whichever rank computes it.

    ``own`` is the number of samples that this rank has, the length of the tensors at hand. A method draws by these
    functions alone: ``torch.rand(len(image), generator=...)`` would give the samples of every rank the same numbers.
    """

    generator: Generator
    """The source, on the CPU."""

    def uniform(self, own: int, *shape: int) -> Tensor:
        """Draw evenly from 0 to below 1, [own, *shape]."""
        return self._own(own, torch.rand((self._whole(own), *shape), generator=self.generator))

    def normal(self, own: int, *shape: int) -> Tensor:
        """Draw from the normal distribution of mean 0 and deviation 1, [own, *shape]."""
        return self._own(own, torch.randn((self._whole(own), *shape), generator=self.generator))

    def integers(self, high: int, own: int, *shape: int) -> Tensor:
        """Draw whole numbers from 0 to below ``high``, [own, *shape]."""
        return self._own(own, torch.randint(high, (self._whole(own), *shape), generator=self.generator))

    def seed(self) -> int:
        """Draw one seed for the whole batch, the same on every rank, for a generator of another kind."""
        return int(torch.randint(2**62, (), generator=self.generator))

    def _whole(self, own: int) -> int:
        return rank_of(self.generator).whole(own)

    def _own(self, own: int, drawn: Tensor) -> Tensor:
        return drawn[rank_of(self.generator).slice_of(own)]


def count() -> int:
    """Return the processes of this run, 1 outside of a process group."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def summed(*values: Tensor) -> tuple[Tensor, ...]:
    """Return tensors of floats summed over the ranks, with their gradient; as they are where there is one rank.

    The gradient suits a loss that every rank computes in the same way from the sums; DDP averages the gradients over
    the ranks afterwards.
    """
    if count() == 1:
        return values
    flat = _Sum.apply(torch.cat([value.flatten() for value in values]))
    parts = flat.split([value.numel() for value in values])  # pyright: ignore[reportAttributeAccessIssue]
    return tuple(part.view_as(value) for part, value in zip(parts, values, strict=True))


class _Sum(torch.autograd.Function):
    """The sum over the ranks; its gradient needs no message, because all ranks hold the same one."""

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


def from_first(value: Any) -> Any:
    """Return the first rank's plain value on every rank; what the others pass is not looked at."""
    if count() == 1:
        return value
    values = [value]
    distributed.broadcast_object_list(values, src=0)
    return values[0]
