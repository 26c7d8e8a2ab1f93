"""Weights that change over the steps."""

import math
from typing import Literal


def ramp_up(step: int, length_steps: float) -> float:
    """Rise from near 0 to 1 over the first steps, exp(-5 (1 - t)^2) (Laine and Aila 2017)."""
    if length_steps <= 0 or step >= length_steps:
        return 1.0
    return math.exp(-5.0 * (1.0 - step / length_steps) ** 2)


def fall(step: int, length_steps: float) -> float:
    """Fall evenly from 1 to 0 over the first steps."""
    return max(0.0, 1.0 - step / length_steps) if length_steps > 0 else 0.0


def annealing_threshold(schedule: Literal["linear", "log", "exp"], part: float, classes: int) -> float:
    """Return the probability above which training signal annealing leaves a labelled voxel out.

    It rises from 1 / classes to 1 over the run: evenly, early (log) or late (exp), the last two with
    the scale 5 of the paper (Xie et al. 2020, section 2.3).

    Args:
        schedule: how it rises.
        part: part of the run's steps that are done, 0 to 1.
        classes: number of classes.
    """
    increase = {"linear": part, "log": 1 - math.exp(-5 * part), "exp": math.exp(5 * (part - 1))}[schedule]
    return 1 / classes + increase * (1 - 1 / classes)


def moving_average_decay(step: int, decay: float, span: float = 1.0) -> float:
    """Return the decay of a moving average at a step: small at first, then as asked (Tarvainen and Valpola 2017).

    Args:
        step: of the run.
        decay: the highest.
        span: part of the steps so far that the average reaches over at most. With 1 a short run ends with an average
            that still remembers its first steps; 0.1 is the warm-up of TensorFlow's ExponentialMovingAverage.
    """
    return min(decay, 1.0 - 1.0 / (span * (step + 1.0) + 1.0))
