"""A budget of time: runs end with it, whatever the machine does. The clock is made up."""

import math
import random
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from equireg.errors import EquiregError
from equireg.training.budget import PAUSE, USED_S, Budget, Pace
from equireg.training.replanning import Replanning
from equireg.training.schedule import Plan, Schedule

Speed = Callable[[int, float], float]
"""Step and seconds since the start to the seconds that the step takes."""


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Run:
    """A run whose steps and pauses only move the clock; a step takes what ``speed`` says."""

    budget: Budget
    clock: Clock
    schedule: Schedule = field(default_factory=lambda: Schedule((Plan(0, 5000),)))
    step: int = 0
    paused_s: float = 0.0
    pauses: int = 0

    @classmethod
    def of(cls, minutes: float, val_every: int | None = None, most: int | None = None) -> "Run":
        clock = Clock()
        budget = Budget(60 * minutes, 0.0, most_steps=most, clock=clock)
        return cls(budget, clock, Schedule((Plan(0, most or 5000),), val_every))

    def train(self, speed: Speed, pause_s: float, until: int | None = None) -> "Run":
        """Train to the end, or up to a step, as the loop does."""
        for _ in self.steps(speed, pause_s):
            if self.step == until:
                break
        return self

    def steps(self, speed: Speed, pause_s: float) -> Iterator[None]:
        check, budget = 0, self.budget
        while self.step < self.schedule.plan_at(self.step).total or not self.step:
            self.clock.now += speed(self.step, self.clock.now)
            self.step += 1
            if self.step >= check:
                check = self._look(pause_s)
            else:
                budget.watch_step()
            yield
            if self.schedule.pauses_after(self.step):
                self.clock.now += pause_s
                self.pauses += 1
                if self.step < self.schedule.total:
                    budget.paused(pause_s)

    def _look(self, pause_s: float) -> int:
        first = len(self.schedule.plans) == 1
        if not self.budget.time_steps(self.step):
            if first:
                self.budget.check(self.step)
            return self.step + 1
        if first and self.schedule.val_every is None:
            self.clock.now += pause_s / 10
            self.budget.estimate_pause(pause_s, pause_s / 10)
        plan = self.budget.plan(self.schedule, self.step)
        if plan is not None:
            self.schedule = self.schedule.replanned(plan)
        return self.budget.next_check(self.schedule, self.step)


NOISE = random.Random(0)
SPEEDS: dict[str, Speed] = {
    "even": lambda step, now: 0.4,
    "fast": lambda step, now: 0.01,
    "three times slower from the half": lambda step, now: 0.4 if now < 300 else 1.2,
    "four times faster from the half": lambda step, now: 0.4 if now < 300 else 0.1,
    "ten times slower near the end": lambda step, now: 0.2 if now < 560 else 2.0,
    "noisy": lambda step, now: 0.4 * NOISE.lognormvariate(0, 0.5),
    "in bursts": lambda step, now: 0.4 * (1 + 3 * (int(now / 40) % 2)),
    "one step of forty far slower": lambda step, now: 0.1 + 4 * (step % 40 == 0),
    "slow first steps": lambda step, now: 0.4 + 10 * (step == 0) + 2 * (step < 20),
}


@pytest.mark.parametrize("pause_s", [0.5, 8.0])
@pytest.mark.parametrize("val_every", [None, 100])
@pytest.mark.parametrize("name", SPEEDS)
def test_a_run_ends_with_its_budget(name: str, val_every: int | None, pause_s: float) -> None:
    run = Run.of(10, val_every).train(SPEEDS[name], pause_s)
    assert 0.9 * 600 < run.clock.now < 1.03 * 600
    assert run.schedule.progress(run.step) == 1, "the schedules have ended"
    if val_every is None:
        assert run.pauses <= 10
        assert run.pauses * pause_s <= 0.2 * 600


def test_an_even_run_is_planned_once() -> None:
    run = Run.of(10).train(SPEEDS["even"], 0.5)
    assert len(run.schedule.plans) == 2
    assert run.schedule.plans[1].first <= 30, "after the first steps"
    assert run.pauses == 10


