"""The training loop itself, for Lightning: batches, losses, optimiser, validation; the method is all that varies."""

import logging
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.callbacks import Callback, EarlyStopping, ProgressBar
from lightning.pytorch.loggers import Logger
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn
from torch.utils.data import DataLoader

from equireg.batches.batch import Batch
from equireg.config import TrainConfig
from equireg.errors import EquiregError
from equireg.folders.run import RunFolder
from equireg.inference import InferencePlan, validation
from equireg.methods import Method, evaluating
from equireg.model import ENTRY, FOREGROUND_BIAS, POST_PROCESS, ModelFacts, entry, seal
from equireg.networks.heads import class_axes, takes_foreground_bias
from equireg.optimiser import learning_rate, make_optimizer
from equireg.postprocessing import (
    CaseCounts,
    ForegroundBias,
    PostProcessing,
    UnderBiases,
    choose,
    choose_bias,
    count_case,
)
from equireg.processes import launching, ranks
from equireg.training.budget import Pace
from equireg.training.callbacks import check_one_batch_a_step, make_plain
from equireg.training.data import DataSource
from equireg.training.divergence import remedy
from equireg.training.monitoring import Checkpoints, MetricsFile, Pictures, Steps
from equireg.training.step_losses import StepLosses, checked

log = logging.getLogger("equireg")


@dataclass(frozen=True)
class Watchers:
    """What looks at a run beside the run itself."""

    loggers: Sequence[Logger]
    callbacks: Sequence[Callback] = ()


