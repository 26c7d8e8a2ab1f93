"""`equireg train`: the one training loop, on Lightning; the method is all that differs between runs."""

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger

from equireg import disk
from equireg.batches.patches import plan_patches, work_of
from equireg.batches.reading import CaseReader
from equireg.config import TrainConfig
from equireg.config.parsing import to_plain, with_config
from equireg.devices import choose_device, choose_precision, memory_errors, single_precision
from equireg.errors import UsageError
from equireg.folders.prepared import PreparedSet
from equireg.folders.run import CHECKPOINTS, LOG, RunFolder
from equireg.methods.default import named_method
from equireg.model import ModelFacts, config_from
from equireg.planning.plan import check_folder
from equireg.processes import launching
from equireg.processes.cores import threads_that_fit
from equireg.processes.memory import keep_freed_memory
from equireg.processes.progress import duration, time_of_day
from equireg.processes.ranks import Rank
from equireg.processes.workers.starting import start_method_left_open
from equireg.training.budget import Budget, Pace
from equireg.training.callbacks import callback_errors, check_callbacks
from equireg.training.class_prior import Prior
from equireg.training.data import DataSource, cases_of_run
from equireg.training.first_masks import with_first_masks
from equireg.training.folds import folds_of_run, folds_record, in_fold
from equireg.training.loggers import make_loggers, names_of
from equireg.training.loop import LoopModule, Watchers, make_trainer
from equireg.training.monitoring import log_to_file
from equireg.training.open_options import decided, resumed
from equireg.training.own_folder import OwnFolder
from equireg.training.quiet import quiet_libraries
from equireg.training.replanning import Replanning
from equireg.training.resuming import (
    LastCheckpoint,
    check_same_data,
    check_same_precision,
    resumed_config,
    start_or_resume,
    tell_of_resumption,
)
from equireg.training.schedule import Schedule, repeating
from equireg.training.summary import log_summary
from equireg.training.withdrawal import telling_what_is_kept, withdrawn_if_refused
from equireg.warm_start import source_of

log = logging.getLogger("equireg")


@single_precision()
@start_method_left_open()
def train(
    prepared: Path | str,
    out: Path | str,
    config: TrainConfig | None = None,
    *,
    resume: bool = False,
    callbacks: Sequence[Callback] = (),
    loggers: Sequence[Logger] = (),
    began: float | None = None,
    **options: Any,
) -> Path:
    """Train a model on a prepared folder.

    Args:
        prepared: output of `equireg prepare`.
        out: the run's folder; new, unless ``resume``.
        config: the options; or give them by name.
        resume: continue exactly where the run in ``out`` stopped, with its own options.
        callbacks: Lightning's callbacks beside the run's own.
        loggers: Lightning's loggers beside those that the option ``logger`` names.
        began: reading of ``time.monotonic()`` from which ``max_minutes`` counts; by default that of this call.
        options: those of ``TrainConfig``, nested or with dots, laid over ``config``; ``method`` may be a bare name.

    Returns:
        The run's folder.

    Raises:
        EquiregError: if an option or the data does not fit, the time is too short, or the loss stops being finite.

    With ``devices`` above 1, and no launcher such as torchrun, one new process is started for each device.
    """
    check_callbacks(callbacks)
    began, out = time.monotonic() if began is None else began, Path(out)
    given = with_config(TrainConfig, config, options)
    data = PreparedSet(prepared, verify=given.get("verify", True) is not False)
    source = source_of(given, resume)
    given = given if source is None else source.options(given)
    given, config = (given, resumed_config(out, given)) if resume else _begun(given, data)
    folds, folds_file = folds_of_run(out if resume else None, data, config), config.folds_file
    data, config = in_fold(data, folds, config), replace(config, folds_file=folds_record(folds_file, folds, data))
    rank = _place(config, has_objects=bool(callbacks or loggers))
    alone = rank is None or (rank.index == 0 and not launching.launched_here())  # it has the folder, ranks work for it
    with disk.locked_folder(out) if alone else nullcontext(), telling_what_is_kept(out):
        if alone and not resume:
            RunFolder(out).remove_false_start()
            disk.refuse_existing(out, "Give --resume to continue it, or choose another --out.")
        open_ = resumed(out, config) if resume else decided(given, config, data, rank, began)
        folder = OwnFolder(out, data, open_, cases_of_run(data.manifest, open_.config), folds, source)
        if resume:
            check_same_data(out, folder.cases, data)
        if resume and RunFolder(out).is_finished():
            log.info("%s is finished; nothing is left to do", out)
        else:
            session = _Session(resume, began, str(prepared), folds_file)
            with withdrawn_if_refused(out) if alone and not resume else nullcontext():
                if rank is None:
                    _launch(folder, session)
                else:
                    _train(folder, session, rank, callbacks, loggers)
    return out


