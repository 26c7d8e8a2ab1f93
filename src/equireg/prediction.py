"""`equireg predict`: a run and scans in, segmentations in each scan's own geometry and label values out."""

import csv
import io
import logging
import shutil
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from equireg import checkpoint, equivariance, folders
from equireg.checkpoint import Model
from equireg.config import PredictConfig
from equireg.config.parsing import from_plain, to_plain
from equireg.data import volume
from equireg.data.case import WorkingScan, working_scan
from equireg.data.layouts import RawCase, discover_inputs
from equireg.data.store import PreparedSet
from equireg.errors import EquiregError
from equireg.inference import InferencePlan, autocast, choose_device, choose_precision, predict_scan

log = logging.getLogger("equireg")

LABELS = "labels.json"
TIMES = "times.csv"
PORTAL_ZIP = "portal.zip"


@dataclass(frozen=True)
class _Case:
    """A scan that is to be predicted."""

    name: str
    read: Callable[[], WorkingScan]
    seeds: Sequence[int] | None = None
    """Seeds of its fixed transforms, one a slice, where they are asked for."""


def predict(run: Path | str, scans: Path | str, out: Path | str, **options: Any) -> Path:
    """Segment scans with a trained model.

    A scan that cannot be used is named at the end; the others are predicted all the same. The same command
    goes on where it was stopped.

    Args:
        run: output of `equireg train`.
        scans: a raw folder, loose files, one file, or a prepared folder.
        out: the folder of predictions, new or left unfinished by the same command.
        options: those of ``PredictConfig``.

    Returns:
        The folder: ``CASE.nii.gz`` a case, ``labels.json``, ``times.csv``; where asked for ``equivariance/`` with
        the predictions under each case's fixed transform, and ``portal.zip`` with all predictions.

    Raises:
        EquiregError: if the run or the scans cannot be read, or after all others when some scans could not.
    """
    config = from_plain(PredictConfig, options)
    run, scans = folders.existing_folder(run, "a run"), Path(scans)
    signature = folders.read_signature(run, "train")
    model = checkpoint.load(checkpoint.find_checkpoint(run, config.checkpoint))
    cases = _cases(scans, model, config)
    predictor = _Predictor(model, config)
    table = _Table(_claim(Path(out), model, config, scans))
    try:
        with folders.disk_errors(table.folder):
            failed = _predict_all(cases, predictor, table, config)
    finally:
        if not table.seconds:
            shutil.rmtree(table.folder)
    if not table.seconds:
        raise EquiregError(_failures(failed))
    _finish(table, run, scans, model, config, signature)
    seconds = table.seconds.values()
    log.info("%d predictions in %s, %.1f s a case", len(seconds), out, sum(seconds) / len(seconds))
    if failed:
        raise EquiregError(f"{_failures(failed)} The other {len(seconds)} predictions lie in {out}.")
    return table.folder


def _claim(out: Path, model: Model, config: PredictConfig, scans: Path) -> Path:
    """Make the folder, or go on with one that the same command left unfinished.

    Raises:
        EquiregError: if it holds anything else.
    """
    command = to_plain(
        {
            **vars(config),
            "scans": scans.resolve().name,
            "seed": model.config.seed,
            "repeat": model.config.repeat,
            "step": model.step,
        }
    )
    command["method"] = model.config.method.name
    marker = out / folders.UNDERWAY
    if not (marker.is_file() and folders.read_json(marker) == command):
        folders.refuse_existing(out)
    with folders.disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    try:
        folders.write_json(marker, command)
    except folders.DiskError:
        shutil.rmtree(out)
        raise
    return out


class _Table:
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
        folders.write_atomic(self.folder / TIMES, text.getvalue())


def _cases(scans: Path, model: Model, config: PredictConfig) -> list[_Case]:
    """Find the scans, in whichever kind of folder they are."""
    if scans.is_dir() and folders.made_by(scans) == "prepare":
        return _prepared_cases(PreparedSet(scans), model, config)
    if config.split is not None:
        raise EquiregError(f"{scans}: --split {config.split} needs a prepared folder. Leave it out for raw scans.")
    if config.equivariance:
        raise EquiregError(
            f"{scans}: --equivariance needs a prepared folder, which keeps the fixed transforms of its cases. Run "
            "`equireg prepare` on the scans first, or leave it out."
        )
    plan = model.facts.case_plan()

    def reader(case: RawCase) -> Callable[[], WorkingScan]:
        return lambda: working_scan(*case.read_image(), plan)

    return [_Case(case.name, reader(case)) for case in discover_inputs(scans, model.facts.channels)]


