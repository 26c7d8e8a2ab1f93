"""The verb ``predict``: find the scans, predict those that are not done, here or by workers, and sign."""

import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from tqdm import tqdm

from equireg import disk, folders
from equireg.config import PredictConfig
from equireg.config.parsing import from_plain
from equireg.devices import choose_device, choose_precision
from equireg.errors import EquiregError
from equireg.model import find_checkpoint, load_model
from equireg.prediction.folder import Table, claim, finish
from equireg.prediction.overlap import overlapping
from equireg.prediction.scans import Case, find_cases
from equireg.prediction.segment import Predictor, Segmented, segment, write
from equireg.preparation.case import WorkingScan
from equireg.processes.memory import keep_freed_memory
from equireg.processes.workers import WorkerDiedError, Workers

log = logging.getLogger("equireg")

_GPU_A_CASE = 0.5
"""Part of a GPU that a case takes on a Ray cluster: while one worker computes, the other reads and writes."""


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
    if config.cluster == "ray":  # other machines find the files by their whole paths
        run, scans, out = (Path(path).absolute() for path in (run, scans, out))
    run, scans = disk.existing_folder(run, "a run"), Path(scans)
    signature = folders.read_signature(run, "train")
    path = find_checkpoint(run, config.checkpoint)
    job = _Job(path, path.stat().st_mtime_ns, Path(out), config)
    model = load_model(path)
    cases = find_cases(scans, model.facts, config)
    predict_all = _spread(job) if config.cluster == "ray" or config.jobs > 1 else _here(job, Predictor(model, config))
    table = Table(claim(Path(out), model, config, scans))
    try:
        with disk.disk_errors(table.folder):
            failed = predict_all([case for case in cases if case.name not in table.seconds], table.add)
    finally:
        if not table.seconds:
            shutil.rmtree(table.folder)
    if not table.seconds:
        raise EquiregError(_failures(failed))
    finish(table, run, scans, model, config, signature)
    seconds = table.seconds.values()
    log.info("%d predictions in %s, %.1f s a case", len(seconds), out, sum(seconds) / len(seconds))
    if failed:
        raise EquiregError(f"{_failures(failed)} The other {len(seconds)} predictions lie in {out}.")
    return table.folder


@dataclass(frozen=True)
class _Job:
    """What all cases of a command share, also those that other processes predict."""

    checkpoint: Path
    modified_ns: int
    """When the checkpoint was written; a process keeps the model that it has loaded."""
    folder: Path
    config: PredictConfig


_Note = Callable[[str, float], None]
"""Called with a case's name and the seconds of its work, once it lies on the disk."""
_PredictAll = Callable[[Sequence[Case], _Note], dict[str, str]]
"""Predicts cases, and returns the reason of each that failed, in their order."""


def _here(job: _Job, predictor: Predictor) -> _PredictAll:
    """Predict in this process: reading, network and writing overlap."""
    keep_freed_memory()

    def predict_all(cases: Sequence[Case], note: _Note) -> dict[str, str]:
        def read(case: Case) -> tuple[WorkingScan, float]:
            begin = time.perf_counter()
            return case.scan.read(), time.perf_counter() - begin

        def work(case: Case, source: tuple[WorkingScan, float]) -> tuple[Segmented, float]:
            begin = time.perf_counter()
            return segment(predictor, case, source[0]), source[1] + time.perf_counter() - begin

        def put(case: Case, made: tuple[Segmented, float]) -> None:
            begin = time.perf_counter()
            write(predictor, case, made[0], job.folder, job.config)
            # Noted here, so that an interrupted command too knows all that it has written.
            note(case.name, made[1] + time.perf_counter() - begin)

        stages = overlapping(cases, read, work, put)
        bar = tqdm(stages, desc="predict", total=len(cases), unit="case", disable=None)
        return {case.name: str(error) for case, error in bar if error is not None}

    return predict_all


def _spread(job: _Job) -> _PredictAll:
    """Predict by workers, each a case at a time."""
    config = job.config
    if config.cluster == "local":  # told once here, and not by each worker
        choose_precision(config.precision, choose_device(config.device))

    def predict_all(cases: Sequence[Case], note: _Note) -> dict[str, str]:
        failed: dict[str, str] = {}
        tasks = {case.name: (job, case) for case in cases}
        with Workers(config.jobs, config.cluster, gpus=0 if config.device == "cpu" else _GPU_A_CASE) as workers:
            for name, result in workers.run(_predict_case, tasks, "predict"):
                if isinstance(result, (disk.DiskError, WorkerDiedError)):
                    raise result
                if isinstance(result, EquiregError):
                    failed[name] = str(result)
                else:
                    note(name, result)
        return {case.name: failed[case.name] for case in cases if case.name in failed}

    return predict_all


def _predict_case(job: _Job, case: Case) -> float:
    """Predict one case in a worker; return its seconds."""
    predictor = _loaded(job)
    begin = time.perf_counter()
    try:
        segmented = segment(predictor, case, case.scan.read())
        with disk.disk_errors(job.folder):
            write(predictor, case, segmented, job.folder, job.config)
    except EquiregError:
        raise
    except Exception as error:  # a GPU out of memory, say
        raise EquiregError(f"{type(error).__name__}: {error}") from error
    return time.perf_counter() - begin


@lru_cache(maxsize=1)
def _loaded(job: _Job) -> Predictor:
    """Load the model once for all cases of a worker."""
    keep_freed_memory()
    return Predictor(load_model(job.checkpoint), job.config)


def _failures(failed: dict[str, str]) -> str:
    reasons = " ".join(f"{name}: {reason}" for name, reason in failed.items())
    return f"{len(failed)} of the scans could not be predicted. {reasons}"
