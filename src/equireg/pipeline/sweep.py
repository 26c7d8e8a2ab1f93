"""`equireg sweep`: a grid of runs, each trained, predicted and evaluated, and one table of them all.

A run that is finished is never repeated, one that was stopped continues from its last checkpoint.
"""

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from equireg import disk, folders
from equireg.config import SweepOptions
from equireg.config.cluster import HERE, ClusterOptions
from equireg.config.parsing import from_plain, nested, options_from
from equireg.config.yaml_files import read_yaml
from equireg.errors import EquiregError, UsageError, printable
from equireg.folders import evaluation as evaluation_folder
from equireg.folders import tables
from equireg.folders.predictions import is_whole, read_facts
from equireg.folders.prepared import PreparedSet
from equireg.folders.run import RunFolder
from equireg.folders.run_facts import RUN_FACTS, RunFacts
from equireg.pipeline.claiming import RUNS, as_before, check_options, check_splits, claim
from equireg.pipeline.sweepfile import Run, SweepConfig, check_size, list_runs
from equireg.preparation.prepare import prepare
from equireg.preparation.staleness import tell_stale
from equireg.processes.importing import importing_lightning
from equireg.processes.workers import Workers

log = logging.getLogger("equireg")

_PREDICTIONS, _EVALUATIONS = "predictions", "evaluations"
_RUN_COLUMNS = ("method", "labelled_cases", "masked_cases", "unlabelled_cases", "seed", "repeat", "arm")
"""What the table shows of a run's training; runs of one ``arm`` differ in seed and repeat alone."""
RESULTS = "results.csv"


def sweep(grid: Path | str, out: Path | str, config: SweepOptions | None = None, **options: Any) -> list[Run]:
    """Do every run of a sweep file that is not done, then write ``results.csv`` and the report.

    Args:
        grid: the sweep file.
        out: folder of the runs, their predictions and evaluations, and the report; new or an earlier sweep's.
        config: the options; or give them by name.
        options: those of ``SweepOptions``, laid over ``config``.

    Returns:
        The runs.

    Raises:
        EquiregError: if the file does not fit; or at the end, if some runs failed.
    """
    file, out = Path(grid), Path(out)
    content = read_yaml(file)
    own = {field.name: content.pop(field.name) for field in fields(SweepOptions) if field.name in content}
    how = _how(file, own, config, options)
    if how.far:  # other machines find the files by their absolute paths
        file, out = file.absolute(), out.absolute()
    plan, runs = _read_plan(file, content)
    runs = as_before(out, runs)
    if how.dry_run:
        for run in runs:
            print(printable(f"{'done' if is_done(out, run) else 'to do':6} {run.name}"))
        return runs
    with disk.locked_folder(out):
        claim(plan, runs, out, file.parent)
        return do_sweep(plan, out, file.parent, how.jobs, how)


def _how(file: Path, own: Mapping[str, Any], config: SweepOptions | None, options: Mapping[str, Any]) -> SweepOptions:
    """Return the verb's options: those that the sweep file holds, under a config, under keywords."""
    try:
        from_plain(SweepOptions, own)
    except UsageError as error:
        raise UsageError(f"{file}: {error}") from error
    return options_from(SweepOptions, config, options if config is not None else {**own, **options})


def _read_plan(file: Path, content: dict[str, Any]) -> tuple[SweepConfig, list[Run]]:
    """Return the plan of a sweep file's content, and its runs; all errors name the file."""
    try:
        check_size(content)
        plan = from_plain(SweepConfig, content)
        runs = list_runs(plan, file.parent)
        check_options(runs)
        if plan.prepared is not None and folders.made_by(file.parent / plan.prepared) == "prepare":
            check_splits(plan, runs, file.parent / plan.prepared)
    except EquiregError as error:
        raise type(error)(f"{file}: {error}") from error
    return plan, runs


def do_sweep(config: SweepConfig, out: Path, base: Path, jobs: int = 0, spread: ClusterOptions = HERE) -> list[Run]:
    """Do what ``sweep`` does, for options that are at hand; relative paths count from ``base``.

    One process does it at a time in a folder.
    """
    with disk.locked_folder(out):
        return _do_runs(config, out, base, jobs, spread)


def _do_runs(config: SweepConfig, out: Path, base: Path, jobs: int, spread: ClusterOptions) -> list[Run]:
    runs = as_before(out, list_runs(config, base))
    prepared = _prepared(config, out, base, spread)
    check_splits(config, runs, prepared)
    todo = [run for run in runs if not is_done(out, run)]
    log.info("%d runs, %d of them to do", len(runs), len(todo))
    failed: dict[str, str] = {}
    tasks = {run.name: (config, run, prepared, out) for run in todo}
    jobs = jobs if spread.far else jobs or 1
    with Workers(jobs, spread.where(out), gpus=_gpus(todo), share_cores=True) as workers:
        for name, failure in workers.run(_do_run, tasks):
            if failure is None:
                log.info("done %s", name)
            else:
                failed[name] = str(failure).removeprefix(f"{name}: ")
                log.warning("failed %s: %s", name, failed[name])
    _write_results(out, prepared, [run for run in runs if is_done(out, run)])
    if failed:
        reasons = " ".join(f"{name}: {reason}" for name, reason in failed.items())
        error = EquiregError(f"{len(failed)} of {len(runs)} runs failed. {reasons}")
        workers.add_traces(error)
        raise error
    return runs


