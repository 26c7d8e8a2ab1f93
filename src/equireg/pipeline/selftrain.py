"""The verb ``selftrain``: models learn from masks, draft the other scans, and learn from their best drafts too.

Self-training in rounds with the agreement of views and models as the measure of trust, in the sense of Xie et al. 2020
(Self-training with Noisy Student) and Yang et al. 2022 (ST++, which trusts images whose predictions were stable).

round0/memberI         runs on the masks alone
round0/drafts          what they predict together for the training cases
round1/prepared        the prepared folder with the most trusted of these drafts; its other files are links
round1/memberI ...     and so on; the members of the last round are the ensemble
drafts.csv             a row a round and draft that was used: how far views and models agreed on it
report/                the page
made_by.json           the signature of an ensemble
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from equireg import disk, folders
from equireg.config import RoundsConfig, TrainConfig
from equireg.config.cluster import ClusterOptions
from equireg.config.parsing import to_plain, with_config
from equireg.errors import EquiregError, UsageError
from equireg.folders import ensemble, tables
from equireg.folders.predictions import is_whole
from equireg.folders.prepared import PreparedSet
from equireg.folders.run import RunFolder
from equireg.pipeline.beginning import DATA, OPTIONS, SHARED, check_same_data, members_of, options_of_before
from equireg.pipeline.drafts import trusted, with_drafts
from equireg.processes.importing import importing_lightning
from equireg.processes.workers import Workers

log = logging.getLogger("equireg")

DRAFTS = "drafts.csv"
_KEPT = ("rounds", "members", "keep", "continued")
"""The verb's own options that decide what is computed."""
_AMOUNTS = ("sup_cut", "sup_cases")


@dataclass(frozen=True)
class _Work:
    """What stays the same through all rounds."""

    data: PreparedSet
    out: Path
    how: RoundsConfig
    spread: ClusterOptions
    options: Mapping[str, Any]
    """of training, with the method's name"""
    candidates: tuple[str, ...]
    """training cases that may be drafted"""

    def run(self, turn: int, member: int) -> RunFolder:
        """Return the folder of one model."""
        return RunFolder(self.out / f"round{turn}" / f"member{member + 1}")

    def runs(self, turn: int) -> list[RunFolder]:
        """Return the folders of a round's models."""
        return [self.run(turn, member) for member in range(self.how.members)]

    def prepared(self, turn: int) -> Path:
        """Return the prepared folder that a round trains on."""
        return self.data.root if turn == 0 else self.out / f"round{turn}" / "prepared"


def selftrain(
    prepared: Path | str, out: Path | str, config: TrainConfig | None = None, *, resume: bool = False, **options: Any
) -> Path:
    """Train on masks, then in rounds on the most trusted drafts of what was trained, too.

    Args:
        prepared: output of `equireg prepare`.
        out: the folder of all models, which is the ensemble of the last ones; new, unless ``resume``.
        config: the options of training; or give them by name.
        resume: continue exactly where the one in ``out`` stopped, with its own options.
        options: those of ``TrainConfig``, laid over ``config``; those of ``RoundsConfig``; and ``cluster``, "local",
            "ray" or "slurm", with ``slurm``, options of sbatch. ``max_minutes`` is the time of each model.

    Returns:
        The folder.

    Raises:
        EquiregError: if an option or the data does not fit, a run fails, or no draft can be used.
    """
    own = {name: options.pop(name) for name in (field.name for field in fields(RoundsConfig)) if name in options}
    spread = ClusterOptions(**{name: options.pop(name) for name in ("cluster", "slurm") if name in options})
    given = with_config(TrainConfig, config, options)
    out = Path(out).absolute()
    with disk.locked_folder(out):
        if not resume:
            disk.refuse_existing(out, "Give --resume to continue it, or choose another --out.")
        elif not (out / folders.UNFINISHED).is_file() and not folders.is_signed(out):
            raise EquiregError(f"{out}: holds no self-training to resume. Leave out --resume to begin one.")
        else:
            stored, given = options_of_before(out, "self-training", {name: own.get(name) for name in _KEPT}, given)
            own = {**own, **stored}
        work = _settled(Path(prepared).absolute(), out, given, RoundsConfig(**own), spread)
        begun = {**_kept(work.how), OPTIONS: given, DATA: work.data.digest}
        if resume:
            check_same_data(out, work.data)
        if folders.is_signed(out):
            (out / folders.UNFINISHED).unlink(missing_ok=True)
            log.info("%s is finished; nothing is left to do", out)
            return out
        with disk.disk_errors(out):
            out.mkdir(parents=True, exist_ok=True)
        disk.write_json(out / folders.UNFINISHED, begun)
        for turn in range(work.how.rounds + 1):
            if turn:
                _teach(work, turn)
            _train(work, turn)
        _finish(work, begun)
    return out


def _kept(how: RoundsConfig) -> dict[str, Any]:
    return {name: getattr(how, name) for name in _KEPT}


