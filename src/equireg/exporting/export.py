"""The verb ``export``: a trained model for other programs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from equireg import folders
from equireg.config import ExportConfig
from equireg.config.parsing import options_from, to_plain
from equireg.devices import single_precision
from equireg.disk import refuse_existing, staged_folder
from equireg.errors import UsageError
from equireg.exporting.graphs import export_onnx, export_torchscript
from equireg.exporting.leaving import Leaving
from equireg.exporting.monai_bundle import export_monai
from equireg.exporting.nnunet import export_nnunet
from equireg.folders.run_facts import RUN_FACTS
from equireg.prediction.trained import read_trained

Target = Callable[[Path, Leaving], None]

TARGETS: dict[str, Target] = {
    "onnx": export_onnx,
    "torchscript": export_torchscript,
    "nnunet": export_nnunet,
    "monai": export_monai,
}
"""What ``--to`` says, and what fills the new folder."""
VERB = "export"


@single_precision()
def export(run: Path | str, out: Path | str, config: ExportConfig | None = None, **options: Any) -> Path:
    """Write a trained model for other programs.

    Args:
        run: output of `equireg train`, `equireg ensemble` or `equireg pack`.
        out: the new folder.
        config: the options, ``to`` among them; or give them by name.
        options: those of ``ExportConfig``, laid over ``config``.

    Returns:
        The folder.

    Raises:
        EquiregError: if the run is missing or damaged, or the other program cannot do what `equireg predict` does with
            it; then nothing is written.
    """
    config = options_from(ExportConfig, config, options)
    if config.to is None:
        raise UsageError(f"--to is missing; expected one of {', '.join(TARGETS)}.")
    out = refuse_existing(out)
    trained = read_trained([run], config.checkpoint)
    with staged_folder(out) as folder:
        leaving = Leaving(trained, config)
        TARGETS[config.to](folder, leaving)
        facts = trained.facts(None, leaving.post_process)
        facts = {**facts.as_dict(), "checkpoint_digest": trained.digest}
        folders.sign(folder, VERB, to_plain(config), seed=None, source=run, **{RUN_FACTS: facts})
    return out
