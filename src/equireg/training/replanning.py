"""Keeping a run to its budget of time: its steps are timed, and the rest is planned anew where that is needed."""

import logging
import math
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback

from equireg.inference.validation import import_ahead
from equireg.processes import ranks
from equireg.training.budget import Budget, Pace
from equireg.training.schedule import Plan

log = logging.getLogger("equireg")

_NOTABLE = 0.1
"""Part by which a run becomes longer or shorter than was last told, before it is told again."""


class Replanning(Callback):
    """Plan the run by the speed of its own steps, again and again; the first rank decides for all.

    Args:
        pace: the run's pace, whose schedule is replaced.
        budget: its time, as this process sees it.
    """

    def __init__(self, pace: Pace, budget: Budget) -> None:
        self.pace, self.budget = pace, budget
        self._next_check = 0
        self._paused_at: float | None = None
        self._told = pace.schedule.total

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Take up the plan that a resumed run had."""
        self._follow(trainer)

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Take the time of a validation and a checkpoint."""
        if self._paused_at is not None:
            self.budget.paused(self.budget.clock() - self._paused_at)
            self._paused_at = None

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Look at the speed where it is due.

        Raises:
            EquiregError: if too few steps fit into the budget.
        """
        step = trainer.global_step
        if step >= self._next_check:
            if pl_module.device.type == "cuda":
                torch.cuda.synchronize(pl_module.device)
            decided = self._decide(trainer, pl_module, step) if trainer.is_global_zero else None
            plan, self._next_check = ranks.from_first(decided)
            if plan is not None:
                self._apply(trainer, Plan(*plan))
        else:
            self.budget.watch_step()
        if trainer.is_last_batch:
            self._paused_at = self.budget.clock()

    def _decide(self, trainer: lightning.Trainer, module: Any, step: int) -> tuple[Plan | None, int]:
        """Return another plan where one is needed, and the step after which to look again."""
        budget, schedule = self.budget, self.pace.schedule
        if not budget.time_steps(step):
            if len(schedule.plans) == 1:
                budget.check(step)
            return None, step + 1
        if len(schedule.plans) == 1 and schedule.val_every is None:
            self._time_validation(trainer, module)
        plan = budget.plan(schedule, step)
        if plan is not None:
            schedule = schedule.replanned(plan)
        return plan, budget.next_check(schedule, step)

    def _time_validation(self, trainer: lightning.Trainer, module: Any) -> None:
        """Estimate what a validation takes, by one case."""
        data = module.data
        names = data.cases.validation
        if not names or not trainer.enable_validation:
            return
        stopped = self.budget.clock()
        import_ahead()
        begin = self.budget.clock()
        with torch.no_grad(), trainer.precision_plugin.val_step_context():
            module.score(names[0])
        ended = self.budget.clock()
        sizes = [math.prod(data.reader.prepared.by_name[name].shape) for name in names]
        of_all = (ended - begin) * sum(sizes) / sizes[0] / data.rank.count
        self.budget.estimate_pause(of_all, ended - stopped)

    def _apply(self, trainer: lightning.Trainer, plan: Plan) -> None:
        """Follow another plan from the next step on, on every rank."""
        first = len(self.pace.schedule.plans) == 1
        validated = trainer.enable_validation and self.pace.schedule.val_every is None
        self.pace.schedule = self.pace.schedule.replanned(plan)
        self._follow(trainer)
        if not trainer.is_global_zero:
            return
        step_s = self.budget.step_s or 0.0
        if not first and abs(plan.total - self._told) < _NOTABLE * self._told:
            return
        told, self._told = self._told, plan.total
        if not first:
            log.info("planned anew from step %d: %d steps in place of %d, %.3g s a step", *plan[:2], told, step_s)
            return
        count = f"{plan.validations} validation" + "s" * (plan.validations != 1)
        log.info("%d steps are planned, %.3g s each%s", plan.total, step_s, f", with {count}" if validated else "")
        if validated and not plan.validations:
            log.warning(
                "a validation takes more than half of the time that is left, so there is none; the last checkpoint is "
                "the model. Give --val_cases, --val_every, or prepare with a lower --val_fraction."
            )

    def _follow(self, trainer: lightning.Trainer) -> None:
        """Tell Lightning's loop what the plan says."""
        trainer.fit_loop.epoch_loop.max_steps = self.pace.schedule.total
        if not self.pace.schedule.is_validated:
            trainer.limit_val_batches = 0