def test_the_cap_on_the_steps_holds() -> None:
    run = Run.of(10, most=200).train(SPEEDS["even"], 0.5)
    assert (run.step, run.schedule.total) == (200, 200)
    slow = Run.of(10, most=2000).train(SPEEDS["even"], 0.5)
    assert slow.step < 2000
    assert slow.clock.now == pytest.approx(600, rel=0.03)


def test_a_validation_that_would_take_half_of_the_time_is_left_out() -> None:
    run = Run.of(10).train(SPEEDS["even"], pause_s=400.0, until=100)
    assert run.schedule.plans[1].validations == 0
    assert not run.schedule.is_validated


def test_a_validation_that_takes_longer_than_one_case_promised_comes_less_often() -> None:
    run = Run.of(10)
    steps = run.steps(SPEEDS["even"], 2.0)
    while len(run.schedule.plans) < 2:
        next(steps)
    planned = run.schedule.plans[-1].validations
    run.budget.paused(60.0)
    run.clock.now += 60.0
    plan = run.budget.plan(run.schedule, run.step)
    assert plan is not None
    assert 1 <= plan.validations < planned


def test_a_machine_that_slows_down_slows_the_last_validation_too() -> None:
    """The only validation, at the end, was estimated when the machine was three times as fast."""
    run = Run.of(4)
    steps = run.steps(lambda step, now: 0.4 if now < 100 else 1.2, 20.0)
    while run.clock.now < 140:
        next(steps)
    assert run.schedule.plans[-1].validations == 1
    list(run.train(lambda step, now: 1.2, 60.0).steps(lambda step, now: 1.2, 60.0))
    assert run.clock.now == pytest.approx(240, rel=0.1)


def stopped(step: int, stop_s: float) -> Speed:
    """Return even steps, in one of which the process was stopped for a while."""
    return lambda now, _: 0.2 + (stop_s if now == step else 0.0)


@pytest.mark.parametrize("val_every", [None, 500])
def test_a_step_in_which_the_process_was_stopped_is_not_the_speed(val_every: int | None) -> None:
    run = Run.of(10, val_every).train(stopped(600, 240.0), 2.0, until=900)
    done, used = run.schedule.progress(900), run.clock.now / 600
    assert done == pytest.approx(0.2 + 0.8 * (used - 0.6) / 0.4, abs=0.05), "the rest is evenly paced"
    run.train(stopped(600, 240.0), 2.0)
    assert run.clock.now == pytest.approx(600, rel=0.02)
    assert val_every or run.pauses >= 8


def test_steps_that_are_all_far_slower_are_the_speed() -> None:
    run = Run.of(10).train(lambda step, now: 0.2 if now < 300 else 2.5, 0.5)
    assert run.clock.now == pytest.approx(600, rel=0.03)
    assert run.budget.step_s == pytest.approx(2.5, rel=0.1)


@pytest.mark.parametrize("step", [1, 2, 3, 8])
def test_a_stop_within_the_first_steps_refuses_no_run(step: int) -> None:
    run = Run.of(2).train(stopped(step, 30.0), 0.5)
    assert run.clock.now == pytest.approx(120, rel=0.02)
    assert run.pauses == 10


def test_validations_that_are_fast_again_come_as_often_again() -> None:
    run = Run.of(10)
    steps = run.steps(SPEEDS["even"], 2.0)
    while run.pauses < 2:
        next(steps)
    for expected in (2.0, 25.0):  # one alone may be that of a process that was stopped
        run.clock.now += 25.0
        run.budget.paused(25.0)
        assert run.budget.pause_s == pytest.approx(expected)
    run.schedule = run.schedule.replanned(run.budget.plan(run.schedule, run.step) or Plan(0, 0))
    fewer = run.schedule.plans[-1].validations
    assert fewer < 5
    list(steps)
    assert run.schedule.plans[-1].validations > fewer


