"""Dropout of whole feature maps between a network's encoder and its decoder."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Generator, Tensor, nn

from equireg.networks import EncoderStage, encoder_stages
from equireg.processes.ranks import Random


@contextmanager
def feature_dropout(
    network: nn.Module, generator: Generator, probability: float = 0.5, rows: slice = slice(None)
) -> Iterator[nn.Module]:
    """Within the block the decoder misses some of the encoder's feature maps; those left are scaled up.

    The feature perturbation of UniMatch (Yang et al. 2023, section 3.2). Each stage of the encoder draws its own
    maps, drawn again for each sample. The encoder itself continues with all of its maps. Evaluation mode makes no
    difference.

    Args:
        network: one of `equireg.networks`; the same again after the block.
        generator: the only source of random numbers, on the CPU.
        probability: probability that a map is 0; from 0 to below 1.
        rows: the samples of each batch that this happens to.

    Raises:
        ValueError: if the probability is out of its range.
    """
    if not 0 <= probability < 1:
        raise ValueError(f"got a probability of {probability}; expected 0 or more and less than 1")
    with ExitStack() as hooks:
        for stage in encoder_stages(network):
            _hook(stage, _Dropout(generator, probability, rows), hooks)
        yield network


class _Dropout:
    """The two hooks of a stage: the decoder reads maps with gaps, the next stage reads the whole ones."""

    def __init__(self, generator: Generator, probability: float, rows: slice) -> None:
        self.generator, self.probability, self.rows = generator, probability, rows
        self.whole: Tensor | None = None

    def drop(self, module: nn.Module, inputs: Any, maps: Tensor) -> Tensor:
        """Return a stage's maps [B, C, *S] with some of them 0."""
        self.whole = maps
        count = len(range(len(maps))[self.rows])
        kept = Random(self.generator).uniform(count, maps.shape[1]) >= self.probability
        factors = torch.ones(maps.shape[:2])
        factors[self.rows] = kept / (1 - self.probability)
        return maps * factors.to(maps.device, maps.dtype).view(*maps.shape[:2], *[1] * (maps.ndim - 2))

    def restore(self, module: nn.Module, inputs: Any) -> tuple[Tensor | None]:
        """Return the whole maps as what the next module reads."""
        whole, self.whole = self.whole, None
        return (whole,)


def _hook(stage: EncoderStage, dropout: _Dropout, hooks: ExitStack) -> None:
    """Put the hooks on a stage until the stack closes."""
    hooks.callback(stage.module.register_forward_hook(dropout.drop).remove)
    if stage.next is not None:
        hooks.callback(stage.next.register_forward_pre_hook(dropout.restore).remove)
