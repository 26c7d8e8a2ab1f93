"""Loggers beside metrics.csv: Lightning's own, by name.

Each is imported when it is made, so that help and completion know its name without Lightning.
"""

import itertools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from equireg.errors import UsageError
from equireg.registry import Table

if TYPE_CHECKING:
    from lightning.pytorch.loggers import Logger


def _tensorboard(out: Path) -> "Logger":
    from lightning.pytorch.loggers import TensorBoardLogger

    return TensorBoardLogger(out, name="tensorboard", version="")


def _csv(out: Path) -> "Logger":
    from lightning.pytorch.loggers import CSVLogger

    # Lightning's begins its file anew, so a run that goes on gets another.
    versions = itertools.chain([""], (f"resumed_{count}" for count in itertools.count(1)))
    free = next(version for version in versions if not (out / "csv" / version / "metrics.csv").exists())
    return CSVLogger(out, name="csv", version=free)


def _wandb(out: Path) -> "Logger":
    from lightning.pytorch.loggers import WandbLogger

    # Project, account and whether to use the network are wandb's own settings (WANDB_PROJECT, WANDB_MODE).
    return WandbLogger(name=out.resolve().name, save_dir=out, project=os.environ.get("WANDB_PROJECT", "equireg"))


def _mlflow(out: Path) -> "Logger":
    from lightning.pytorch.loggers import MLFlowLogger

    own, address = out.resolve(), os.environ.get("MLFLOW_TRACKING_URI")
    pictures = None if address else (own / "mlruns").as_uri()
    # A database, because MLflow's folder of files cannot hold both val/dice and val/dice/REGION.
    address = address or f"sqlite:///{own / 'mlflow.db'}"
    experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME", "equireg")
    return MLFlowLogger(experiment, own.name, tracking_uri=address, artifact_location=pictures)


LOGGERS: "Table[Callable[[Path], Logger]]" = Table(
    "logger", {"tensorboard": _tensorboard, "csv": _csv, "wandb": _wandb, "mlflow": _mlflow}
)
"""Logger name to what makes it for a run's folder."""


def names_of(option: str) -> list[str]:
    """Return the loggers that the option names.

    Raises:
        UsageError: if one is unknown.
    """
    names = [name.strip() for name in option.split(",") if name.strip() not in ("", "none")]
    for name in names:
        LOGGERS.find(name)
    return names


def make_loggers(option: str, out: Path, rank: int = 0) -> "list[Logger]":
    """Make the loggers that the option names, for a run's folder.

    Those of the run's first process alone write. Which it is Lightning takes from the environment, where the tasks of
    a job, each of which trains by itself, have numbers too; so it is told.

    Raises:
        UsageError: if one is unknown, or its library is not installed.
    """
    from lightning.fabric.utilities.rank_zero import rank_zero_only

    rank_zero_only.rank = rank  # pyright: ignore[reportFunctionMemberAccess]
    found = []
    for name in names_of(option):
        try:
            found.append(LOGGERS[name](out))
        except ModuleNotFoundError as error:
            wanted = f"equireg[{name}]" if LOGGERS.is_own(name) else error.name or name
            raise UsageError(
                f"--logger is {option}, but {name} is not installed ({error}). Install it with "
                f"`pip install '{wanted}'`, or leave it out."
            ) from error
    return found


def picture_makers(loggers: "Sequence[Logger]") -> "list[Logger]":
    """Return the loggers that take pictures."""
    from lightning.pytorch.loggers import TensorBoardLogger

    return [logger for logger in loggers if isinstance(logger, TensorBoardLogger) or hasattr(logger, "log_image")]