def test_a_resumed_run_knows_what_its_validations_take() -> None:
    """It was stopped when its first checkpoint was just written, and has time for a few validations more."""
    first = Run.of(10, 500).train(stopped(-1, 0.0), 60.0, until=500)
    first.clock.now += 60.0
    stored = Pace(first.schedule, first.budget).as_plain()
    assert stored[PAUSE] == [60.0, pytest.approx(0.2)]
    clock, (pause_s, step_s) = Clock(), stored[PAUSE]
    budget = Budget(600, 0.0, stored[USED_S], clock=clock, pause_s=pause_s, pause_step_s=step_s)
    plan = Run(budget, clock, first.schedule, 500).train(stopped(-1, 0.0), 60.0, until=550).schedule.plans[-1]
    assert plan.total == pytest.approx(500 + (600 - stored[USED_S] - 3 * 60) / 0.2, rel=0.05)


def test_a_resumed_run_ends_with_what_was_left() -> None:
    """The second session is on a machine of half the speed; its clock has begun anew."""
    first = Run.of(10).train(SPEEDS["even"], 0.5, until=700)
    used = first.budget.used_s()
    clock = Clock()
    clock.now = 5000.0
    budget = Budget(600, 5000.0, used_before_s=used, clock=clock)
    second = Run(budget, clock, first.schedule, first.step).train(lambda step, now: 0.8, 0.5)
    assert used + clock.now - 5000.0 == pytest.approx(600, rel=0.02)
    assert second.schedule.progress(second.step) == 1
    assert second.step < 1200


@pytest.mark.parametrize("step_s", [0.5, 40.0])
def test_a_budget_of_fewer_than_fifty_steps_is_refused_after_a_few(step_s: float) -> None:
    run = Run.of(0.4)
    with pytest.raises(EquiregError, match=r"in which about \d+ steps fit .* Give --max_minutes \d") as raised:
        run.train(lambda step, now: step_s, 0.1)
    assert run.step <= 5
    advised = float(str(raised.value).split("Give --max_minutes ")[1].split(",")[0])
    assert Run.of(advised).train(lambda step, now: step_s, 0.1).step >= 50


def test_a_cap_below_fifty_steps_is_no_short_budget() -> None:
    assert Run.of(0.4, most=20).train(lambda step, now: 0.5, 0.1).step == 20


def test_what_is_left_is_told() -> None:
    run = Run.of(10).train(SPEEDS["even"], 0.5, until=100)
    assert run.budget.left_s() == pytest.approx(600 - run.clock.now)
    run.clock.now = math.inf
    assert run.budget.left_s() == 0


def test_what_a_validation_imports_is_not_taken_for_the_time_of_each_case(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    budget = Budget(600.0, 0.0, clock=clock, _span=(0, 0.0))

    def pass_time(seconds: float, *_: Any) -> None:
        clock.now += seconds

    monkeypatch.setattr("equireg.training.replanning.import_ahead", partial(pass_time, 5.0))
    prepared = SimpleNamespace(by_name=dict.fromkeys("abc", SimpleNamespace(shape=(2, 2, 2))))
    reader, rank = SimpleNamespace(prepared=prepared), SimpleNamespace(count=1)
    data = SimpleNamespace(cases=SimpleNamespace(validation="abc"), reader=reader, rank=rank)
    trainer: Any = SimpleNamespace(
        enable_validation=True, precision_plugin=SimpleNamespace(val_step_context=nullcontext)
    )
    module = SimpleNamespace(data=data, score=partial(pass_time, 1.0))
    Replanning(Pace(Schedule((Plan(0, 5000),)), budget), budget)._time_validation(trainer, module)
    assert budget.pause_s == pytest.approx(3.0)
    assert budget._span == (0, 6.0)  # nor is it time of the steps


def test_a_validation_that_was_stopped_as_the_run_ended_leaves_time_for_the_rest_when_resumed() -> None:
    first = Run.of(10).train(stopped(-1, 0.0), 2.0, until=800)
    first.clock.now += 120.0
    stored = Pace(first.schedule, first.budget).as_plain()
    assert stored[PAUSE] == [pytest.approx(2.0), pytest.approx(0.2)]
