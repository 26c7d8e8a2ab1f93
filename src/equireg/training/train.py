"""`equireg train`: the one training loop, on Lightning; the method is all that differs between runs."""

import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from equireg import disk, folders
from equireg.batches.choice import choose_cases
from equireg.batches.loading import CaseReader, PatchPlan
from equireg.batches.patches import plan_patches
from equireg.config import TrainConfig
from equireg.config.parsing import merged, to_plain, with_config
from equireg.devices import choose_device, choose_precision
from equireg.errors import EquiregError, UsageError
from equireg.folders.prepared import PreparedSet
from equireg.folders.run import CHECKPOINTS, CONFIG, LOG, MACHINE_OPTIONS, RunFolder, run_facts
from equireg.methods import Method, find
from equireg.methods.default import named_method
from equireg.model import Facts, config_from, load_weights, new_method, read_checkpoint
from equireg.processes import launching
from equireg.processes.memory import keep_freed_memory
from equireg.processes.ranks import Share
from equireg.training.loop import Cases, DataSource, LoopModule, make_trainer
from equireg.training.monitoring import log_to_file

log = logging.getLogger("equireg")


def train(
    prepared: Path | str, out: Path | str, config: TrainConfig | None = None, *, resume: bool = False, **options: Any
) -> Path:
    """Train a model on a prepared folder.

    Args:
        prepared: output of `equireg prepare`.
        out: the run's folder; new, unless ``resume``.
        config: the options; or give them by name.
        resume: go on exactly where the run in ``out`` stopped, with its own options.
        options: those of ``TrainConfig``, nested or with dots, laid over ``config``; ``method`` may be a bare name.

    Returns:
        The run's folder.

    Raises:
        EquiregError: if an option or the data does not fit, or the loss stops being finite.

    With ``devices`` above 1, and no launcher such as torchrun, the work is done by as many new processes.
    """
    data = PreparedSet(prepared)
    out = Path(out)
    given = with_config(TrainConfig, config, options)
    config = _resumed_config(out, given) if resume else config_from(named_method(given, data.manifest.cases))
    if resume and RunFolder(out).is_finished():
        log.info("%s is finished; nothing is left to do", out)
        return out
    share = launching.place(config.devices, config.nodes)
    if not resume and (share is None or share.rank == 0):
        disk.refuse_existing(out, "Give --resume to go on with it, or choose another --out.")
    plan = plan_patches(data.manifest, config)
    cases = _cases(data, config)
    device = choose_device(config.device)
    _check_devices(config, device)
    precision = choose_precision(config.precision, device)
    if resume:
        _check_same_data(out, cases, precision)
    method = new_method(config, Facts.of(data.manifest, plan))
    last = _last_checkpoint(out, method) if resume else None
    if share is None:
        job = {"prepared": str(prepared), "out": str(out), "resume": resume, **to_plain(config)}
        launching.launch("equireg.training.train:train", job, config.devices)
        return out
    _compute(_Folder(out, data, config, cases, precision), plan, method, last, share)
    return out


def _compute(folder: "_Folder", plan: PatchPlan, method: Method, last: Path | None, share: Share) -> None:
    """Do this process' share of the training; the first one tells, and writes the folder."""
    out, config, cases, first = folder.out, folder.config, folder.cases, share.rank == 0
    device = choose_device(config.device)
    keep_freed_memory()
    if first:
        folder.begin()
    with log_to_file(out / LOG) if first else nullcontext(), _quiet_libraries():
        if first:
            _tell(config, plan, cases, method, f"{device.type}, {folder.precision}")
        names = [*cases.labelled, *cases.unlabelled, *cases.validation]
        reader = CaseReader(folder.data, names, readers=config.devices, device=_home(config, device, share))
        source = DataSource(reader, cases, config, plan, device.type != reader.device.type, share)
        run = LoopModule(config, Facts.of(folder.data.manifest, plan), method, source)
        trainer = make_trainer(out, config, device, folder.precision, bool(cases.validation))
        begin = time.monotonic()
        try:
            trainer.fit(run, ckpt_path=last, weights_only=True)
        except SystemExit as stop:  # what Lightning makes of Ctrl-C
            raise KeyboardInterrupt from stop
        seconds = time.monotonic() - begin
        if first:
            log.info("finished at step %d; the model lies in %s", trainer.global_step, out / CHECKPOINTS)
    if first:
        folder.sign(seconds)


def _home(config: TrainConfig, device: torch.device, share: Share) -> torch.device:
    """Return where cases should be kept: on this rank's own GPU, unless other processes are to read them."""
    if device.type == "cpu" or config.workers:
        return torch.device("cpu")
    return torch.device(device.type, share.rank % config.devices)


def _check_devices(config: TrainConfig, device: torch.device) -> None:
    """Refuse more GPUs than there are.

    Raises:
        UsageError: if there are fewer.
    """
    if device.type == "cuda" and config.devices > torch.cuda.device_count():
        raise UsageError(f"--devices is {config.devices}, but torch finds {torch.cuda.device_count()} GPUs here.")


