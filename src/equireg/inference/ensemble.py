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
        # The least normal number in place of 0: a class that no network sees must not make NaN of the others.
        return probabilities(self, image).clamp_min_(torch.finfo(torch.float32).tiny).log_()


def probabilities(network: nn.Module, image: Tensor, chosen: list[Tensor] | None = None) -> Tensor:
    """Return the probabilities of a network, the mean over its members, [B, K, *S] float32.

    Args:
        network: from images to logits.
        image: [B, C, *S].
        chosen: takes the classes [B, *S] that each member of an ensemble chooses; a network alone has none.
    """
    members = members_of(network)
    total: Tensor | None = None
    for member in members:
        probs = functional.softmax(member(image).float(), dim=1)
        if chosen is not None and len(members) > 1:
            chosen.append(probs.argmax(dim=1))
        total = probs if total is None else total.add_(probs)
    if total is None:
        raise ValueError("got no network; expected one or more")
    return total if len(members) == 1 else total.div_(len(members))


def members_of(network: nn.Module) -> list[nn.Module]:
    """Return the networks whose mean a network is; one alone is its only member."""
    return list(network.networks) if isinstance(network, MeanNetwork) else [network]


def as_one(networks: Sequence[nn.Module]) -> nn.Module:
    """Return one network for several; one alone is returned as it is."""
    return networks[0] if len(networks) == 1 else MeanNetwork(networks)
