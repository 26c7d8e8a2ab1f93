"""The training loop itself, for Lightning: batches, losses, optimiser, validation; the method is all that varies."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.callbacks import Callback, EarlyStopping
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn
from torch.utils.data import DataLoader

from equireg.batches.batch import Batch
from equireg.batches.loading import BatchSource, CaseReader, PatchPlan, StepSampler
from equireg.config import OptimizerConfig, TrainConfig
from equireg.errors import EquiregError
from equireg.folders.run import RunFolder
from equireg.imaging.labels import IGNORED
from equireg.inference import InferencePlan, predict_scan
from equireg.losses import most_probable
from equireg.methods import Method, evaluating
from equireg.metrics import region_dice
from equireg.model import ENTRY, Facts, entry, seal
from equireg.processes import launching, ranks
from equireg.processes.ranks import Share
from equireg.training.monitoring import Checkpoints, MetricsFile, Pictures, StepBar

_LEAST = 1e-7
"""Probability below which a voxel's cross-entropy rises no further: one such voxel must not decide a validation."""


@dataclass(frozen=True)
class Cases:
    """Which cases a run uses, and for what."""

    labelled: tuple[str, ...]
    unlabelled: tuple[str, ...]
    validation: tuple[str, ...]

    def digest(self) -> str:
        """Return a digest of the cases and their uses, by which a resumed run knows its data."""
        return sha256(repr((self.labelled, self.unlabelled, self.validation)).encode()).hexdigest()


def make_trainer(
    out: Path, config: TrainConfig, device: torch.device, precision: str, validates: bool
) -> lightning.Trainer:
    """Build Lightning's trainer for a run.

    Raises:
        EquiregError: if early stopping is asked for and no case validates.
    """
    run = RunFolder(out)
    callbacks: list[Callback] = [
        MetricsFile(run, config.log_every),
        Pictures(config.pictures_every),
        StepBar(config.max_steps),
        Checkpoints(run.checkpoints, f"val/{config.monitor}"),
    ]
    if config.early_stopping_steps is not None:
        patience = math.ceil(config.early_stopping_steps / config.val_every)
        mode = "max" if config.monitor == "dice" else "min"
        # After the validation: a resumed run goes through the end of its epoch once more, without a Dice.
        callbacks.append(
            EarlyStopping(f"val/{config.monitor}", mode=mode, patience=patience, check_on_train_epoch_end=False)
        )
    shared = config.devices * config.nodes > 1
    environment = LightningEnvironment() if launching.launched_here() else None  # else torchrun's or SLURM's
    return lightning.Trainer(
        default_root_dir=out,
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=config.devices,
        num_nodes=config.nodes,
        strategy=DDPStrategy(cluster_environment=environment) if shared else "auto",
        sync_batchnorm=shared and device.type == "cuda",  # torch has it for GPUs alone
        precision={"32": "32-true", "bf16": "bf16-mixed", "16": "16-mixed"}[precision],  # pyright: ignore[reportArgumentType]
        max_steps=config.max_steps,
        max_epochs=-1,
        reload_dataloaders_every_n_epochs=1,
        gradient_clip_val=config.optimizer.clip_norm,
        callbacks=callbacks,
        logger=TensorBoardLogger(out, name="tensorboard", version=""),
        log_every_n_steps=config.log_every,
        num_sanity_val_steps=0,
        limit_val_batches=1.0 if validates else 0,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )


@dataclass(frozen=True)
class DataSource:
    """Where the batches and the validation cases of a run come from."""

    reader: CaseReader
    cases: Cases
    config: TrainConfig
    plan: PatchPlan
    pinned: bool
    """Whether batches are put in page-locked memory, from which they go to a GPU."""
    share: Share
    """The part of batches and of validation cases that this process has."""

    def training(self, step: int) -> DataLoader[Batch]:
        """Return the batches from a step to the next validation."""
        config = self.config
        source = BatchSource(self.reader, self.cases.labelled, self.cases.unlabelled, config, self.plan, self.share)
        workers = config.workers
        if workers is None:
            workers = 0 if self.reader.in_memory else 4
        return DataLoader(
            source,
            batch_size=None,
            sampler=StepSampler(step, config.val_every, config.max_steps),
            num_workers=workers,
            pin_memory=self.pinned,
            prefetch_factor=4 if workers else None,
        )

    def validation(self) -> DataLoader[str]:
        """Return the names of this process' validation cases; of equally many on each, so some may be empty."""
        names = list(self.cases.validation)
        names += [""] * (-len(names) % self.share.ranks)
        mine = names[self.share.rank :: self.share.ranks]
        return DataLoader(mine, batch_size=None)  # pyright: ignore[reportArgumentType]


