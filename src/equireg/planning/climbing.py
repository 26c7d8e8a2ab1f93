"""Which rung of the ladder is taken: the costliest that fits the memory and leaves steps enough, by measured steps."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from equireg.errors import EquiregError
from equireg.planning.measuring import Speed, TooLargeError
from equireg.planning.rules import Rung
from equireg.processes.memory import return_freed_memory

FEWEST_STEPS = 50
"""Steps below which a budget of time is refused: nothing is learnt in fewer."""
_SEARCH_PART = 0.05
"""Part of the time there is after which no costlier rung is looked at."""
_SLOWER = 1.2
"""How much longer than measured all may take, in a time that is advised."""
_HOPE = 0.5
"""A rung is measured when this part of the steps that it should leave is predicted."""
NEARLY = 0.9
"""A rung is kept when it leaves this part of the steps that it should."""


@dataclass(frozen=True)
class Climb:
    """The rung that was taken."""

    rung: Rung
    speed: Speed
    refused: str
    """why no costlier one was; empty where there is none"""


def steps_within(speed: Speed, seconds: float) -> int:
    """Return the steps that fit into so many seconds of training, its start taken off."""
    return int(max(0.0, seconds - speed.start_seconds) / speed.seconds_per_step)


def predicted(rung: Rung, measured: Rung, speed: Speed, seconds: float) -> float:
    """Return the steps that a rung would leave, as the measured one lets expect."""
    return steps_within(speed, seconds) * measured.cost / rung.cost


def climb(rungs: Sequence[Rung], measure: Callable[[Rung], Speed], seconds: float, began: float | None = None) -> Climb:
    """Measure the cheapest rung, then the costliest that should fit, until no costlier one should.

    Args:
        rungs: the costliest first.
        measure: makes a few steps; raises ``TooLargeError`` where memory does not suffice.
        seconds: time of the whole training.
        began: reading of ``time.monotonic()`` from which that counts; by default that of this call.

    Raises:
        EquiregError: if not even the cheapest rung fits the memory, or it leaves fewer than 50 steps, or than it
            should leave where that is less.
    """
    begin, left = time.monotonic(), list(rungs)
    rung, refused = left[-1], ""
    speed = measure_cheapest(rung, measure)
    _check_steps(rung, speed, seconds, time.monotonic() - (begin if began is None else began))
    while True:
        above = left[: left.index(rung)]
        fit = [one for one in above if _may_fit(one, rung, speed, seconds)]
        if above and not fit:
            next_ = above[-1]
            left_over = predicted(next_, rung, speed, seconds)
            refused = f"{shown(next_)} would leave about {left_over:,.0f} steps, fewer than {next_.steps:,}"
        if not fit or time.monotonic() - begin > _SEARCH_PART * seconds:
            return Climb(rung, speed, refused)
        tried = fit[0]
        return_freed_memory()
        try:
            found = measure(tried)
        except TooLargeError as error:
            refused = f"{shown(tried)}: {error}"
            left = left[left.index(tried) + 1 :]
            continue
        if steps_within(found, seconds) >= NEARLY * tried.steps:
            rung, speed = tried, found
        else:
            refused = f"{shown(tried)} leaves {steps_within(found, seconds):,} steps, fewer than {tried.steps:,}"
            left = left[left.index(tried) + 1 :]


def _may_fit(rung: Rung, measured: Rung, speed: Speed, seconds: float) -> bool:
    """Whether a rung is worth measuring: small steps are dearer for their work than large ones, so hope is allowed."""
    memory = speed.step_bytes * rung.memory / measured.memory
    enough = predicted(rung, measured, speed, seconds) >= _HOPE * rung.steps
    return enough and memory <= speed.room_bytes


def measure_cheapest(rung: Rung, measure: Callable[[Rung], Speed]) -> Speed:
    """Measure the last rung.

    Raises:
        EquiregError: if it does not fit the memory.
    """
    try:
        return measure(rung)
    except TooLargeError as error:
        raise EquiregError(
            f"{error}, with {shown(rung)}. Lower --batch_size, --patch_size or --unsup_ratio, or free memory."
        ) from error


def fewest_minutes(lost_s: float, step_s: float, steps: int) -> float:
    """Return the --max_minutes to advise for a number of steps, in tenths rounded up.

    Args:
        lost_s: seconds for all but steps: what has passed, the start and pauses. The search for a costlier rung, a
            twentieth of the time, comes on top.
        step_s: seconds of a step.
        steps: how many are to fit.
    """
    return math.ceil(_SLOWER * (lost_s + steps * step_s) / (1 - _SEARCH_PART) / 6) / 10


def _check_steps(rung: Rung, speed: Speed, seconds: float, passed_s: float) -> None:
    steps, fewest = steps_within(speed, seconds), min(FEWEST_STEPS, rung.steps)  # --max_steps may ask for fewer
    if steps < fewest:
        least = fewest_minutes(passed_s + speed.start_seconds, speed.seconds_per_step, fewest)
        raise EquiregError(
            f"--max_minutes {seconds / 60:g} leaves about {steps} steps at {speed.seconds_per_step:.2g} s a step; "
            f"expected time for {fewest} or more. Give --max_minutes {least:g} or more, or a smaller "
            "--patch_size or --batch_size."
        )


def shown(rung: Rung) -> str:
    """Return a rung in words."""
    unlabelled = f" + {rung.batch_size * rung.unsup_ratio}" if rung.unsup_ratio else ""
    patch = " x ".join(map(str, rung.patch_size))
    factor = max(rung.downsample or (1,))
    seen = f", seen {factor} times coarser" if factor > 1 else ""
    return f"{rung.features} features with {rung.batch_size}{unlabelled} samples of {patch}{seen}"
