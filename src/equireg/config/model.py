"""Options of the network, the optimiser and the method; each says its unit and checks its values."""

from dataclasses import dataclass
from typing import Literal

from equireg.config.checks import require


@dataclass(frozen=True)
class NetworkConfig:
    """Which network, and how large."""

    name: str = "unet"
    """unet, segresnet, tiramisu (the thesis' FC-DenseNet), fc-densenet56, fc-densenet67 or fc-densenet103"""
    features: int = 32
    """channels of the first stage of unet and segresnet; each further stage doubles them, up to `max_features`"""
    max_features: int = 320
    """most channels of a stage of unet"""
    stages: int | None = None
    """resolutions of unet and segresnet, the full one included; by default as many as the patch carries, up to 6"""
    norm: Literal["instance", "batch"] = "instance"
    """normalisation layer of unet and segresnet; the FC-DenseNets have batch normalisation"""
    dropout: float = 0.0
    """chance of dropping a channel"""
    checkpointing: bool = False
    """of the FC-DenseNets: compute layers again in the backward pass instead of keeping them: less memory, more time"""

    def __post_init__(self) -> None:
        require(self.features >= 1, "network.features", self.features, "a count of channels from 1")
        require(self.max_features >= self.features, "network.max_features", self.max_features, "features or more")
        require(self.stages is None or 2 <= self.stages <= 8, "network.stages", self.stages, "2 to 8")
        require(0 <= self.dropout < 1, "network.dropout", self.dropout, "a number from 0 to below 1")


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimiser and its learning rate over the steps."""

    name: Literal["adamw", "adam", "sgd"] = "adamw"
    """adamw, adam, or sgd with Nesterov momentum 0.99"""
    lr: float = 2e-3
    """highest learning rate"""
    weight_decay: float = 1e-2
    """weight decay"""
    schedule: Literal["cosine", "polynomial", "exponential", "constant"] = "cosine"
    """decay of the learning rate after the warm-up: to `lowest` at `max_steps`, or exponential, or none"""
    lowest: float = 0.0
    """part of the highest learning rate that cosine and polynomial decay end at"""
    decay: float = 0.95
    """factor of the exponential decay every `decay_steps`"""
    decay_steps: int = 1000
    """optimiser steps over which the exponential decay takes its factor"""
    warmup: float = 0.1
    """fraction of the steps over which the learning rate rises from zero"""
    clip_norm: float | None = 5.0
    """greatest norm of the gradient over all weights; none for no clipping"""

    def __post_init__(self) -> None:
        require(self.lr > 0, "optimizer.lr", self.lr, "a number above 0")
        require(self.weight_decay >= 0, "optimizer.weight_decay", self.weight_decay, "0 or more")
        require(0 <= self.warmup < 1, "optimizer.warmup", self.warmup, "a fraction from 0 to below 1")
        require(0 <= self.lowest <= 1, "optimizer.lowest", self.lowest, "a fraction from 0 to 1")
        require(0 < self.decay <= 1, "optimizer.decay", self.decay, "a factor above 0 to 1")
        require(self.decay_steps >= 1, "optimizer.decay_steps", self.decay_steps, "a count from 1")
        require(self.clip_norm is None or self.clip_norm > 0, "optimizer.clip_norm", self.clip_norm, "above 0")


@dataclass(frozen=True)
class MethodConfig:
    """What the options of all methods share."""

    name: str = "supervised"
    """which method"""
