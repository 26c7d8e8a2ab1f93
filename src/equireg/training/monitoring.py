"""What a run leaves behind while it trains: metrics.csv, checkpoints, pictures, the progress and a log.

On several ranks all compute the same scalars and take part in checkpoints and pictures; the first alone writes.
"""

import logging
import math
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor

from equireg.disk import disk_errors
from equireg.disk.leftovers import partial_name
from equireg.errors import EquiregError, PrintableFormatter
from equireg.folders.origin import in_text
from equireg.folders.run import RunFolder
from equireg.processes.progress import Progress, can_be_shown
from equireg.training.divergence import remedy
from equireg.training.loggers import picture_makers

_TOLD_AFTER_S = 10.0
"""Time after which a run says for the first time when it will be finished, s."""
_COLUMNS = 4
"""Samples in a picture of the training."""


@contextmanager
def log_to_file(path: Path, unnamed: Sequence[Path] = ()) -> Iterator[None]:
    """Append what equireg says to a file, within the block; show it too where nobody has chosen what to see.

    Args:
        path: the file.
        unnamed: folders whose paths the file may not hold, nor any other absolute path; all are kept where it is empty.
    """
    logger = logging.getLogger("equireg")
    screen = logging.StreamHandler() if can_be_shown() and not logger.hasHandlers() else None
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(_LineFormatter(unnamed))
    if screen is not None:
        screen.setFormatter(PrintableFormatter())
    added = [handler] if screen is None else [handler, screen]
    for one in added:
        logger.addHandler(one)
    level = logger.level
    if level == logging.NOTSET:  # called from Python
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        for one in added:
            logger.removeHandler(one)
        handler.close()


class _LineFormatter(PrintableFormatter):
    """Lines of log.txt, which travels with its run."""

    def __init__(self, unnamed: Sequence[Path]) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s")
        self._unnamed = unnamed

    def format(self, record: logging.LogRecord) -> str:
        line = super().format(record)
        return in_text(line, self._unnamed) if self._unnamed else line


def _scalars(trainer: lightning.Trainer, prefix: str) -> dict[str, float]:
    """Return the last logged scalars whose name begins with a prefix."""
    found = trainer.callback_metrics
    return {name: float(value) for name, value in found.items() if name.startswith(prefix)}


class MetricsFile(Callback):
    """Write ``metrics.csv``: means of the training scalars every so many steps, and each validation."""

    def __init__(self, run: RunFolder, every_steps: int) -> None:
        self.run, self.every_steps = run, every_steps
        self._rows: list[dict[str, float]] = []
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}
        self._of_method: set[str] = set()
        self._lr: float | None = None

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Keep the rows up to the step that the run resumes from."""
        self._rows = [row for row in self.run.read_metrics() if row["step"] <= trainer.global_step]

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Keep the learning rate of the step."""
        self._lr = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Sum the step's scalars; every so many steps, make a row of their means."""
        self._of_method.update(pl_module.logged)
        for name, value in trainer.callback_metrics.items():
            # What the method did not give at this step stands there with its value of an earlier one.
            stale = name in self._of_method and name not in pl_module.logged
            if name.startswith("train/") and not stale:
                self._sums[name] = self._sums.get(name, torch.zeros_like(value)) + value
                self._counts[name] = self._counts.get(name, 0) + 1
        if trainer.global_step % self.every_steps == 0:
            self._add_row(trainer)

    def _add_row(self, trainer: lightning.Trainer) -> None:
        if self._lr is None:
            return
        means = {name: float(value) / self._counts[name] for name, value in self._sums.items()}
        self._rows.append({"step": trainer.global_step, **means, "lr": self._lr})
        self._sums, self._counts, self._lr = {}, {}, None

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Add the validation's scalars and write the file."""
        self._add_row(trainer)
        if self._rows and self._rows[-1]["step"] == trainer.global_step:
            self._rows[-1] |= _scalars(trainer, "val/")
        if trainer.is_global_zero:
            self.run.write_metrics(self._rows)


