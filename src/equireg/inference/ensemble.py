"""Several networks as one: the mean of their probabilities."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class MeanNetwork(nn.Module):
    """The mean of the probabilities of several networks, as logits, so that it stands wherever one network does.

    Args:
        networks: from images [B, C, *S] to logits [B, K, *S], all of one K.
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, image: Tensor) -> Tensor:
        """Return the logarithm of the mean probabilities, whose softmax is that mean, [B, K, *S] float32."""
        total: Tensor | None = None
        for network in self.networks:
            probs = functional.softmax(network(image).float(), dim=1)
            total = probs if total is None else total.add_(probs)
        if total is None:
            raise ValueError("got no network; expected one or more")
        # The least normal number in place of 0: a class that no network sees must not make NaN of the others.
        return (total / len(self.networks)).clamp_min_(torch.finfo(torch.float32).tiny).log_()


def probabilities(network: nn.Module, image: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return the probabilities [B, K, *S] of a network, float32, and the classes [B, *S] that each member chooses.

    Only an ensemble has members; a network alone has none.
    """
    if not isinstance(network, MeanNetwork):
        return functional.softmax(network(image).float(), dim=1), []
    total, chosen = None, []
    for member in network.networks:
        probs = functional.softmax(member(image).float(), dim=1)
        chosen.append(probs.argmax(dim=1))
        total = probs if total is None else total.add_(probs)
    if total is None:
        raise ValueError("got no network; expected one or more")
    return total.div_(len(network.networks)), chosen


def as_one(networks: Sequence[nn.Module]) -> nn.Module:
    """Return one network for several; one alone is returned as it is."""
    return networks[0] if len(networks) == 1 else MeanNetwork(networks)
