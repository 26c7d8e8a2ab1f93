"""`equireg train`: the one training loop, on Lightning; the method is all that differs between runs."""

import logging
import math
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from torch.utils.data import DataLoader

from equireg import checkpoint, folders
from equireg.checkpoint import CHECKPOINTS, ENTRY, Facts, entry
from equireg.config import OptimizerConfig, TrainConfig
from equireg.config.parsing import merged, nested, read_yaml, to_plain, to_yaml
from equireg.data.batch import Batch
from equireg.data.loading import BatchSource, CaseReader, PatchPlan, StepSampler
from equireg.data.patches import plan_patches
from equireg.data.split import choose_cases
from equireg.data.store import PreparedSet
from equireg.errors import EquiregError
from equireg.inference import InferencePlan, choose_device, choose_precision, predict_scan
from equireg.methods import Method, evaluating, find
from equireg.metrics import region_dice
from equireg.monitoring import Checkpoints, MetricsFile, Pictures, StepBar, log_to_file

log = logging.getLogger("equireg")

CONFIG = "config.yaml"
_MACHINE_OPTIONS = ("device", "workers", "log_every", "pictures_every")
"""Options that may differ when a run is resumed: they do not change what is computed."""


@dataclass(frozen=True)
class Cases:
    """Which cases a run uses, and for what."""

    labelled: tuple[str, ...]
    unlabelled: tuple[str, ...]
    validation: tuple[str, ...]

    def digest(self) -> str:
        """Return a digest of the cases and their uses, by which a resumed run knows its data."""
        return sha256(repr((self.labelled, self.unlabelled, self.validation)).encode()).hexdigest()


def train(prepared: Path | str, out: Path | str, *, resume: bool = False, **options: Any) -> Path:
    """Train a model on a prepared folder.

    Args:
        prepared: output of `equireg prepare`.
        out: the run's folder; new, unless ``resume``.
        resume: go on exactly where the run in ``out`` stopped, with its own options.
        options: those of ``TrainConfig``, nested or with dots; ``method`` may be a bare name.

    Returns:
        The run's folder.

    Raises:
        EquiregError: if an option or the data does not fit, or the loss stops being finite.
    """
    data = PreparedSet(prepared)
    out = Path(out)
    config = _resumed_config(out, options) if resume else checkpoint.config_from(nested(options))
    if resume and _is_finished(out):
        log.info("%s is finished; nothing is left to do", out)
        return out
    if not resume:
        folders.refuse_existing(out, "Give --resume to go on with it, or choose another --out.")
    plan = plan_patches(data.manifest, config)
    cases = _cases(data, config)
    facts = Facts.of(data.manifest, plan)
    device = choose_device(config.device)
    precision = choose_precision(config.precision, device)
    if resume:
        _check_same_data(out, cases, precision)
    method = checkpoint.new_method(config, facts)
    last = _last_checkpoint(out, method) if resume else None
    folder = _Folder(out, data, config, cases, precision)
    folder.begin()
    with log_to_file(out / "log.txt"), _quiet_libraries():
        _tell(config, plan, cases, method, f"{device.type}, {precision}")
        reader = CaseReader(data, [*cases.labelled, *cases.unlabelled, *cases.validation])
        run = _Run(config, facts, method, _Data(reader, cases, config, plan, device.type == "cuda"))
        trainer = _trainer(out, config, device, precision, bool(cases.validation))
        begin = time.monotonic()
        try:
            trainer.fit(run, ckpt_path=last, weights_only=True)
        except SystemExit as stop:  # what Lightning makes of Ctrl-C
            raise KeyboardInterrupt from stop
        seconds = time.monotonic() - begin
        log.info("finished at step %d; the model lies in %s", trainer.global_step, out / CHECKPOINTS)
    folder.sign(seconds)
    return out


def _resumed_config(out: Path, options: dict[str, Any]) -> TrainConfig:
    """Return the options of the run in ``out``; those given now may not contradict them."""
    folders.existing_folder(out, "a run to resume")
    if not (out / CONFIG).is_file():
        raise EquiregError(f"{out}: has no {CONFIG}, so there is no run to resume. Leave out --resume to begin one.")
    stored = read_yaml(out / CONFIG)
    given = nested(options)
    config = checkpoint.config_from({**stored, **{name: given[name] for name in _MACHINE_OPTIONS if name in given}})
    if given:
        differ = differences(config, checkpoint.config_from(merged(stored, given)))
        if differ:
            raise EquiregError(
                f"{out}: the run has other options for {', '.join(differ)} than given now. Leave them out to resume "
                "it, or choose another --out for a new run."
            )
    return config


