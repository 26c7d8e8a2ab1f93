"""The verb ``train``: one run, or with ``folds`` all runs of a cross-validation."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equireg.config import TrainConfig
from equireg.config.cluster import ClusterOptions
from equireg.config.parsing import with_config
from equireg.errors import UsageError
from equireg.processes.importing import importing_lightning

if TYPE_CHECKING:
    from lightning.pytorch.callbacks import Callback
    from lightning.pytorch.loggers import Logger


def train(
    prepared: Path | str,
    out: Path | str,
    config: TrainConfig | None = None,
    *,
    resume: bool = False,
    callbacks: "Sequence[Callback]" = (),
    loggers: "Sequence[Logger]" = (),
    **options: Any,
) -> Path:
    """Train a model on a prepared folder, or all models of a cross-validation.

    Args:
        prepared: output of `equireg prepare`.
        out: the run's folder; new, unless ``resume``. Of a cross-validation, the folder of all its runs, which is
            their ensemble too.
        config: the options; or give them by name.
        resume: continue exactly where the run in ``out`` stopped, with its own options.
        callbacks: Lightning's callbacks beside the run's own.
        loggers: Lightning's loggers beside those that the option ``logger`` names.
        options: those of ``TrainConfig``, nested or with dots, laid over ``config``; ``method`` may be a bare name.
            Also ``folds``, the number of folds of a cross-validation, with ``jobs``, how many of its runs at once
            (0: one, on a cluster as many as fit), ``cluster``, "local", "ray" or "slurm", and ``slurm``, options of
            sbatch.

    Returns:
        The folder.

    Raises:
        EquiregError: if an option or the data does not fit, or the loss stops being finite.

    With ``devices`` above 1, and no launcher such as torchrun, one new process is started for each device.
    """
    several = {name: options.pop(name) for name in ("folds", "jobs") if name in options}
    spread = ClusterOptions(**{name: options.pop(name) for name in ("cluster", "slurm") if name in options})
    if several.get("folds") is None and not (resume and _is_cross_validation(Path(out))):
        if several.get("jobs") or spread.far:
            raise UsageError("--jobs or --cluster is given, and one run is trained; expected --folds beside it.")
        with importing_lightning():
            from equireg.training.train import train as train_one

        return train_one(prepared, out, config, resume=resume, callbacks=callbacks, loggers=loggers, **options)
    if callbacks or loggers:
        raise UsageError("callbacks or loggers are given beside --folds; they do not reach its runs. Leave them out.")
    from equireg.pipeline.folds import How, cross_validate

    options.pop("began", None)  # a budget counts for each run
    given = with_config(TrainConfig, config, options)
    how = How(resume=resume, spread=spread, **several)
    return cross_validate(Path(prepared).absolute(), Path(out).absolute(), given, how)


def _is_cross_validation(out: Path) -> bool:
    from equireg.pipeline.folds import is_one  # what one run does not wait for

    return is_one(out)