def _place(config: TrainConfig, *, has_objects: bool) -> Rank | None:
    """Return this process' place in the run; None for one that only starts the others.

    Raises:
        UsageError: if a logger is unknown, or objects were given that cannot reach the others.
    """
    rank = launching.place(config.devices, config.nodes)
    if rank is None and has_objects:
        raise UsageError(
            f"callbacks and loggers are given, and devices is {config.devices}; objects do not reach the processes "
            "that are started here. Start the processes by torchrun, or give devices=1."
        )
    names_of(config.logger)
    return rank


def _begun(given: Mapping[str, Any], data: PreparedSet) -> tuple[dict[str, Any], TrainConfig]:
    """Return the options of a new run as they are given, its method named, and with defaults for the others."""
    check_folder(given, data)
    named = named_method(given, data.manifest.cases)
    return named, config_from(named).settled()


@dataclass(frozen=True)
class _Session:
    """One process' work on a run, from a start or a resumption on."""

    resume: bool
    began: float
    """reading of the monotonic clock"""
    prepared: str
    """the prepared folder, as it was given"""
    folds_file: str | None
    """file of the folds, as it was given"""


def _launch(folder: OwnFolder, session: _Session) -> None:
    """Check what can be checked without a GPU, and start the processes of a run; this one computes nothing."""
    config, source = folder.config, folder.source
    _check_devices(config, choose_device(config.device))
    facts = ModelFacts.of(folder.data.manifest, plan_patches(folder.data.manifest, config), folder.cases.labelled)
    start_or_resume(folder.out, config, facts, source, None, resume=session.resume)
    job = {
        **to_plain(config),
        "prepared": session.prepared,
        "out": str(folder.out),
        "resume": session.resume,
        "began": session.began,
        "init": source.path if source else config.init,
        "folds_file": session.folds_file,
    }
    tell = {"planned": folder.options.planned, "lines": folder.options.lines}
    launching.launch("equireg.training.train:train", to_plain(job), config.devices, tell)


