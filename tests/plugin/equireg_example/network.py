"""A network: a few convolutions at full resolution."""

from dataclasses import dataclass

from torch import nn

from equireg.config import NetworkConfig
from equireg.networks import Network


@dataclass(frozen=True)
class FlatConfig(NetworkConfig):
    """Options of the flat network."""

    name: str = "flat"
    """the network"""
    width: int = 4
    """channels of its one hidden layer"""


def build(config: FlatConfig, channels: int, classes: int, strides: list[tuple[int, ...]]) -> nn.Module:
    """Return a network from images [B, channels, *S] to logits [B, classes, *S]."""
    convolution = {2: nn.Conv2d, 3: nn.Conv3d}[len(strides[0])]
    return nn.Sequential(
        convolution(channels, config.width, 3, padding=1), nn.ReLU(), convolution(config.width, classes, 1)
    )


FLAT = Network(build, FlatConfig)
