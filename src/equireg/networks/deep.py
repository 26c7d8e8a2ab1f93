"""Deep supervision: heads at lower resolutions, that training alone uses (Isensee et al. 2021)."""

from collections.abc import Callable
from typing import cast

from torch import Tensor, nn

Pyramid = tuple[Tensor, tuple[Tensor, ...]]
"""Logits [B, K, *S], and those of the lower heads, finest first, each [B, K, *S / the strides so far]."""


def lower_stages(stages: int) -> int:
    """Return how many resolutions below the full one have a head.

    The coarsest stage of the decoder has none, because nnU-Net's weight for it is 0. A network of three stages has one
    head all the same.
    """
    return max(stages - 3, 1) if stages > 2 else 0


def pyramid(network: nn.Module, image: Tensor) -> Pyramid:
    """Return a network's logits for an image [B, C, *S], and those of its lower heads, where it has any."""
    if not getattr(network, "lower_heads", None):
        return network(image), ()
    return cast(Callable[[Tensor], Pyramid], network.pyramid)(image)
