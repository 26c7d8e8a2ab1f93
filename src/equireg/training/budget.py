"""A budget of time: how many steps fit into what is left, by the speed that the run itself has shown."""

import math
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from equireg.errors import EquiregError
from equireg.planning.climbing import FEWEST_STEPS, fewest_minutes
from equireg.planning.making import MOST_VALIDATIONS, PART_VALIDATED
from equireg.training.schedule import CHECKPOINTS, Plan, Schedule

PLANS = "plans"
"""Key of a checkpoint's entry: the plans of a run with a budget."""
USED_S = "used_s"
"""Key of a checkpoint's entry: the seconds of the budget that had passed."""
PAUSE = "pause_s"
"""Key of a checkpoint's entry: the seconds of a pause, and those of a step then."""
_TIMED = 3
"""Steps that must be timed before the first planning, at least; the very first one is slow, and not timed."""
_ENOUGH = 20
"""Steps that suffice for it, however short."""
_PART_TIMED = 0.02
"""Part of the budget that suffices for it, however few the steps."""
_LONGEST_TIMED_S = 10.0
_LARGEST_VALIDATION = 0.5
"""Part of the time left above which a single validation is left out."""
_MEMORY = 0.05
"""Part of the budget over which older speeds are forgotten."""
_STOPPED, _STOPPED_S = 10.0, 1.0
"""A step or pause that takes so many times as long as usual, and at least so long, was stopped in between, as a process
that is suspended."""
_LATE = 0.06
"""Part of the steps left by which they must be too many or too few before they are planned anew."""
_LATE_S = 0.01
"""The same as a part of the budget; the larger counts."""
_END = 0.005
"""Part of the budget that is kept for what follows the last checkpoint, up to `_LONGEST_END_S`."""
_LONGEST_END_S = 0.5


