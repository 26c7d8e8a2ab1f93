"""The optimiser of a run and its learning rate over the steps."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from equireg.config import OptimizerConfig


def make_optimizer(config: OptimizerConfig, weights: Sequence[Tensor], *, fused: bool) -> torch.optim.Optimizer:
    """Build the optimiser of a run over the weights that are trained; ``fused`` does its step in one pass over them."""
    decay = config.weight_decay
    if config.name == "sgd":
        return torch.optim.SGD(weights, config.lr, momentum=0.99, nesterov=True, weight_decay=decay, fused=fused)
    kind = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
    return kind(weights, config.lr, weight_decay=decay, fused=fused)


def learning_rate(config: OptimizerConfig, max_steps: int, step: float) -> float:
    """Return the factor on the highest learning rate: it rises over the warm-up, then decays as the schedule says."""
    warmup = config.warmup * max_steps
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if config.schedule == "constant":
        return 1.0
    if config.schedule == "exponential":
        return config.decay ** ((step - warmup) / config.decay_steps)
    t = min((step - warmup) / max(max_steps - warmup, 1), 1.0)
    fallen = 0.5 * (1 + math.cos(math.pi * t)) if config.schedule == "cosine" else (1 - t) ** 0.9
    return config.lowest + (1 - config.lowest) * fallen
