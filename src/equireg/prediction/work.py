"""Predicting many cases: in this process, where reading, network and writing overlap, or by workers."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from equireg import disk
from equireg.config import PredictConfig
from equireg.devices import choose_device, choose_precision
from equireg.engines import check_option
from equireg.errors import EquiregError
from equireg.model import load_model
from equireg.postprocessing import PostProcessing
from equireg.prediction.failures import Failure
from equireg.prediction.overlap import overlapping
from equireg.prediction.scans import InputCase
from equireg.prediction.segment import Predictor, Segmented, segment, write
from equireg.prediction.trained import ChangedError, check_unchanged
from equireg.preparation.case import WorkingScan
from equireg.processes.memory import keep_freed_memory
from equireg.processes.progress import track
from equireg.processes.workers import Workers

_GPU_A_CASE = 0.5
"""Part of a GPU that a case takes on a cluster: while one worker computes, the other reads and writes."""


@dataclass(frozen=True)
class Job:
    """What is the same for all cases of a command, also those that other processes predict."""

    checkpoints: tuple[Path, ...]
    digests: tuple[str, ...]
    """of each checkpoint"""
    digest: str
    """Digest of the checkpoints; a process keeps the models that it has loaded."""
    folder: Path
    config: PredictConfig
    post_process: PostProcessing = field(default_factory=PostProcessing)
    scans: int = 1
    """how many scans a process is to predict, about"""


Note = Callable[[str, float], None]
"""Called with a case's name and the seconds of its work, once it lies on the disk."""


def predict_here(job: Job, predictor: Predictor, cases: Sequence[InputCase], note: Note) -> dict[str, Failure]:
    """Predict in this process; return why cases failed, in their order."""
    keep_freed_memory()

    def read(case: InputCase) -> tuple[WorkingScan, float]:
        begin = time.perf_counter()
        return case.read(), time.perf_counter() - begin

    def work(case: InputCase, source: tuple[WorkingScan, float]) -> tuple[Segmented, float]:
        begin = time.perf_counter()
        return segment(predictor, case, source[0], job.config), source[1] + time.perf_counter() - begin

    def put(case: InputCase, made: tuple[Segmented, float]) -> None:
        begin = time.perf_counter()
        with disk.disk_errors(job.folder):
            write(predictor, case, made[0], job.folder, job.config)
        # Noted here, so that an interrupted command too knows all that it has written.
        note(case.name, made[1] + time.perf_counter() - begin)

    stages = overlapping(cases, read, work, put)
    outcomes = track(stages, len(cases), "predict")
    return {case.name: failure for case, failure in outcomes if failure is not None}


def predict_by_workers(job: Job, cases: Sequence[InputCase], note: Note) -> dict[str, Failure]:
    """Predict by workers, each a case at a time; return why cases failed, in their order."""
    config = job.config
    if not config.far:  # logged once here, and not by each worker
        device = choose_device(config.device)
        check_option(config.engine, choose_precision(config.precision, device), device)
    failed: dict[str, Failure] = {}
    tasks = {case.name: (job, case) for case in cases}
    with Workers(config.jobs, config.where(job.folder), gpus=0 if config.device == "cpu" else _GPU_A_CASE) as workers:
        for name, result in workers.run(predict_case, tasks, "predict"):
            if isinstance(result, disk.DiskError | ChangedError):
                raise result
            if isinstance(result, EquiregError):
                failed[name] = Failure.of(result)
            elif isinstance(result, Failure):
                failed[name] = result
            else:
                note(name, result)
    return in_order(failed, cases)


def in_order(failed: Mapping[str, Failure], cases: Sequence[InputCase]) -> dict[str, Failure]:
    """Return failures in the order of their cases."""
    return {case.name: failed[case.name] for case in cases if case.name in failed}


def predict_case(job: Job, case: InputCase) -> float | Failure:
    """Predict one case in a worker; return its seconds, or why it failed.

    Raises:
        DiskError: if the disk cannot take the prediction.
        ChangedError: if a checkpoint is another by now; that would stop all scans.
    """
    begin = time.perf_counter()
    try:
        predictor = _loaded(job)
        segmented = segment(predictor, case, case.read(), job.config)
        with disk.disk_errors(job.folder):
            write(predictor, case, segmented, job.folder, job.config)
    except (disk.DiskError, ChangedError):
        raise
    except Exception as error:
        return Failure.of(error)
    return time.perf_counter() - begin


@lru_cache(maxsize=1)
def _loaded(job: Job) -> Predictor:
    """Load the model once for all cases of a worker."""
    keep_freed_memory()
    models = [load_model(path) for path in job.checkpoints]
    for path, digest in zip(job.checkpoints, job.digests, strict=True):
        check_unchanged(path, digest)
    return Predictor(models, job.config, job.post_process, job.scans)
