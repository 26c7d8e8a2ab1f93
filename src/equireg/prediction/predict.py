"""The verb ``predict``: find the scans, predict those that are not done, here or by workers, and sign."""

import logging
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from equireg import disk, folders
from equireg.config import PredictConfig
from equireg.config.parsing import options_from, to_plain
from equireg.devices import single_precision
from equireg.disk.leftovers import partial_name
from equireg.errors import EquiregError
from equireg.folders import predictions
from equireg.folders.ensemble import POST_PROCESS
from equireg.folders.quality import read_record, write_quality, write_record
from equireg.folders.run_facts import RUN_FACTS
from equireg.folders.signature import LEARNT_CASES
from equireg.layouts.dicom.telling import may_name_a_patient
from equireg.postprocessing import PostProcessing
from equireg.prediction.calibration import Calibration, read_calibration
from equireg.prediction.failures import Failure, error_of
from equireg.prediction.folder import Unfinished, unfinished
from equireg.prediction.learnt import learnt_cases
from equireg.prediction.parts import check_views
from equireg.prediction.scans import InputCase, RawScan, find_cases, raw_digests
from equireg.prediction.segment import Predictor
from equireg.prediction.trained import Trained, paths_of, read_trained
from equireg.prediction.work import Job, in_order, predict_by_workers, predict_here
from equireg.prediction.writing import check_formats

log = logging.getLogger("equireg")

_MACHINE = ("calibration", "jobs", "cluster", "slurm", "verify", "record_paths", "max_spacing_mm", "max_voxels")
"""Options that do not change what is predicted, and may differ when a command is continued."""
_NAME_BYTES = 255
"""Longest name of a file on the usual disks."""


@single_precision()
def predict(
    run: Path | str | Sequence[Path | str],
    scans: Path | str,
    out: Path | str,
    config: PredictConfig | None = None,
    **options: Any,
) -> Path:
    """Segment scans with a trained model, or with the mean of the probabilities of several.

    A scan that cannot be used is named at the end; the others are predicted all the same. The same command
    continues where it was stopped.

    Args:
        run: output of `equireg train` or `equireg ensemble`, or several of them.
        scans: a raw folder, loose files, one file, or a prepared folder.
        out: the folder of predictions, new or left unfinished by the same command.
        config: the options; or give them by name.
        options: those of ``PredictConfig``, laid over ``config``.

    Returns:
        The folder: a mask a case (``CASE.nii.gz``, or what ``format`` asks for), ``labels.json``, ``times.csv``,
        ``quality.csv`` with how far each is to be trusted; where asked for ``equivariance/`` with the predictions under
        each case's fixed transform, and ``portal.zip`` with all predictions.

    Raises:
        EquiregError: if the run or the scans cannot be read, or after all others when some scans could not.
    """
    config = options_from(PredictConfig, config, options)
    runs = paths_of(run)
    scans, out = Path(scans), Path(out)
    if config.far:  # other machines find the files by their absolute paths
        runs, scans, out = [path.absolute() for path in runs], scans.absolute(), out.absolute()
    trained = read_trained(runs, config.checkpoint)
    cases = _cases(trained, scans, config)
    _check(trained, cases, config)
    post_process = trained.post_process if config.post_process == "auto" else PostProcessing()
    each = math.ceil(len(cases) / max(1, config.jobs))
    job = Job(trained.checkpoints, trained.digests, trained.digest, out, config, post_process, each)
    failed = _misnamed(cases, job)
    digests = {case.name: case.digest() for case in cases if case.name not in failed}
    contents = raw_digests([case for case in cases if case.name in digests])
    learnt = learnt_cases(trained, scans, cases, config.split, contents)
    calibration = _calibration(job)
    with disk.locked_folder(out), unfinished(out, _command(job, scans), digests) as folder:
        left = [case for case in cases if case.name not in folder.seconds and case.name not in failed]
        with disk.disk_errors(out):
            if config.far or config.jobs > 1:
                failed |= predict_by_workers(job, left, folder.add)
            elif left:
                predictor = Predictor(trained.models, config, post_process, job.scans)
                failed |= predict_here(job, predictor, left, folder.add)
        folder.discard([name for name in failed if name in digests])
        failed = in_order(failed, cases)
        if not folder.seconds:
            raise error_of(failed)
        of_cases = _of_cases(sorted(folder.seconds), contents, learnt)
        _finish(folder, trained, _told(scans, cases, config), job, calibration, of_cases)
        folder.finish(failed=bool(failed))
    _tell_end(out, [*folder.seconds.values()], failed)
    return out


def _check(trained: Trained, cases: Sequence[InputCase], config: PredictConfig) -> None:
    """Refuse options that do not fit the models or the scans."""
    check_formats(cases, config)
    check_views(trained.models, config)


