"""The folder of predictions: begun, gone on with, and signed at the end."""

import shutil
from pathlib import Path
from typing import Any

from equireg import disk, folders
from equireg.config import PredictConfig
from equireg.config.parsing import to_plain
from equireg.folders import predictions
from equireg.model import Model


def claim(out: Path, model: Model, config: PredictConfig, scans: Path) -> Path:
    """Make the folder, or go on with one that the same command left unfinished, wherever its cases were predicted.

    Raises:
        EquiregError: if it holds anything else.
    """
    anyhow = {name: value for name, value in vars(config).items() if name not in ("jobs", "cluster")}
    command = to_plain(
        {
            **anyhow,
            "scans": scans.resolve().name,
            "seed": model.config.seed,
            "repeat": model.config.repeat,
            "step": model.step,
        }
    )
    command["method"] = model.config.method.name
    marker = out / folders.UNDERWAY
    if not (marker.is_file() and disk.read_json(marker) == command):
        disk.refuse_existing(out)
    with disk.disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    try:
        disk.write_json(marker, command)
    except disk.DiskError:
        shutil.rmtree(out)
        raise
    return out


class Table:
    """Seconds of each case that is done; kept on disk as they come, so that a stopped command can go on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seconds = predictions.read_times(folder)

    def add(self, case: str, seconds: float) -> None:
        """Note that a case is done."""
        self.seconds[case] = seconds
        predictions.write_times(self.folder, self.seconds)


def finish(
    table: Table,
    run: Path,
    scans: Path,
    model: Model,
    config: PredictConfig,
    signature: dict[str, Any],
) -> None:
    """Write what the evaluation needs to know beside the predictions."""
    predictions.write_labels(table.folder, model.facts.labels)
    if config.portal_zip:
        predictions.write_portal_zip(table.folder, sorted(table.seconds))
    folders.sign(
        table.folder,
        "predict",
        to_plain(config),
        seed=model.config.seed,
        source=scans,
        cases=sorted(table.seconds),
        run={
            "name": run.name,
            "method": model.config.method.name,
            "dataset": model.facts.dataset,
            "seed": model.config.seed,
            "repeat": signature.get("repeat"),
            "spatial_dims": model.config.spatial_dims,
            "step": model.step,
            "labelled_cases": signature.get("labelled_cases"),
            "unlabelled_cases": signature.get("unlabelled_cases"),
            "masked_cases": signature.get("masked_cases"),
            "split": config.split,
        },
    )
    (table.folder / folders.UNDERWAY).unlink()