def _train(
    folder: OwnFolder, session: _Session, rank: Rank, callbacks: Sequence[Callback], loggers: Sequence[Logger]
) -> None:
    """Do this process' slice of the training; the first one logs, and writes the folder."""
    out, config, cases = folder.out, folder.config, folder.cases
    first = rank.index == 0
    plan = plan_patches(folder.data.manifest, config)
    device = choose_device(config.device)
    _check_devices(config, device)
    precision = choose_precision(config.precision, device)
    facts = ModelFacts.of(folder.data.manifest, plan, folder.cases.labelled)
    if session.resume:
        check_same_precision(out, precision)
        if first:
            tell_of_resumption(out)
    method, last, start = start_or_resume(
        out, config, facts, folder.source, Prior.of(config, facts, folder.labelled), resume=session.resume
    )
    made = make_loggers(config.logger, out, rank.index)
    keep_freed_memory()
    if first:
        folder.begin(precision)
    pace = _pace(config, last, session.began)
    unnamed = () if config.record_paths else (out, folder.data.root)
    with log_to_file(out / LOG, unnamed) if first else nullcontext(), quiet_libraries():
        if first:
            if pace.budget is not None:
                left = pace.budget.left_s()
                log.info("training for %s, until %s", duration(left), time_of_day(left))
            for line in folder.options.lines:
                log.info("%s", line)
            kind = "slices" if plan.spatial_dims == 2 else "volumes"
            kind = kind if facts.pictures is None else "pictures"
            log_summary(config, plan, cases, method, (kind, f"{device.type}, {precision}"), folder.data.manifest)
            if start is not None and last.path is None:
                folder.tell_of(start)
        names = [*cases.labelled, *cases.drafted, *cases.unlabelled, *cases.validation]
        readers = config.devices * max(1, config.workers or 0)
        data = folder.data if last.ended else with_first_masks(folder, rank)
        reader = CaseReader(data, names, readers=readers, device=_home(config, device, rank))
        pinned = device.type == "cuda" and reader.device.type == "cpu"
        source = DataSource(reader, cases, config, plan, pinned, rank)
        validates = bool(cases.validation) and pace.schedule.is_validated
        keeping = () if pace.budget is None else (Replanning(pace, pace.budget),)
        watchers = Watchers([*made, *loggers], (*keeping, *callbacks))
        with callback_errors(), threads_that_fit(work_of(config, plan.patch_size, bool(cases.unlabelled))):
            trainer = make_trainer(out, config, device, precision, validates, watchers)
            if not last.ended:
                _fit(trainer, LoopModule(config, facts, method, source, pace), last.path, device)
        if first:
            step = last.step if last.ended else trainer.global_step
            log.info("finished at step %d; the model lies in %s", step, out / CHECKPOINTS)
    if first:
        if pace.budget is not None:
            RunFolder(out).write_repeat(repeating(config, pace.schedule))
        folder.sign(precision, time.monotonic() - session.began)


def _pace(config: TrainConfig, last: LastCheckpoint, began: float) -> Pace:
    """Return the schedule that options ask for or a checkpoint holds, with the time that is left for it."""
    schedule = Schedule.of(config, last.plans)
    if config.max_minutes is None:
        return Pace(schedule)
    before = {"used_before_s": last.used_s, "pause_s": last.pause_s, "pause_step_s": last.pause_step_s}
    budget = Budget(60 * config.max_minutes, began, most_steps=config.max_steps, clock=time.monotonic, **before)
    return Pace(schedule, budget)


def _fit(trainer: lightning.Trainer, run: LoopModule, last: Path | None, device: torch.device) -> None:
    """Run Lightning's loop, and leave the process' random state as it was.

    Raises:
        EquiregError: if memory runs out.
    """
    launching.join("nccl" if device.type == "cuda" else "gloo")
    devices = [run.data.rank.local] if device.type == "cuda" else []
    remedy = "Lower --batch_size, --patch_size or --unsup_ratio, or give --precision bf16."
    try:
        with torch.random.fork_rng(devices), memory_errors(remedy):
            trainer.fit(run, ckpt_path=last, weights_only=True)
    except SystemExit as stop:  # what Lightning makes of Ctrl-C
        raise KeyboardInterrupt from stop
    finally:
        run.data.close()


def _home(config: TrainConfig, device: torch.device, rank: Rank) -> torch.device:
    """Return where cases should be kept: on this rank's own GPU, unless other processes are to read them."""
    if device.type != "cuda" or config.workers:  # an Apple GPU shares the machine's memory
        return torch.device("cpu")
    return torch.device(device.type, rank.local)


def _check_devices(config: TrainConfig, device: torch.device) -> None:
    """Raise a ``UsageError`` where there are fewer GPUs than are asked for."""
    if device.type == "mps" and config.devices * config.nodes > 1:
        raise UsageError("--device is mps, of which a machine has one. Leave out --devices and --nodes.")
    if device.type == "cuda" and config.devices > torch.cuda.device_count():
        raise UsageError(f"--devices is {config.devices}, but torch finds {torch.cuda.device_count()} GPUs here.")