@dataclass
class Budget:
    """The time of a run, and what its steps and pauses take of it.

    Whoever trains says when a span of steps begins and ends and how long a pause took; `plan` then says how long the
    run should be.
    """

    total_s: float
    """the whole budget, s"""
    began: float
    """reading of the clock when it began"""
    used_before_s: float = 0.0
    """what earlier sessions of a resumed run took of it, s"""
    most_steps: int | None = None
    """steps that the run may have at most"""
    clock: Callable[[], float] = time.monotonic
    step_s: float | None = None
    """seconds of a step; None until steps have been timed"""
    pause_s: float = 0.0
    """seconds of a validation and a checkpoint: estimated first, then measured"""
    pause_step_s: float | None = None
    """seconds of a step when the pause was timed"""
    _pause_measured: bool = False
    _span: tuple[int, float] | None = None
    """step and reading of the clock at which the timed span of steps began"""
    _first_s: list[float] = field(default_factory=list[float])
    """seconds of each of the first timed steps"""
    _step_ended: float | None = None
    """reading of the clock after the last step, later by what was left out since"""
    _slow_at: float = -math.inf
    """reading of the clock after the last step that took far longer than usual"""

    def used_s(self) -> float:
        """Return the seconds of the budget that have passed."""
        return self.used_before_s + self.clock() - self.began

    def left_s(self) -> float:
        """Return the seconds that are left, 0 when it is used up."""
        return max(self.total_s - self.used_s(), 0.0)

    def paused(self, seconds: float) -> None:
        """Take note of a pause; one that was stopped in between says nothing, unless the next is as long."""
        self._leave_out(seconds)
        usual = self._slowed_pause_s()
        if self._pause_measured and _was_stopped(seconds, usual):
            self._pause_measured = False
            return
        self.pause_s = (usual + seconds) / 2 if self._pause_measured else seconds
        self._pause_measured, self.pause_step_s = True, self.step_s

    def estimate_pause(self, seconds: float, took_s: float) -> None:
        """Take note of what a pause will take, as far as is known before the first; finding it out took time too."""
        self._leave_out(took_s)
        self.pause_s, self.pause_step_s = seconds, self.step_s

    def pause_so_far(self) -> tuple[float, float | None]:
        """Return the seconds of a pause and of a step then; one under way counts where it is longer."""
        since = 0.0 if self._step_ended is None else self.clock() - self._step_ended
        usual = self._slowed_pause_s()
        stopped = self._pause_measured and _was_stopped(since, usual)
        return (self.pause_s, self.pause_step_s) if usual >= since or stopped else (since, self.step_s)

    def _slowed_pause_s(self) -> float:
        """Return what a pause takes now: where steps have become slower since it was timed, so have validations."""
        if self.step_s is None or self.pause_step_s is None:
            return self.pause_s
        return self.pause_s * max(1.0, self.step_s / self.pause_step_s)

    def _leave_out(self, seconds: float) -> None:
        """Do not count seconds as time of the steps about them."""
        if self._span is not None:
            self._span = (self._span[0], self._span[1] + seconds)
        if self._step_ended is not None:
            self._step_ended += seconds

    def watch_step(self) -> float:
        """Look at the clock, after each step that is not a call of ``time_steps``; return its reading.

        What one step alone takes beyond the usual is used time, but not the speed of the machine. Where such steps
        come often, they are its speed.
        """
        now, before = self.clock(), self._step_ended
        if before is not None and self.step_s is None:
            self._first_s.append(now - before)
        elif before is not None and self.step_s is not None and _was_stopped(now - before, self.step_s):
            if before - self._slow_at > _MEMORY * self.total_s:
                self._leave_out(now - before - self.step_s)
            self._slow_at = now
        self._step_ended = now
        return now

    def time_steps(self, step: int) -> bool:
        """Time the steps since the last call, up to ``step``; return whether they suffice to plan by."""
        now = self.watch_step()
        if self._span is None:
            self._span = (step, now)
            return False
        first, begin = self._span
        count, seconds = step - first, now - begin
        if self.step_s is None:
            usual, longest = statistics.median(self._first_s), max(self._first_s)
            seconds -= longest - usual if _was_stopped(longest, usual) else 0.0
            least = min(_PART_TIMED * self.total_s, _LONGEST_TIMED_S)
            if count < _TIMED or (count < _ENOUGH and seconds < least):
                return False
            self.step_s = seconds / count
        else:
            weight = 1 - math.exp(-seconds / (_MEMORY * self.total_s))
            self.step_s += weight * (seconds / count - self.step_s)
        self._span = (step, now)
        return True

    def check(self, step: int) -> None:
        """Refuse a budget that even the fastest step so far makes too short.

        Raises:
            EquiregError: says how long it had to be.
        """
        if len(self._first_s) > 1 or (self._first_s and not self.left_s()):  # a single one may have been stopped
            fastest = min(self._first_s)
            self._refuse_fewer(step + int(self._time_for_steps(1) / fastest), fastest)

    def _refuse_fewer(self, steps: int, step_s: float) -> None:
        fewest = min(FEWEST_STEPS, self.most_steps or FEWEST_STEPS)
        if steps >= fewest:
            return
        least = fewest_minutes(self.used_s() + self.pause_s, step_s, fewest)
        raise EquiregError(
            f"--max_minutes is {self.total_s / 60:g}, in which about {steps} steps fit ({step_s:.2g} s a step); "
            f"expected time for {fewest} or more. Give --max_minutes {least:g}, or make the step smaller by "
            "--batch_size, --unsup_ratio, --patch_size or --network.features."
        )

    def plan(self, schedule: Schedule, step: int) -> Plan | None:
        """Return how long the run should be from the next step on; None where it may stay as planned.

        Args:
            schedule: as planned so far.
            step: steps that are done.

        Raises:
            EquiregError: if too few steps fit, at the first planning.
        """
        if self.step_s is None or schedule.total - step < 2:
            return None
        old = schedule.plans[-1]
        validations = old.validations if schedule.val_every is not None else self._validations(schedule, step)
        total = step + max(1, self._steps_left(schedule, step, validations, self.step_s))
        total = min(total, self.most_steps or total)
        if len(schedule.plans) == 1:
            usual = min(self.step_s, statistics.median(self._first_s))
            self._refuse_fewer(step + self._steps_left(schedule, step, validations, usual), usual)
            return Plan(step + 1, total, validations)
        late = max(_LATE * (old.total - step), _LATE_S * self.total_s / self.step_s)
        if abs(total - old.total) <= late and validations == old.validations:
            return None
        return Plan(step + 1, total, validations)

    def next_check(self, schedule: Schedule, step: int) -> int:
        """Return the step after which to look again; the nearer the end, the sooner."""
        return step + max(1, (schedule.total - step) // 20)

    def _time_for_steps(self, pauses: int) -> float:
        end = min(_END * self.total_s, _LONGEST_END_S)
        return max(self.left_s() - end - pauses * self._slowed_pause_s(), 0.0)

    def _steps_left(self, schedule: Schedule, step: int, validations: int, step_s: float) -> int:
        """Return how many steps fit into the time left, with the pauses among them."""
        if schedule.val_every is None:
            pauses = _pauses_left(schedule, step, validations or CHECKPOINTS)
        else:
            # Until the next multiple, then whole intervals; the last pause is at the end.
            ahead = self._time_for_steps(1) - (schedule.val_every - step % schedule.val_every) * step_s
            pauses = 1 + max(0, math.ceil(ahead / (schedule.val_every * step_s + self._slowed_pause_s())))
        return int(self._time_for_steps(pauses) / step_s)

    def _validations(self, schedule: Schedule, step: int) -> int:
        """Return how many validations the whole run should have."""
        pause_s = self._slowed_pause_s()
        affordable = PART_VALIDATED * self.left_s() / pause_s if pause_s else math.inf
        count = schedule.plans[-1].validations
        if len(schedule.plans) == 1:
            if self.pause_s > _LARGEST_VALIDATION * self.left_s():
                self.pause_s = 0.0  # what a checkpoint takes is measured
                return 0
            count = 1
        while 0 < count < MOST_VALIDATIONS and _pauses_left(schedule, step, count + 1) <= affordable:
            count += 1
        # A few too many are better than a plan that swings.
        while count > 1 and _pauses_left(schedule, step, count) > max(2 * affordable, 1):
            count -= 1
        return count


def _was_stopped(seconds: float, usual: float) -> bool:
    return seconds > max(_STOPPED * usual, _STOPPED_S)


def _pauses_left(schedule: Schedule, step: int, parts: int) -> int:
    """Return the pauses that are left where the run is divided into equal parts, the one at its end included."""
    return max(1, parts - int(schedule.progress(step) * parts))


@dataclass
class Pace:
    """How a run is paced: its schedule, and the time that decides it where there is a budget."""

    schedule: Schedule
    budget: Budget | None = None

    def pauses_after(self, step: int) -> bool:
        """Whether the run pauses after so many steps, as it is planned when this is asked."""
        return self.schedule.pauses_after(step)

    def as_plain(self) -> dict[str, Any]:
        """Return what a checkpoint must hold, so that a resumed run knows its plans and what is left."""
        budget = self.budget
        if budget is None:
            return {}
        plans = [list(plan) for plan in self.schedule.plans]
        return {PLANS: plans, USED_S: budget.used_s(), PAUSE: list(budget.pause_so_far())}
