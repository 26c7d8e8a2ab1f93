"""What to do about a run whose loss or weights are no longer finite: the end of its error."""

from equireg.config import OptimizerConfig
from equireg.errors import EquiregError
from equireg.folders.run import RunFolder
from equireg.model import load_model


def remedy(run: RunFolder, optimizer: OptimizerConfig, precision: str) -> str:
    """Return the sentences that say which options to change, and how to keep what was learnt.

    They do not name `--resume`: it takes no other options, and with the same ones it ends at the same step.

    Args:
        run: the folder of the run.
        optimizer: the run's options.
        precision: Lightning's word for that of the run, such as "bf16-mixed".
    """
    clip = optimizer.clip_norm
    changes = [
        f"a lower --optimizer.lr than {optimizer.lr:g}",
        "--optimizer.clip_norm 1" if clip is None else f"a lower --optimizer.clip_norm than {clip:g}",
        *([] if precision.startswith("32") else ["--precision 32"]),
    ]
    anew = f"Train anew with another --out and {', '.join(changes[:-1])} or {changes[-1]}."
    step = _finite_step(run)
    return anew if step is None else f"{anew} Add --init {run.root} to start from its weights of step {step}."


def _finite_step(run: RunFolder) -> int | None:
    """Return the step of the checkpoint that `--init` would take; None where there is none, or it is refused."""
    try:
        return load_model(run.checkpoint()).step
    except EquiregError:
        return None
