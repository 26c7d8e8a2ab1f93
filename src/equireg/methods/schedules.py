"""Weights that change over the steps."""

import math


def ramp_up(step: int, length_steps: float) -> float:
    """Rise from near 0 to 1 over the first steps, exp(-5 (1 - t)^2) (Laine and Aila 2017)."""
    if length_steps <= 0 or step >= length_steps:
        return 1.0
    return math.exp(-5.0 * (1.0 - step / length_steps) ** 2)


def moving_average_decay(step: int, decay: float) -> float:
    """Let a moving average follow closely at first, then with its own decay (Tarvainen and Valpola 2017)."""
    return min(decay, 1.0 - 1.0 / (step + 2.0))