@dataclass(frozen=True)
class _Score:
    """What a validation case has shown."""

    case: str
    dice: dict[str, float]
    """Of each region."""
    loss: float
    """Cross-entropy, summed over its voxels, nats."""
    voxels: int


class LoopModule(lightning.LightningModule):
    """What Lightning needs to know of a run."""

    def __init__(self, config: TrainConfig, facts: Facts, method: Method, data: DataSource) -> None:
        super().__init__()
        self.config, self.facts, self.method, self.data = config, facts, method, data
        self._scores: list[_Score] = []
        self._regions = {
            name: tuple(facts.labels.values.index(value) for value in values)
            for name, values in facts.labels.judged_regions().items()
        }

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return the batches up to the next validation."""
        # By step and not by Lightning's count of epochs, which a resumed run counts differently.
        return self.data.training(self.global_step)

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
            optimizer, lambda step: learning_rate(self.config.optimizer, self.config.max_steps, step)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip the gradient's norm; here, for Lightning does not clip for a fused optimiser."""
        if gradient_clip_val is not None:
            nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], gradient_clip_val)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed what draws from torch's own generator, by step."""
        # Dropout draws from torch's own generator: seeded by step, a resumed run draws the same. Each rank has
        # other samples, so other seeds, far from those of any step.
        rank = self.data.share.rank
        torch.manual_seed(self.config.chance_seed * 1_000_003 + self.global_step + (rank << 53))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of a step.

        Raises:
            EquiregError: if it is not finite; says the step, the cases and what to try.
        """
        losses = self.method.losses(batch, self.global_step)
        total = losses["total"]
        if not torch.isfinite(total):
            names = sorted({*batch.labelled.cases, *(batch.unlabelled.cases if batch.unlabelled else ())})
            values = ", ".join(f"{name} {float(value.detach()):g}" for name, value in losses.items())
            raise EquiregError(
                f"the loss is not finite at step {self.global_step} ({values}); cases of the batch: "
                f"{', '.join(names)}. Try a lower --optimizer.lr, a lower --optimizer.clip_norm or --precision 32; "
                "--resume goes on from the last checkpoint."
            )
        self.log_dict({f"train/{name}": value.detach() for name, value in losses.items()})
        return total

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Let the method do what follows the optimiser."""
        self.method.after_step(self.global_step - 1)

    def validation_step(self, case: str, batch_idx: int) -> None:
        """Predict a whole case and keep its Dice of each region and its cross-entropy."""
        if not case:
            return
        record = self.data.reader.prepared.by_name[case]
        whole = (slice(None),) * 3
        image = self.data.reader.read(case, "image", whole).to(self.device)
        plan = InferencePlan(self.config.spatial_dims, self.facts.patch_size)
        with evaluating(self.method.predictor) as network:
            probs = predict_scan(network, image, record.background, record.spacing_mm, plan)
        label = self.data.reader.read(case, "label", whole).to(probs.device)
        dice = region_dice(most_probable(probs, dim=0)[0], label, self._regions)
        known = label != IGNORED
        right = probs.gather(0, torch.where(known, label, 0).long()[None])[0][known]
        loss = float(-right.clamp_min(_LEAST).log().sum(dtype=torch.float64))
        self._scores.append(_Score(case, dice, loss, int(known.sum())))

    def on_validation_epoch_end(self) -> None:
        """Log the Dice of each region, averaged over the cases, their mean, and the cross-entropy of a voxel."""
        found = {score.case: score for score in ranks.gathered_lists(self._scores)}
        self._scores.clear()
        if not found:
            return
        # In the order of the cases, so that the sums do not depend on the number of ranks.
        scores = [found[case] for case in self.data.cases.validation]
        means = {name: sum(score.dice[name] for score in scores) / len(scores) for name in self._regions}
        self.log_dict({f"val/dice/{name}": value for name, value in means.items()})
        self.log("val/dice", sum(means.values()) / len(means))
        self.log("val/loss", sum(score.loss for score in scores) / max(sum(score.voxels for score in scores), 1))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what rebuilds the model."""
        checkpoint[ENTRY] = entry(self.config, self.facts)
        seal(checkpoint)


def make_optimizer(config: OptimizerConfig, weights: Sequence[Tensor], *, fused: bool) -> torch.optim.Optimizer:
    """Build the optimiser of a run over the weights that are trained; ``fused`` does its step in one pass over them."""
    decay = config.weight_decay
    if config.name == "sgd":
        return torch.optim.SGD(weights, config.lr, momentum=0.99, nesterov=True, weight_decay=decay, fused=fused)
    kind = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
    return kind(weights, config.lr, weight_decay=decay, fused=fused)


def learning_rate(config: OptimizerConfig, max_steps: int, step: int) -> float:
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
