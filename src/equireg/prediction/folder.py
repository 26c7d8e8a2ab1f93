"""The folder of predictions: begun, gone on with, and signed at the end."""

import csv
import io
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from equireg import disk, folders
from equireg.config import PredictConfig
from equireg.config.parsing import to_plain
from equireg.model import Model

LABELS = "labels.json"
TIMES = "times.csv"
PORTAL_ZIP = "portal.zip"


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
        self.seconds: dict[str, float] = {}
        if (folder / TIMES).is_file():
            with (folder / TIMES).open(newline="", encoding="utf-8") as file:
                self.seconds = {row["case"]: float(row["seconds"]) for row in csv.DictReader(file)}

    def add(self, case: str, seconds: float) -> None:
        """Note that a case is done."""
        self.seconds[case] = seconds
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["case", "seconds"])
        writer.writerows([name, f"{value:.3f}"] for name, value in self.seconds.items())
        disk.write_atomic(self.folder / TIMES, text.getvalue())


def finish(
    table: Table,
    run: Path,
    scans: Path,
    model: Model,
    config: PredictConfig,
    signature: dict[str, Any],
) -> None:
    """Write what the evaluation needs to know beside the predictions."""
    disk.write_json(table.folder / LABELS, model.facts.labels.as_dict())
    if config.portal_zip:
        _write_portal_zip(table.folder, sorted(table.seconds))
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


def _write_portal_zip(folder: Path, cases: Sequence[str]) -> None:
    """Pack the predictions flat, as the evaluation portal of BraTS takes them; the same bytes every time."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:  # the files are compressed already
        for case in cases:
            name = f"{case}.nii.gz"
            archive.writestr(zipfile.ZipInfo(name), (folder / name).read_bytes())
    disk.write_atomic(folder / PORTAL_ZIP, content.getvalue())