def _settled(prepared: Path, out: Path, given: Mapping[str, Any], how: RoundsConfig, spread: ClusterOptions) -> _Work:
    """Check what can be checked before anything is trained, and choose which cases may be drafted.

    Raises:
        EquiregError: if an option or the data does not fit.
    """
    from equireg.batches.choice import choose_cases
    from equireg.methods.default import named_method
    from equireg.model import config_from
    from equireg.training.data import choose_training_cases
    from equireg.warm_start import check_source, source_of

    if given.get("fold") is not None:
        raise UsageError(f"--fold is {given['fold']}; drafts are made within one split. Leave it out.")
    data = PreparedSet(prepared, verify=given.get("verify", True) is not False)
    source = source_of(given, resume=False)
    options = dict(given) if source is None else source.options(dict(given))
    options = named_method(options, data.manifest.cases)
    config = config_from(options)
    cases = choose_training_cases(data.manifest.cases, config)
    if source is not None:
        check_source(source, data.manifest, config)
    splits = {case.name: case.split for case in data.manifest.cases}
    pool = [case for case in choose_cases(data.manifest.cases, config)[1] if splits[case] == "train"]
    candidates = tuple(sorted(set(pool) - set(cases.labelled)))
    if not candidates:
        raise EquiregError(
            f"{prepared}: no training case is left to draft: each has a mask that is used, or is left out "
            "(--unsup_cases, --unsup_cut). Add scans without masks, use fewer (--sup_cases), or run `equireg train`."
        )
    # Drafted cases lose their masks, if they have any: the number of those that are used is named, not a part of them.
    settled = {name: value for name, value in options.items() if name not in _AMOUNTS}
    return _Work(data, out, how, spread, {**settled, "sup_cases": len(cases.labelled)}, candidates)


def _train(work: _Work, turn: int) -> None:
    """Train the models of a round that are not done.

    Raises:
        EquiregError: if some failed, after all others.
    """
    tasks: dict[str, tuple[Any, ...]] = {}
    for member, run in enumerate(work.runs(turn)):
        options = {**work.options, "repeat": int(work.options.get("repeat", 0)) + member}
        if turn and work.how.continued:
            options["init"] = str(work.run(turn - 1, member).root)
        if not run.is_finished():
            tasks[f"round {turn}, member {member + 1}"] = (work.prepared(turn), run.root, options)
    jobs = work.how.jobs if work.spread.far else work.how.jobs or 1
    gpus = 0 if work.options.get("device") == "cpu" else int(work.options.get("devices", 1))
    failed = []
    with Workers(jobs, work.spread.where(work.out), gpus=gpus, share_cores=True) as workers:
        for name, failure in workers.run(_member, tasks):
            log.info("done %s", name) if failure is None else failed.append(f"{name}: {failure}")
    if failed:
        error = EquiregError(f"{len(failed)} of {len(tasks)} models failed. {' '.join(failed)}")
        workers.add_traces(error)
        raise error


def _member(prepared: Path, out: Path, options: Mapping[str, Any]) -> None:
    """Train one model, or go on with it."""
    with importing_lightning():
        from equireg.training.train import train

    train(prepared, out, resume=RunFolder(out).has_config(), **options)


def _teach(work: _Work, turn: int) -> None:
    """Draft with the models of the round before, and make the prepared folder of this one with the best drafts."""
    from equireg.prediction.predict import predict

    drafts, out = work.out / f"round{turn - 1}" / "drafts", work.prepared(turn)
    if folders.made_by(out) == "prepare":
        return
    shared = {name: work.options[name] for name in SHARED if name in work.options}
    if not is_whole(drafts):
        runs = [run.root for run in work.runs(turn - 1)]
        predict(runs, work.data.root, drafts, split="train", post_process="none", **shared)
    chosen = trusted(drafts, work.candidates, work.how.keep)
    least = chosen[-1].quality
    log.info("round %d: %d of %d drafts, agreement %.3f or more", turn, len(chosen), len(work.candidates), least)
    with_drafts(work.data, drafts, [one.case for one in chosen], out)


def _finish(work: _Work, begun: Mapping[str, Any]) -> None:
    """Write the table of drafts and the page, and sign the models of the last round as an ensemble."""
    from equireg.pipeline.sweep import remove_report
    from equireg.prediction.trained import read_trained
    from equireg.reporting.build import report

    rows = []
    for turn in range(1, work.how.rounds + 1):
        used = {case.name for case in PreparedSet(work.prepared(turn), verify=False).manifest.cases if case.drafted}
        drafts = work.out / f"round{turn - 1}" / "drafts"
        rows += [[turn, one.case, one.quality] for one in trusted(drafts, sorted(used), 1.0)]
    tables.write_table(work.out / DRAFTS, ("round", "case", "agreement"), rows)
    remove_report(work.out / "report")
    every = [run.root for turn in range(work.how.rounds + 1) for run in work.runs(turn)]
    report([work.data.root, *every], work.out / "report")
    runs = [run.root for run in work.runs(work.how.rounds)]
    post_process = read_trained(runs, "auto").post_process
    members = members_of(work.out, runs)
    ensemble.write_ensemble(work.out, members, to_plain(dict(begun)), post_process.as_dict(), source=work.data.root)
    (work.out / folders.UNFINISHED).unlink(missing_ok=True)