def _resumed_config(out: Path, given: dict[str, Any]) -> TrainConfig:
    """Return the options of the run in ``out``; those given now may not contradict them."""
    disk.existing_folder(out, "a run to resume")
    run = RunFolder(out)
    if not run.has_config():
        raise EquiregError(f"{out}: has no {CONFIG}, so there is no run to resume. Leave out --resume to begin one.")
    stored = run.read_config()
    if given.get("method", {}).get("name") == "auto":
        given = {**given, "method": stored["method"]}
    config = config_from({**stored, **{name: given[name] for name in MACHINE_OPTIONS if name in given}})
    if given:
        differ = differences(config, config_from(merged(stored, given)))
        if differ:
            raise EquiregError(
                f"{out}: the run has other options for {', '.join(differ)} than given now. Leave them out to resume "
                "it, or choose another --out for a new run."
            )
    return config


def differences(run: TrainConfig, other: TrainConfig) -> list[str]:
    """Name the options in which two runs differ and that change what is computed."""
    return [name for name in vars(run) if name not in MACHINE_OPTIONS and getattr(run, name) != getattr(other, name)]


def _check_same_data(out: Path, cases: Cases, precision: str) -> None:
    """Refuse to resume on other cases, or in another precision, than the run began with.

    Raises:
        EquiregError: if either differs.
    """
    signature = disk.read_json(out / folders.SIGNATURE)
    if signature.get("data") != cases.digest():
        raise EquiregError(
            f"{out}: the run began with other cases than this prepared folder gives it. Resume it with the folder it "
            "began with, or choose another --out for a new run."
        )
    if signature.get("precision") != precision:
        raise EquiregError(
            f"{out}: the run began with precision {signature.get('precision')}, this machine computes in {precision}. "
            "Resume it where it began, or choose another --out for a new run."
        )


def _last_checkpoint(out: Path, method: Method) -> Path | None:
    """Return the checkpoint to resume from, checked; None where the run stopped before its first."""
    path = out / CHECKPOINTS / "last.ckpt"
    if not path.is_file():
        return None
    content = read_checkpoint(path)
    weights = {name.removeprefix("method."): value for name, value in content["state_dict"].items()}
    load_weights(method, weights, path)
    return path


def _cases(data: PreparedSet, config: TrainConfig) -> Cases:
    labelled, unlabelled = choose_cases(data.manifest.cases, config)
    validation = [case.name for case in data.manifest.cases if case.split == "val" and case.labelled]
    if config.early_stopping_steps is not None and not validation:
        raise EquiregError(
            "--early_stopping_steps is given, but no case validates. Prepare with --val_fraction, or leave it out."
        )
    uses = find(config.method.name).uses_unlabelled
    if uses and config.unsup_ratio and not unlabelled:
        log.warning("no unlabelled case is used; %s then trains on labelled cases alone", config.method.name)
    return Cases(tuple(labelled), tuple(unlabelled if uses else ()), tuple(validation))


@dataclass(frozen=True)
class _Folder:
    """A run's folder and what it is signed with."""

    out: Path
    data: PreparedSet
    config: TrainConfig
    cases: Cases
    precision: str

    def begin(self) -> None:
        """Make the folder; nothing is written before all that can be checked has been."""
        with disk.disk_errors(self.out):
            (self.out / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        self.sign()
        # Last: a run that has it can be resumed.
        run = RunFolder(self.out)
        if not run.has_config():
            run.write_config(self.config)

    def sign(self, seconds: float | None = None) -> None:
        """Sign the folder; ``seconds``, those since the run was begun or last resumed, mark it as finished."""
        masked = sum(case.labelled and case.split == "train" for case in self.data.manifest.cases)
        facts = run_facts(
            self.out.resolve().name,
            to_plain(self.config),
            self.data.manifest.dataset,
            labelled_cases=len(self.cases.labelled),
            unlabelled_cases=len(self.cases.unlabelled),
            masked_cases=masked,
        )
        # The counts stand outside of the facts too, where earlier versions look for them.
        counts = ("dataset", "labelled_cases", "unlabelled_cases", "masked_cases", "repeat")
        RunFolder(self.out).sign(
            self.config,
            facts,
            self.data.root,
            **{name: getattr(facts, name) for name in counts},
            validation_cases=len(self.cases.validation),
            data=self.cases.digest(),
            precision=self.precision,
            finished=seconds is not None,
            seconds=seconds,
        )


def _tell(config: TrainConfig, plan: PatchPlan, cases: Cases, method: Method, where: str) -> None:
    weights = sum(weight.numel() for weight in method.student.parameters())
    log.info(
        "%s on %d labelled and %d unlabelled cases, %d to validate; %s of %s voxels; %s weights; %s",
        config.method.name,
        len(cases.labelled),
        len(cases.unlabelled),
        len(cases.validation),
        "slices" if config.spatial_dims == 2 else "volumes",
        " x ".join(map(str, plan.patch_size)),
        f"{weights:,}",
        where,
    )


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Keep Lightning's hints about loggers, workers and devices off the screen; its errors still come."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"(lightning|torch|tensorboard|monai)\b")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