class Checkpoints(Callback):
    """Write ``last.ckpt`` after every validation, and ``best.ckpt`` when its score has improved.

    Args:
        folder: where they lie.
        score: the validation scalar that decides, ``val/dice`` (higher is better) or ``val/loss`` (lower is).
    """

    def __init__(self, folder: Path, score: str = "val/dice") -> None:
        self.folder, self.score = folder, score
        self.best = -math.inf

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run must know."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take back what ``state_dict`` returned."""
        self.best = state_dict["best"]

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Write the checkpoints, each completely or not at all.

        Raises:
            EquiregError: if a weight is not finite; the previous checkpoint stays.
        """
        if not all(bool(torch.isfinite(weight).all()) for weight in pl_module.parameters()):
            raise EquiregError(
                f"a weight is not finite at step {trainer.global_step}. "
                + remedy(RunFolder(self.folder.parent), pl_module.config.optimizer, trainer.precision)
            )
        found = _scalars(trainer, self.score).get(self.score)
        score = -math.inf if found is None else found if self.score == "val/dice" else -found
        improved = score > self.best
        self.best = max(self.best, score)
        last = self.folder / "last.ckpt"
        temporary, best = partial_name(last), self.folder / "best.ckpt"
        copy = partial_name(best)
        with disk_errors(last):
            try:
                trainer.save_checkpoint(temporary)  # on all ranks, of which the first writes
                if not trainer.is_global_zero:
                    return
                if improved:
                    shutil.copyfile(temporary, copy)
                    copy.replace(best)
                temporary.replace(last)
            finally:
                for path in (temporary, copy):
                    path.unlink(missing_ok=True)


class Steps(Callback):
    """The progress over the steps of the whole run, with the losses and the last validation."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._told_end = False

    def on_train_start(self, trainer: lightning.Trainer, pl_module: Any) -> None:
        """Begin at the step that the run resumes from."""
        what, pace = "train" if trainer.is_global_zero else None, pl_module.pace
        left = None if pace.budget is None else pace.budget.left_s
        self._progress = Progress(pace.schedule.total, what, "step", trainer.global_step, left)
        self._begin = time.monotonic()

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move on; the numbers are read now and then, because reading them makes a GPU wait."""
        if self._progress is None:
            return
        self._progress.total = pl_module.pace.schedule.total
        due = self._progress.update()
        if not self._told_end and time.monotonic() - self._begin > _TOLD_AFTER_S:
            self._told_end = due = True
        if due:
            self._progress.log_line(*_facts(trainer))
        elif trainer.global_step % 20 == 0:
            self._progress.show({name: f"{value:.3g}" for name, value in _numbers(trainer).items()})

    def on_validation_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Tell of a validation that takes long."""
        if self._progress is not None and self._progress.update(0):
            count = int(sum(trainer.num_val_batches))
            self._progress.log_line(f"validating, case {batch_idx + 1} of {count}", *_facts(trainer))

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Tell how the validation went."""
        if self._progress is not None:
            self._progress.log_line(*_facts(trainer))

    def teardown(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Leave the line as it stands."""
        if self._progress is not None:
            self._progress.close()


def _numbers(trainer: lightning.Trainer) -> dict[str, float]:
    """Return the last losses and validation scores by the names that people see."""
    losses = {name.removeprefix("train/"): value for name, value in _scalars(trainer, "train/").items()}
    scores = _scalars(trainer, "val/")
    shown = ("val/dice", "val/loss", "val/false_positives")
    return {**losses, **{name.replace("/", " "): scores[name] for name in shown if name in scores}}


def _facts(trainer: lightning.Trainer) -> list[str]:
    return [", ".join(f"{name} {value:.4g}" for name, value in _numbers(trainer).items())]


class Pictures(Callback):
    """Show a batch in the loggers that take pictures every so many steps: scan, target, teacher, student, valid."""

    def __init__(self, every_steps: int) -> None:
        self.every_steps = every_steps

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add one picture: a column a sample, a row a kind."""
        loggers = picture_makers(trainer.loggers)
        if not self.every_steps or trainer.global_step % self.every_steps or not loggers:
            return
        pictures = pl_module.method.pictures(batch)
        grid, name = picture_grid(pictures), f"samples ({', '.join(pictures)})"
        for logger in loggers:
            show: Any = logger
            if isinstance(logger, TensorBoardLogger):
                show.experiment.add_image(name, grid, trainer.global_step)
            else:
                show.log_image(name, [grid], step=trainer.global_step)


def picture_grid(pictures: dict[str, Tensor]) -> Tensor:
    """Arrange pictures [B, 1, *S], a row each, as one grey image [1, H, W] from 0 to 1; volumes by their middle."""
    rows = []
    for value in pictures.values():
        image = value[:_COLUMNS].float().cpu()
        if image.ndim == 5:
            image = image[:, :, image.shape[2] // 2]
        low = image.amin(dim=(1, 2, 3), keepdim=True)
        reach = (image.amax(dim=(1, 2, 3), keepdim=True) - low).clamp_min(1e-6)
        scaled = ((image - low) / reach)[:, 0]  # [B, H, W]
        rows.append(torch.cat(list(scaled), dim=1))
    return torch.cat(rows)[None]