def differences(run: TrainConfig, other: TrainConfig) -> list[str]:
    """Name the options in which two runs differ and that change what is computed."""
    return [name for name in vars(run) if name not in _MACHINE_OPTIONS and getattr(run, name) != getattr(other, name)]


def _is_finished(out: Path) -> bool:
    path = out / folders.SIGNATURE
    return path.is_file() and bool(folders.read_json(path).get("finished"))


def _check_same_data(out: Path, cases: Cases, precision: str) -> None:
    """Refuse to resume on other cases, or in another precision, than the run began with.

    Raises:
        EquiregError: if either differs.
    """
    signature = folders.read_json(out / folders.SIGNATURE)
    if signature.get("data") != cases.digest():
        raise EquiregError(
            f"{out}: the run began with other cases than this prepared folder gives it. Resume it with the folder it "
            "began with, or choose another --out for a new run."
        )
    if signature.get("precision") != precision:
        raise EquiregError(
            f"{out}: the run began with precision {signature.get('precision')}, this machine computes in {precision}. "
            "Resume it where it began, or choose another --out for a new run."
        )


def _last_checkpoint(out: Path, method: Method) -> Path | None:
    """Return the checkpoint to resume from, checked; None where the run stopped before its first."""
    path = out / CHECKPOINTS / "last.ckpt"
    if not path.is_file():
        return None
    content = checkpoint.read(path)
    weights = {name.removeprefix("method."): value for name, value in content["state_dict"].items()}
    checkpoint.load_weights(method, weights, path)
    return path


def _cases(data: PreparedSet, config: TrainConfig) -> Cases:
    labelled, unlabelled = choose_cases(data.manifest.cases, config)
    validation = [case.name for case in data.manifest.cases if case.split == "val" and case.labelled]
    if config.early_stopping_steps is not None and not validation:
        raise EquiregError(
            "--early_stopping_steps is given, but no case validates. Prepare with --val_fraction, or leave it out."
        )
    uses = find(config.method.name).uses_unlabelled
    if uses and config.unsup_ratio and not unlabelled:
        log.warning("no unlabelled case is used; %s then trains on labelled cases alone", config.method.name)
    return Cases(tuple(labelled), tuple(unlabelled if uses else ()), tuple(validation))