def _prepared_cases(data: PreparedSet, model: Model, config: PredictConfig) -> list[_Case]:
    """Take the cases of a prepared folder, all of them or one split."""
    split = config.split
    manifest, facts = data.manifest, model.facts
    ours = (facts.channels, facts.axes, facts.spacing_mm, dict(facts.normalisation))
    theirs = (manifest.channels, manifest.axes, manifest.spacing_mm, dict(manifest.normalisation))
    if ours != theirs:
        raise EquiregError(
            f"{data.root}: was prepared with channels, axes, spacing and normalisation {theirs}; the run was trained "
            f"with {ours}. Predict from the raw folder, which is then prepared as the run expects."
        )

    def reader(name: str) -> Callable[[], WorkingScan]:
        def read() -> WorkingScan:
            record = data.by_name[name]
            return WorkingScan(
                np.asarray(data.image(name)[:], dtype=np.float32), record.background, record.working_grid()
            )

        return read

    names = [case.name for case in manifest.cases if split is None or case.split == split]
    if not names:
        counts = {name: sum(case.split == name for case in manifest.cases) for name in ("train", "val", "test")}
        raise EquiregError(f"{data.root}: has no case in the split {split}; it has {counts}.")
    seeds = {name: data.equivariance_seeds(name).tolist() for name in names} if config.equivariance else {}
    return [_Case(name, reader(name), seeds.get(name)) for name in names]


class _Predictor:
    """The network with all that stays the same from case to case."""

    def __init__(self, model: Model, config: PredictConfig) -> None:
        self.device = choose_device(config.device)
        self.precision = choose_precision(config.precision, self.device)
        self.network = model.predictor.to(self.device)
        self.labels = model.facts.labels
        self.plan = InferencePlan(
            model.config.spatial_dims,
            model.facts.patch_size,
            model.facts.flip_axes,
            config.test_time,
            config.passes,
            config.overlap,
        )

    def __call__(self, scan: WorkingScan, image: torch.Tensor | None = None) -> torch.Tensor:
        """Return probabilities of a scan, or of an image [C, d, H, W] in its place: [K, D, H, W], float32."""
        if image is None:
            image = torch.from_numpy(scan.image)
        with autocast(self.precision, self.device):
            return predict_scan(self.network, image, scan.background, scan.grid.spacing_mm, self.plan)

    def under_transform(self, scan: WorkingScan, probs: torch.Tensor, seeds: Sequence[int]) -> equivariance.Transformed:
        """Return what becomes of a scan and of its probabilities [K, D, H, W] under the fixed transforms."""
        return equivariance.transform_scan(scan, probs, seeds, self.plan, lambda image: self(scan, image))


def _predict_all(cases: Sequence[_Case], predictor: _Predictor, table: _Table, config: PredictConfig) -> dict[str, str]:
    """Predict every case that is not done; return the reason of each that failed."""
    failed: dict[str, str] = {}
    for case in tqdm(cases, desc="predict", unit="case", disable=None):
        if case.name in table.seconds:
            continue
        begin = time.perf_counter()
        try:
            _predict_case(case, predictor, table.folder, config)
        except folders.DiskError:
            raise
        except EquiregError as error:
            failed[case.name] = str(error)
        else:
            table.add(case.name, time.perf_counter() - begin)
    return failed


def _predict_case(case: _Case, predictor: _Predictor, folder: Path, config: PredictConfig) -> None:
    """Predict one case and write all that is asked for; its prediction comes last."""
    scan = case.read()
    working = predictor(scan)
    if case.seeds is not None:
        transformed = predictor.under_transform(scan, working, case.seeds)
        equivariance.write(transformed, scan.grid, predictor.labels, equivariance.Files.of(folder, case.name))
    probs = scan.grid.probs_to_native(working.numpy())
    geometry = scan.grid.native
    if config.probabilities:
        volume.write_probabilities(folder / f"{case.name}_probabilities.nii.gz", probs, geometry)
    volume.write_label(folder / f"{case.name}.nii.gz", predictor.labels.to_values(probs.argmax(axis=0)), geometry)


def _write_portal_zip(folder: Path, cases: Sequence[str]) -> None:
    """Pack the predictions flat, as the evaluation portal of BraTS takes them; the same bytes every time."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:  # the files are compressed already
        for case in cases:
            name = f"{case}.nii.gz"
            archive.writestr(zipfile.ZipInfo(name), (folder / name).read_bytes())
    folders.write_atomic(folder / PORTAL_ZIP, content.getvalue())


def _failures(failed: dict[str, str]) -> str:
    reasons = " ".join(f"{name}: {reason}" for name, reason in failed.items())
    return f"{len(failed)} of the scans could not be predicted. {reasons}"


def _finish(
    table: _Table,
    run: Path,
    scans: Path,
    model: Model,
    config: PredictConfig,
    signature: dict[str, Any],
) -> None:
    """Write what the evaluation needs to know beside the predictions."""
    folders.write_json(table.folder / LABELS, model.facts.labels.as_dict())
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