def make_trainer(
    out: Path, config: TrainConfig, device: torch.device, precision: str, validates: bool, watchers: Watchers
) -> lightning.Trainer:
    """Build Lightning's trainer for a run."""
    several = config.devices * config.nodes > 1
    return lightning.Trainer(
        default_root_dir=out,
        accelerator={"cuda": "gpu"}.get(device.type, device.type),
        devices=config.devices,
        num_nodes=config.nodes,
        strategy=DDPStrategy() if several else "auto",
        plugins=_environment(several=several),
        sync_batchnorm=several and device.type == "cuda",  # torch has it for GPUs alone
        precision={"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}[precision],  # pyright: ignore[reportArgumentType]
        max_steps=config.total_steps,
        max_epochs=-1,
        reload_dataloaders_every_n_epochs=1,
        gradient_clip_val=config.optimizer.clip_norm,
        callbacks=[*_callbacks(out, config), *watchers.callbacks],
        logger=list(watchers.loggers),
        log_every_n_steps=config.log_every,
        num_sanity_val_steps=0,
        limit_val_batches=1.0 if validates else 0,
        enable_checkpointing=False,
        enable_progress_bar=any(isinstance(callback, ProgressBar) for callback in watchers.callbacks),
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


def _environment(*, several: bool) -> LightningEnvironment | SLURMEnvironment | None:
    """Return what tells Lightning of a run's other processes; None where it finds that itself."""
    if not several or launching.launched_here():  # the tasks of a job may be so many trainings
        return LightningEnvironment()
    if SLURMEnvironment.detect() and not TorchElasticEnvironment.detect():
        return SLURMEnvironment(auto_requeue=False)  # Lightning would resume from a checkpoint of its own
    return None


def _callbacks(out: Path, config: TrainConfig) -> list[Callback]:
    """Return what writes the run's folder, shows the progress and stops early."""
    run = RunFolder(out)
    callbacks: list[Callback] = [
        MetricsFile(run, config.log_every),
        Pictures(config.pictures_every),
        Checkpoints(run.checkpoints, f"val/{config.monitor}"),
        Steps(),
    ]
    if config.early_stopping_steps is not None and config.val_every is not None:
        patience = math.ceil(config.early_stopping_steps / config.val_every)
        mode = "max" if config.monitor == "dice" else "min"
        # After the validation: a resumed run goes through the end of its epoch once more, without a Dice. Not strict:
        # where no validation case shows a region, there is no Dice.
        stop = EarlyStopping(
            f"val/{config.monitor}", mode=mode, patience=patience, check_on_train_epoch_end=False, strict=False
        )
        callbacks.append(stop)
    return callbacks


ENDED = "ended"
"""Key of a checkpoint's entry: whether training had finished when it was written."""


class LoopModule(lightning.LightningModule):
    """What Lightning needs to know of a run."""

    def __init__(self, config: TrainConfig, facts: ModelFacts, method: Method, data: DataSource, pace: Pace) -> None:
        super().__init__()
        self.config, self.facts, self.method, self.data, self.pace = config, facts, method, data, pace
        self._scores: list[validation.CaseScore] = []
        self._predicted: dict[str, UnderBiases] = {}
        self._foreground_bias, self._post_process = ForegroundBias(), PostProcessing()
        self._unchecked: list[StepLosses] = []
        self._method_step = 0
        self.logged: Mapping[str, Tensor] = {}
        """the scalars that the method gave at the last step"""
        self._regions = validation.regions_of(facts.labels)

    def train_dataloader(self) -> Iterable[Batch]:
        """Return the batches up to the next validation."""
        # By step and not by Lightning's count of epochs, which a resumed run counts differently.
        return self.data.training(self.global_step, self.pace)

    def val_dataloader(self) -> DataLoader[str]:
        """Return the validation cases."""
        return self.data.validation()

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Move a batch; a validation case is but a name."""
        return batch.to(device) if isinstance(batch, Batch) else batch

    def configure_optimizers(self) -> Any:
        """Optimise what requires a gradient, at a rate that follows the step."""
        weights = [weight for weight in self.method.parameters() if weight.requires_grad]
        # A fused step cannot go with gradients that are scaled, as those of 16 bits are.
        optimizer = make_optimizer(self.config.optimizer, weights, fused=self.trainer.precision != "16-mixed")
        # A function, not an object: a checkpoint would hold the object's fields, which are no plain values.
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate(self.config.optimizer, *self._planned(step))
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def _planned(self, step: int) -> tuple[int, float]:
        """Return the steps of the run as planned at a step, and the step that is as far in an evenly paced one."""
        schedule = self.pace.schedule
        return schedule.plan_at(step).total, schedule.even_step(step)

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip the gradient's norm; here, because Lightning does not clip for a fused optimiser."""
        if gradient_clip_val is not None:
            nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], gradient_clip_val)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed what draws from torch's own generator, by step."""
        check_one_batch_a_step(self.trainer.accumulate_grad_batches)
        # Dropout draws from torch's own generator: seeded by step, a resumed run draws the same. Each rank has
        # other samples, so other seeds, far from those of any step.
        rank = self.data.rank.index
        torch.manual_seed(self.config.random_seed * 1_000_003 + self.global_step + (rank << 53))
        self.method.max_steps, even_step = self._planned(self.global_step)
        self._method_step = round(even_step)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a step.

        Raises:
            EquiregError: if that of this step or of one before it is not finite, or the method gives something else.
        """
        losses = checked(self.method.losses(batch, self._method_step), self.config.method.name)
        values = {name: value.detach() for name, value in losses.items()}
        self.logged = {f"train/{name}": value for name, value in values.items()}
        self.log_dict(self.logged)
        self._unchecked.append(StepLosses(self.global_step, values, batch.cases))
        # To look at a loss is to wait for the GPU, so it is done now and then, and ahead of every validation.
        due = (self.global_step + 1) % self.config.log_every == 0 or self.trainer.is_last_batch
        if due or self.device.type == "cpu":
            self._check_losses()
        return losses["total"]

    def _check_losses(self) -> None:
        """Look at the losses of the last steps.

        Raises:
            EquiregError: if one is not finite; says the first such step, the cases and what to try.
        """
        unchecked, self._unchecked = self._unchecked, []
        finite = torch.stack([losses.values["total"] for losses in unchecked]).isfinite().tolist()
        bad = next((losses for losses, good in zip(unchecked, finite, strict=True) if not good), None)
        if bad is not None:
            values = ", ".join(f"{name} {float(value):g}" for name, value in bad.values.items())
            raise EquiregError(
                f"the loss is not finite at step {bad.step} ({values}); cases of the batch: {', '.join(bad.cases)}. "
                + remedy(RunFolder(self.trainer.default_root_dir), self.config.optimizer, self.trainer.precision)
            )

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Let the method do what follows the optimiser."""
        self.method.after_step(self._method_step)

    def validation_step(self, case: str, batch_idx: int) -> None:
        """Predict a whole case and score it."""
        if case:
            score, self._predicted[case] = self.score(case)
            self._scores.append(score)

    def score(self, case: str) -> tuple[validation.CaseScore, UnderBiases]:
        """Predict a whole case and compare it with its mask; return what the prediction is under each bias too."""
        plan = InferencePlan(self.config.spatial_dims, self.facts.patch_size)
        with evaluating(self.method.predictor) as network:
            return validation.validate_case(case, self.data.reader, network, plan, self._regions, self.device)

    def on_validation_epoch_end(self) -> None:
        """Log what the validation cases of all ranks have shown, and choose on them what is done to predictions."""
        found = {score.case: score for score in ranks.gathered_lists(self._scores)}
        self._scores.clear()
        if found:
            # In the order of the cases, so that the sums do not depend on the number of ranks.
            scores = [found[case] for case in self.data.cases.validation]
            self.log_dict(validation.scalars(scores, list(self._regions)))
            if self.config.foreground_bias == "auto":
                records = self.data.reader.prepared.by_name
                patients = [records[score.case].patient for score in scores]
                self._set_bias(choose_bias([score.by_bias for score in scores], patients))
            counts = {one.case: one for one in ranks.gathered_lists([*map(self._count, self._predicted)])}
            self._post_process = choose([counts[case] for case in self.data.cases.validation], self.facts.labels)
        self._predicted.clear()

    @cached_property
    def _takes_bias(self) -> bool:
        """Whether the network has what a bias of the foreground is added to; asked once."""
        network, facts = self.method.predictor, self.facts
        try:
            axes = class_axes(network, self.config.network, len(facts.channels), facts.labels.classes, facts.patch_size)
            takes = takes_foreground_bias(axes)
        except Exception:  # a network of one's own that cannot be built without weights, to compare
            takes = False
        if not takes and self.trainer.is_global_zero:
            log.info("no foreground bias is chosen: no bias of the last layer of the network was found to add it to")
        return takes

    def _set_bias(self, chosen: ForegroundBias) -> None:
        if chosen.bias and not self._takes_bias:
            chosen = ForegroundBias()
        if chosen.bias != self._foreground_bias.bias and self.trainer.is_global_zero:
            log.info("foreground bias from step %d on: %s", self.global_step, chosen.words())
        self._foreground_bias = chosen

    def _count(self, case: str) -> CaseCounts:
        """Count what the components of a prediction hold, under the bias that was chosen."""
        record = self.data.reader.prepared.by_name[case]
        classes = self._predicted[case].classes(self._foreground_bias.bias).astype(np.uint8)
        label = self.data.reader.read(case, "label", validation.WHOLE).cpu().numpy()
        return count_case(case, record.patient, classes, label, self.facts.labels, record.voxel_mm3)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what rebuilds the model, and see that all can be read again."""
        make_plain(checkpoint)
        ended = self.trainer.should_stop or self.global_step >= self.pace.schedule.total
        chosen = {FOREGROUND_BIAS: self._foreground_bias.as_dict(), POST_PROCESS: self._post_process.as_dict()}
        checkpoint[ENTRY] = {**entry(self.config, self.facts), ENDED: ended, **chosen, **self.pace.as_plain()}
        seal(checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take back what the last validation chose, for a checkpoint that is written before the next one."""
        found = checkpoint[ENTRY]
        self._foreground_bias = ForegroundBias.from_dict(found.get(FOREGROUND_BIAS))
        self._post_process = PostProcessing.from_dict(found.get(POST_PROCESS), self.facts.labels)
