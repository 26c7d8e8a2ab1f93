"""Going on with a run exactly where it stopped: only with its own options, on its own data."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from torch import nn

from equireg import disk
from equireg._version import __version__
from equireg.config import NetworkConfig, TrainConfig
from equireg.config.parsing import laid_over
from equireg.errors import EquiregError
from equireg.folders.prepared import MANIFEST, PreparedSet
from equireg.folders.run import CONFIG, RunFolder
from equireg.folders.run_facts import MACHINE_OPTIONS
from equireg.methods import Method
from equireg.model import ENTRY, ModelFacts, config_from, load_weights, new_method, read_checkpoint
from equireg.training.budget import PAUSE, PLANS, USED_S
from equireg.training.class_prior import Prior
from equireg.training.data import TrainingCases
from equireg.training.loop import ENDED
from equireg.warm_start import Source, WarmStart, record_digest

log = logging.getLogger("equireg")

_LENGTH = {"max_steps", "max_minutes"}
"""Options that say how long a run is."""


def resumed_config(out: Path, given: dict[str, Any]) -> TrainConfig:
    """Return the options of the run in ``out``; those given now may not contradict them.

    Raises:
        EquiregError: if there is no run, or an option differs that changes what is computed.
    """
    disk.existing_folder(out, "a run to resume")
    run = RunFolder(out)
    if not run.has_config():
        raise EquiregError(f"{out}: has no {CONFIG}, so there is no run to resume. Leave out --resume to begin one.")
    run.check_config()
    stored = run.read_config()
    if given.get("method", {}).get("name") == "auto":
        given = {**given, "method": stored["method"]}
    given = _from_same_weights(out, given, stored)
    config = config_from({**stored, **{name: given[name] for name in MACHINE_OPTIONS if name in given}})
    if given:
        differ = differences(config, config_from(laid_over(stored, given)))
        if differ:
            longer = run.is_finished() and set(differ) <= _LENGTH
            raise EquiregError(
                f"{out}: the run has other options for {', '.join(differ)} than given now. "
                + (
                    f"It is finished: to train it on, begin a new run from its weights with another --out and --init "
                    f"{out}."
                    if longer
                    else "Leave them out to resume it, or choose another --out for a new run."
                )
            )
    return config


def _from_same_weights(out: Path, given: dict[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return options in which the weights that a run starts from have the name that it keeps.

    Raises:
        EquiregError: if they are others.
    """
    named = under_stored_name(given, stored)
    if named.get("init") not in (None, stored.get("init")):
        raise EquiregError(
            f"{out}: the run did not start from the weights {given['init']}, but from "
            f"{stored.get('init') or 'new ones'}. Leave out --init to resume it, or choose another --out for a new run."
        )
    return named


