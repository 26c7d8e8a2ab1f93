"""Options that all networks have, options that all methods have, and the optimiser's."""

from dataclasses import dataclass
from typing import Literal

from equireg.config.checks import require

_COARSEST = 8


@dataclass(frozen=True)
class NetworkConfig:
    """Options that all networks have."""

    name: str = "unet"
    """which network; tiramisu is the thesis' FC-DenseNet"""
    downsample: tuple[int, ...] | None = None
    """how many times coarser the network works than the scans are, along each axis, such as [2,2]; its logits are
    interpolated back. By default at full resolution"""

    def __post_init__(self) -> None:
        good = self.downsample is None or all(1 <= factor <= _COARSEST for factor in self.downsample)
        require(good, "network.downsample", self.downsample, f"whole numbers from 1 to {_COARSEST}, such as [2,2]")


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimiser and its learning rate over the steps."""

    name: Literal["adamw", "adam", "sgd"] = "adamw"
    """adamw, adam, or sgd with Nesterov momentum 0.99"""
    lr: float = 4e-3
    """highest learning rate"""
    weight_decay: float = 1e-2
    """weight decay"""
    schedule: Literal["cosine", "polynomial", "exponential", "constant"] = "cosine"
    """decay of the learning rate after the warm-up: to `lowest` at `max_steps`, or exponential, or none"""
    lowest: float = 0.0
    """fraction of the highest learning rate at which cosine and polynomial decay end"""
    decay: float = 0.95
    """factor of the exponential decay every `decay_steps`"""
    decay_steps: int = 1000
    """optimiser steps over which the exponential decay takes its factor"""
    warmup: float = 0.1
    """fraction of the steps over which the learning rate warms up from zero"""
    clip_norm: float | None = 5.0
    """the gradient over all weights is clipped to this norm; none for no clipping"""

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
    """Options that all methods have."""

    name: str = "auto"
    """which method; auto: equireg where there are training scans that are used without a mask, else supervised"""

    @property
    def second_window(self) -> float:
        """How far a second window of each unlabelled sample may lie from it, as a fraction of its sides; 0 for none."""
        return 0.0