def _tell_end(out: Path, seconds: Sequence[float], failed: Mapping[str, Failure]) -> None:
    """Say what was predicted, and raise what failed."""
    log.info("predictions in %s: %d, %.1f s a case", out, len(seconds), sum(seconds) / len(seconds))
    if failed:
        others = f" The other {len(seconds)} predictions lie in {out}."
        raise error_of(failed, f"{others} When the scans are mended, the same command predicts what is missing.")


def _misnamed(cases: Sequence[InputCase], job: Job) -> dict[str, Failure]:
    """Return why some cases have no place in the folder of predictions."""
    names = {case.name: case for case in cases}
    failed: dict[str, Failure] = {}
    for name in names:
        try:
            files = predictions.files_of(job.folder, name)
            wanted = files if job.config.equivariance else files[: 2 if job.config.probabilities else 1]
            longest = max(len(os.fsencode(partial_name(path, predictions.ENDING).name)) for path in wanted)
            if longest > _NAME_BYTES:
                raise EquiregError(f"the name is too long by {longest - _NAME_BYTES} characters. Shorten it.")
            if job.config.probabilities and predictions.is_probabilities(name, names):
                raise EquiregError("its prediction has the name of another scan's probabilities. Rename the scan.")
        except EquiregError as error:
            failed[name] = Failure.of(error)
    return failed


def _command(job: Job, scans: Path) -> dict[str, Any]:
    """Return all that decides what is predicted, and from what."""
    options = {name: value for name, value in to_plain(job.config).items() if name not in _MACHINE}
    steps = job.post_process.as_dict()["steps"]
    return {"source": str(scans.resolve()), "checkpoint_digest": job.digest, **options, POST_PROCESS: steps}


def _cases(trained: Trained, scans: Path, config: PredictConfig) -> list[InputCase]:
    """Find the scans; of a fold's run, ``--split`` train and val are those of the fold.

    Raises:
        EquiregError: if they do not fit, or fixed transforms are asked for and would differ between the models.
    """
    if config.equivariance and len({model.config.spatial_dims for model in trained.models}) > 1:
        raise EquiregError(
            "--equivariance is given, and some of the runs are of slices, others of volumes; expected one kind. Leave "
            "it out."
        )
    fold = trained.fold_cases() if config.split in ("train", "val") else None
    return find_cases(scans, trained.models[0].facts, config, fold)


def _calibration(job: Job) -> Calibration | None:
    """Return what held-out cases say of the Dice behind a quality, where they were given."""
    given = job.config.calibration
    return None if given is None else read_calibration(Path(given), job.digest, job.config)


def _told(scans: Path, cases: Sequence[InputCase], config: PredictConfig) -> Path | None:
    """Return the folder of scans where it may be recorded: not where its name may tell who a patient is."""
    raw = [case.scan.case for case in cases if isinstance(case.scan, RawScan)]
    if config.keep_names or not may_name_a_patient(scans, raw):
        return scans
    log.warning("the name of %s may tell who a patient is, so it is not recorded; other verbs need --scans", scans)
    return None


def _of_cases(cases: Sequence[str], contents: Mapping[str, str], learnt: Sequence[str]) -> dict[str, Any]:
    """Return what the signature says of the predicted cases: digests of their scans, and which the model knows."""
    known = sorted({*cases} & {*learnt})
    digests = {case: contents[case] for case in cases if case in contents}
    return {folders.SCANS: digests, **({LEARNT_CASES: known} if learnt else {})}


def _finish(
    folder: Unfinished,
    trained: Trained,
    scans: Path | None,
    job: Job,
    calibration: Calibration | None,
    of_cases: Mapping[str, Any],
) -> None:
    """Write what the evaluation needs to know beside the predictions, and sign."""
    if job.post_process.steps:
        log.info("post-processing: %s (--post_process none leaves it out)", job.post_process.words())
    cases = sorted(folder.seconds)
    predictions.write_labels(folder.folder, trained.models[0].facts.labels)
    found = [read_record(folder.folder, case) for case in cases]
    if calibration is not None:
        found = [calibration.of(one) for one in found]
        for one in found:
            write_record(folder.folder, one)
    write_quality(folder.folder, found)
    if job.config.portal_zip:
        predictions.write_portal_zip(folder.folder, cases)
    facts = trained.facts(job.config.split, job.post_process)
    pictures = trained.models[0].facts.pictures
    pixel_mm = job.config.pixel_mm or (None if pictures is None else pictures["pixel_mm"])
    folders.sign(
        folder.folder,
        "predict",
        {**to_plain(job.config), "pixel_mm": pixel_mm},
        seed=facts.seed,
        source=scans,
        cases=cases,
        channels=list(trained.models[0].facts.channels),
        **of_cases,
        **{POST_PROCESS: job.post_process.as_dict(), RUN_FACTS: {**facts.as_dict(), "checkpoint_digest": job.digest}},
    )