def is_done(out: Path, run: Run) -> bool:
    """Whether a run is trained, predicted and evaluated."""
    return all((out / _EVALUATIONS / name / folders.SIGNATURE).is_file() for name in run.judged().values())


def _prepared(config: SweepConfig, out: Path, base: Path, spread: ClusterOptions) -> Path:
    if config.prepared is not None:
        return base / config.prepared
    raw, prepared = base / str(config.raw), out / "prepared"
    if folders.made_by(prepared) == "prepare":
        tell_stale(raw, prepared, config.prepare)
    else:
        prepare(raw, prepared, **{"cluster": spread.cluster, "slurm": spread.slurm, **config.prepare})
    return prepared


def _gpus(runs: Sequence[Run]) -> float:
    """Return the GPUs that the largest run takes."""
    on_gpus = [run.options for run in runs if run.options.get("device") != "cpu"]
    return max((int(float(options.get("devices", 1))) for options in on_gpus), default=0)


def _do_run(config: SweepConfig, run: Run, prepared: Path, out: Path) -> None:
    """Train, predict and evaluate; each step that is finished already is left as it is."""
    from equireg.evaluation.evaluate import evaluate
    from equireg.prediction.predict import predict

    with importing_lightning():
        from equireg.training.train import train

    log.info("run %s", run.name)
    trained = RunFolder(out / RUNS / run.name)
    if not trained.is_finished():
        train(prepared, trained.root, resume=trained.has_config(), **nested(run.options))
    for split, name in run.judged().items():
        predictions, evaluation = out / _PREDICTIONS / name, out / _EVALUATIONS / name
        if not is_whole(predictions):  # `predict` continues what it left unfinished, and tries failed scans again
            predict(trained.root, prepared, predictions, split=split, **config.predict)
        if not folders.is_signed(evaluation):
            verify = bool(config.predict.get("verify", True))
            evaluate(
                predictions, prepared, evaluation, pictures=_pictured(prepared, predictions, verify), verify=verify
            )


def _pictured(prepared: Path, predictions: Path, verify: bool) -> list[str]:
    """Name the predicted case that a run keeps a picture of: with a mask, and the median in labelled voxels."""
    predicted = set(read_facts(predictions)["cases"])
    cases = PreparedSet(prepared, verify).manifest.cases
    masked = [case for case in cases if case.name in predicted and case.labelled]
    masked.sort(key=lambda case: (sum(case.class_voxels[1:]), case.name))
    return [masked[len(masked) // 2].name] if masked else []


def _write_results(out: Path, prepared: Path, done: Sequence[Run]) -> None:
    """Write one row a finished run and split, and the page."""
    from equireg.reporting.build import report

    rows = [
        {"run": run.name, "split": split, **_row(out / _EVALUATIONS / name)}
        for run in done
        for split, name in run.judged().items()
    ]
    if not rows:
        return
    columns = list(dict.fromkeys(column for row in rows for column in row))
    tables.write_table(out / RESULTS, columns, [[row.get(column) for column in columns] for row in rows])
    remove_report(out / "report")
    runs = [out / RUNS / run.name for run in done]
    evaluations = [out / _EVALUATIONS / name for run in done for name in run.judged().values()]
    report([prepared, *runs, *evaluations], out / "report")


def remove_report(report: Path) -> None:
    """Remove the page of an earlier call, which counts as one only where `report` made it.

    Raises:
        EquiregError: if something else lies there.
    """
    if folders.made_by(report) == "report":
        shutil.rmtree(report)
    else:
        disk.refuse_existing(report, "Move it away: the sweep's own page is written there.")


def _row(evaluation: Path) -> dict[str, Any]:
    """Return what the table says of one evaluation: its training, and the means over cases."""
    summary = evaluation_folder.read_summary(evaluation)
    trained = RunFacts.from_dict(evaluation_folder.read_signature(evaluation).get(RUN_FACTS) or {})
    facts = {key: getattr(trained, key) for key in _RUN_COLUMNS}
    regions = {
        f"{metric} {name}": region[metric]["mean"]
        for metric in ("dice", "equivariance_dice")
        for name, region in summary["regions"].items()
        if metric in region
    }
    return {**facts, "cases": summary["cases"], **summary["mean"], **regions}
