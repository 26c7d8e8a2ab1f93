"""A network that another library computes."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

Run = Callable[[np.ndarray], np.ndarray]
"""From images [B, C, *S] to logits [B, K, *S], float32, for any B."""


class EngineNetwork(nn.Module):
    """A network that another library computes, in the place of torch's own: logits = f(images), on the CPU.

    Args:
        network: torch's own, whose weights the other library has copied.
        run: the other library's.
    """

    def __init__(self, network: nn.Module, run: Run) -> None:
        super().__init__()
        self.network = network
        self.run = run

    def forward(self, image: Tensor) -> Tensor:
        """Return logits [B, K, *S] of images [B, C, *S] float32."""
        return torch.from_numpy(self.run(np.ascontiguousarray(image.numpy())))