@dataclass(frozen=True)
class _Folder:
    """A run's folder and what it is signed with."""

    out: Path
    data: PreparedSet
    config: TrainConfig
    cases: Cases
    precision: str

    def begin(self) -> None:
        """Make the folder; nothing is written before all that can be checked has been."""
        with folders.disk_errors(self.out):
            (self.out / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        if not (self.out / CONFIG).exists():
            folders.write_atomic(self.out / CONFIG, to_yaml(self.config))
        self.sign()

    def sign(self, seconds: float | None = None) -> None:
        """Sign the folder; ``seconds``, those since the run was begun or last resumed, mark it as finished."""
        folders.sign(
            self.out,
            "train",
            to_plain(self.config),
            seed=self.config.seed,
            source=self.data.root,
            dataset=self.data.manifest.dataset,
            labelled_cases=len(self.cases.labelled),
            unlabelled_cases=len(self.cases.unlabelled),
            validation_cases=len(self.cases.validation),
            data=self.cases.digest(),
            precision=self.precision,
            finished=seconds is not None,
            seconds=seconds,
        )


def _tell(config: TrainConfig, plan: PatchPlan, cases: Cases, method: Method, where: str) -> None:
    weights = sum(weight.numel() for weight in method.student.parameters())
    log.info(
        "%s on %d labelled and %d unlabelled cases, %d to validate; %s of %s voxels; %s weights; %s",
        config.method.name,
        len(cases.labelled),
        len(cases.unlabelled),
        len(cases.validation),
        "slices" if config.spatial_dims == 2 else "volumes",
        " x ".join(map(str, plan.patch_size)),
        f"{weights:,}",
        where,
    )


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Keep Lightning's hints about loggers, workers and devices off the screen; its errors still come."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(lightning|torch|tensorboard|monai)\b")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _trainer(
    out: Path, config: TrainConfig, device: torch.device, precision: str, validates: bool
) -> lightning.Trainer:
    callbacks: list[Callback] = [
        MetricsFile(out / "metrics.csv", config.log_every),
        Pictures(config.pictures_every),
        StepBar(config.max_steps),
        Checkpoints(out / CHECKPOINTS),
    ]
    if config.early_stopping_steps is not None:
        patience = math.ceil(config.early_stopping_steps / config.val_every)
        # After the validation: a resumed run goes through the end of its epoch once more, without a Dice.
        stopping = EarlyStopping("val/dice", mode="max", patience=patience, check_on_train_epoch_end=False)
        callbacks.append(stopping)
    return lightning.Trainer(
        default_root_dir=out,
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=1,
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
class _Data:
    """Where the batches and the validation cases of a run come from."""

    reader: CaseReader
    cases: Cases
    config: TrainConfig
    plan: PatchPlan
    pinned: bool
    """Whether batches are put in page-locked memory, for a GPU."""

    def training(self, step: int) -> DataLoader[Batch]:
        """Return the batches from a step to the next validation."""
        config = self.config
        source = BatchSource(self.reader, self.cases.labelled, self.cases.unlabelled, config, self.plan)
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
        """Return the names of the validation cases."""
        return DataLoader(list(self.cases.validation), batch_size=None)  # pyright: ignore[reportArgumentType]


class _Run(lightning.LightningModule):
    """What Lightning needs to know of a run."""

    def __init__(self, config: TrainConfig, facts: Facts, method: Method, data: _Data) -> None:
        super().__init__()
        self.config, self.facts, self.method, self.data = config, facts, method, data
        self._dice: list[dict[str, float]] = []
        self._regions = {
            name: tuple(facts.labels.values.index(value) for value in values)
            for name, values in facts.labels.judged_regions().items()
        }

    def train_dataloader(self) -> DataLoader[Batch]:
        # By step and not by Lightning's count of epochs, which a resumed run counts differently.
        return self.data.training(self.global_step)

    def val_dataloader(self) -> DataLoader[str]:
        return self.data.validation()

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        return batch.to(device) if isinstance(batch, Batch) else batch

    def configure_optimizers(self) -> Any:
        weights = [weight for weight in self.method.parameters() if weight.requires_grad]
        optimizer = make_optimizer(self.config.optimizer, weights)
        # A function, not an object: a checkpoint would hold the object's fields, which are no plain values.
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate(self.config.optimizer, self.config.max_steps, step)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        # Dropout draws from torch's own generator: seeded by step, a resumed run draws the same.
        torch.manual_seed(self.config.seed * 1_000_003 + self.global_step)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
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
        self.method.after_step(self.global_step - 1)

    def validation_step(self, case: str, batch_idx: int) -> None:
        record = self.data.reader.prepared.by_name[case]
        whole = (slice(None),) * 3
        image = torch.from_numpy(self.data.reader.read(case, "image", whole)).to(self.device)
        plan = InferencePlan(self.config.spatial_dims, self.facts.patch_size)
        with evaluating(self.method.predictor) as network:
            probs = predict_scan(network, image, record.background, record.spacing_mm, plan)
        label = torch.from_numpy(self.data.reader.read(case, "label", whole))
        self._dice.append(region_dice(probs.argmax(dim=0), label, self._regions))

    def on_validation_epoch_end(self) -> None:
        if not self._dice:
            return
        means = {name: sum(case[name] for case in self._dice) / len(self._dice) for name in self._regions}
        self._dice.clear()
        self.log_dict({f"val/dice/{name}": value for name, value in means.items()})
        self.log("val/dice", sum(means.values()) / len(means))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint[ENTRY] = entry(self.config, self.facts)


def make_optimizer(config: OptimizerConfig, weights: Sequence[Tensor]) -> torch.optim.Optimizer:
    """Build the optimiser of a run over the weights that are trained."""
    decay = config.weight_decay
    if config.name == "sgd":
        return torch.optim.SGD(weights, config.lr, momentum=0.99, nesterov=True, weight_decay=decay)
    kind = torch.optim.AdamW if config.name == "adamw" else torch.optim.Adam
    return kind(weights, config.lr, weight_decay=decay, foreach=True)


def learning_rate(config: OptimizerConfig, max_steps: int, step: int) -> float:
    """Return the factor on the highest learning rate: it rises over the warm-up, then decays to 0."""
    warmup = config.warmup * max_steps
    if step < warmup:
        return (step + 1) / (warmup + 1)
    t = min((step - warmup) / max(max_steps - warmup, 1), 1.0)
    if config.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * t))
    return (1 - t) ** 0.9 if config.schedule == "polynomial" else 1.0