def under_stored_name(given: dict[str, Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return options in which weights have the name that a run keeps, where they are the same: names may change."""
    digest = record_digest(given.get("init"))
    same = digest is not None and digest == record_digest(stored.get("init"))
    return {**given, "init": stored["init"]} if same else given


def differences(run: TrainConfig, other: TrainConfig) -> list[str]:
    """Name the options in which two runs differ and that change what is computed."""
    return [name for name in vars(run) if name not in MACHINE_OPTIONS and getattr(run, name) != getattr(other, name)]


def data_digest(data: PreparedSet) -> str:
    """Return a digest of all that training reads of a prepared folder."""
    digest = getattr(data, "digest", None)
    return digest if isinstance(digest, str) else sha256((data.root / MANIFEST).read_bytes()).hexdigest()


def check_same_data(out: Path, cases: TrainingCases, data: PreparedSet) -> None:
    """Refuse to resume on other cases than the run began with, or on the same ones prepared otherwise.

    Raises:
        EquiregError: if either differs.
    """
    signature = RunFolder(out).signature()
    if signature.get("data") not in (None, cases.digest()):
        raise EquiregError(
            f"{out}: the run began with other cases than this prepared folder gives it. Resume it with the folder it "
            "began with, or choose another --out for a new run."
        )
    if signature.get("prepared") not in (None, data_digest(data)):
        raise EquiregError(
            f"{out}: {data.root} was prepared again with other scans, masks or options since the run began, so its "
            "cases are no longer what the run was trained on. Choose another --out for a new run, or resume with the "
            "folder as it was."
        )


def tell_of_resumption(out: Path) -> None:
    """Say what a run that goes on differs in from one that was never stopped, and where it has to start again."""
    _warn_of_version(out)
    if not RunFolder(out).has_checkpoint():
        log.info("%s has no checkpoint yet, so it starts again at step 0", out.name)


def _warn_of_version(out: Path) -> None:
    """Say that another version began the run: then it does not end as it would have, bit for bit."""
    versions = RunFolder(out).signature().get("versions", {})
    began = str(versions.get("equireg", "an unknown version"))
    if began.split(".")[:2] != __version__.split(".")[:2]:
        log.warning(
            "%s was begun by equireg %s and goes on with %s, whose training differs in small things: the result will "
            "not be the same, bit for bit. Where that matters, train anew or resume with the first version.",
            out.name,
            began,
            __version__,
        )


def check_same_precision(out: Path, precision: str) -> None:
    """Refuse to resume in another precision than the run began with.

    Raises:
        EquiregError: if it differs.
    """
    began = RunFolder(out).signature().get("precision")
    if began != precision:
        raise EquiregError(
            f"{out}: the run began with precision {began}, this machine computes in {precision}. "
            "Resume it where it began, or choose another --out for a new run."
        )


@dataclass(frozen=True)
class LastCheckpoint:
    """Where a run continues."""

    path: Path | None = None
    """None where it stopped before its first checkpoint"""
    step: int = 0
    ended: bool = False
    """whether training had finished, so that there is nothing to resume"""
    plans: Sequence[Sequence[int]] = ()
    """how a run with a budget of time was planned"""
    used_s: float = 0.0
    """seconds of that budget that had passed"""
    pause_s: float = 0.0
    """seconds of a validation with its checkpoint"""
    pause_step_s: float | None = None
    """seconds of a step when it was timed"""


def last_checkpoint(out: Path, method: Method) -> LastCheckpoint:
    """Return the checkpoint to resume from, checked.

    Raises:
        EquiregError: if it is damaged or of another network, or is missing where there is a best one.
    """
    path = RunFolder(out).checkpoints / "last.ckpt"
    best = path.with_name("best.ckpt")
    if not path.is_file():
        if best.is_file():
            raise EquiregError(f"{path}: is missing. Copy it back. {_way_from(best, out)}")
        return LastCheckpoint()
    try:
        content = read_checkpoint(path)
    except EquiregError as error:
        if not best.is_file():
            raise
        raise EquiregError(f"{error} {_way_from(best, out)}") from error
    weights = {name.removeprefix("method."): value for name, value in content["state_dict"].items()}
    load_weights(method, weights, path)
    stored = content[ENTRY]
    pause_s, step_s = stored.get(PAUSE, (0.0, None))
    return LastCheckpoint(
        path,
        step=int(content["global_step"]),
        ended=bool(stored.get(ENDED)),
        plans=stored.get(PLANS, ()),
        used_s=float(stored.get(USED_S, 0.0)),
        pause_s=float(pause_s),
        pause_step_s=None if step_s is None else float(step_s),
    )


def _way_from(best: Path, out: Path) -> str:
    """Say how a run goes on whose last checkpoint is missing or damaged, and whose best one is there."""
    try:
        step = int(read_checkpoint(best)["global_step"])
    except EquiregError:
        return f"{best.name} beside it is damaged too. Or begin a new run with another --out."
    return (
        f"Or copy {best.name}, which lies beside it, to last.ckpt: --resume then goes on from its step {step}. Or "
        f"begin a new run from its weights, with another --out and --init {out}."
    )


def start_or_resume(
    out: Path, config: TrainConfig, facts: ModelFacts, source: Source | None, prior: Prior | None, *, resume: bool
) -> tuple[Method, LastCheckpoint, WarmStart | None]:
    """Make the method of a run, and find where it continues and what it starts from.

    Args:
        out: the run's folder.
        config: its options.
        facts: those of its data set.
        source: trained weights that it starts from, if they were given.
        prior: what new networks answer before they have learnt, unless that is left to chance.
        resume: whether it goes on.

    Raises:
        EquiregError: if a checkpoint or the weights do not fit, or the weights are needed and were not given.
    """
    start = None if source is None else WarmStart.onto(source, facts)

    def fill(network: nn.Module, options: NetworkConfig, index: int) -> None:
        for part in (prior, start):
            if part is not None:
                part.fill(network, options, index)

    method = new_method(config, facts, fill)
    last = last_checkpoint(out, method) if resume else LastCheckpoint()
    if config.init is not None and start is None and last.path is None:
        raise EquiregError(
            f"{out}: stopped before its first checkpoint, so it starts again from the weights {config.init}. Give "
            "--init with their path, as at first."
        )
    return method, last, start
