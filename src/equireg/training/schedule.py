"""How far a run is at each step: learning rates, ramp-ups and validations follow it. It may be planned anew on the way.

A plan says how many steps the whole run has. With another plan from some step on, the part of the run that is done
goes on from where it is, faster or slower, so that it never falls and is 1 at the new end. All of it follows from the
list of plans alone: a run that is given the same list makes the same steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from equireg.config import TrainConfig

CHECKPOINTS = 10
"""Checkpoints of a run that is not validated, where nothing says how often."""


class Plan(NamedTuple):
    """The length of a run, as it is planned from some step on."""

    first: int
    """the first step to which it applies, counted from 0"""
    total: int
    """optimiser steps of the whole run"""
    validations: int = 0
    """validations of the whole run, evenly spread over its progress, where ``val_every`` does not say when; 0: none"""


@dataclass(frozen=True)
class Schedule:
    """The plans of a run, in their order; the first one begins at step 0."""

    plans: tuple[Plan, ...]
    val_every: int | None = None
    """steps between validations; None where the plans say when"""

    @classmethod
    def of(cls, config: TrainConfig, plans: Sequence[Sequence[int]] = ()) -> "Schedule":
        """Return the schedule that options ask for, or the one of the plans that a checkpoint holds."""
        made = plans or config.replanned or ((0, config.total_steps, 0),)
        return cls(tuple(Plan(*plan) for plan in made), config.val_every)

    @property
    def total(self) -> int:
        """Steps of the whole run, as far as is known."""
        return self.plans[-1].total

    @property
    def is_validated(self) -> bool:
        """Whether the plans leave time for validations."""
        return self.val_every is not None or len(self.plans) == 1 or self.plans[-1].validations > 0

    def replanned(self, plan: Plan) -> "Schedule":
        """Return the schedule with one more plan.

        Raises:
            ValueError: if the plan does not begin within the last one, or ends before it begins.
        """
        last = self.plans[-1]
        if not last.first < plan.first < last.total or plan.total < plan.first:
            raise ValueError(f"got {plan} after {last}; expected a first step within that, and an end after it")
        return replace(self, plans=(*self.plans, plan))

    def plan_at(self, step: int) -> Plan:
        """Return the plan that applies to a step."""
        return next(plan for plan in reversed(self.plans) if plan.first <= step)

    def progress(self, step: int) -> float:
        """Return the part of the run that is done after so many steps, from 0 to 1; it never falls."""
        if step >= self.plan_at(step).total:
            return 1.0
        done = 0.0
        for plan, following in zip(self.plans, (*self.plans[1:], None), strict=True):
            last = step if following is None else min(step, following.first)
            done += (1.0 - done) * (last - plan.first) / (plan.total - plan.first)
            if last == step:
                break
        return done

    def even_step(self, step: int) -> float:
        """Return the step at which a run would be as far that had the steps of the plan, evenly paced.

        Exactly ``step`` as long as there is one plan.
        """
        plan = self.plan_at(step)
        return step if plan is self.plans[0] else self.progress(step) * plan.total

    def pauses_after(self, step: int) -> bool:
        """Whether the run is validated, and a checkpoint written, after so many steps; always at the end."""
        plan = self.plan_at(step)
        if step >= plan.total:
            return True
        if self.val_every is not None:
            return step % self.val_every == 0
        if plan is self.plans[0]:  # how often is planned once the first steps have been timed
            return False
        parts = plan.validations or CHECKPOINTS
        return int(self.progress(step) * parts) > int(self.progress(step - 1) * parts)

    def next_pause(self, step: int) -> int:
        """Return the first step after ``step`` at which the run pauses; ``step`` itself at the end."""
        if step >= self.total:
            return step
        while not self.pauses_after(step := step + 1):
            pass
        return step


def repeating(config: TrainConfig, schedule: Schedule) -> TrainConfig:
    """Return the options that make the same steps as a run with a budget of time, however fast the machine."""
    plans = tuple(tuple(plan) for plan in schedule.plans)
    return replace(config, max_minutes=None, max_steps=schedule.total, replanned=plans)
