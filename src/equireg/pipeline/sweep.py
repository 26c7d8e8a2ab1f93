"""`equireg sweep`: a grid of runs, each trained, predicted and evaluated, and one table of them all.

A sweep file is YAML::

    prepared: data/prepared        # or `raw: FOLDER` with `prepare: {options of the verb}`
    split: test                    # cases that are predicted and scored
    train: {max_steps: 2000}       # options that all runs share
    predict: {test_time: flips}
    grid:                          # every combination is a run
      method: [supervised, equireg]
      sup_cases: [1, 5]
      seed: [42, 43, 44]
    runs:                          # further runs, each on its own; optional
      - {method: equireg, method.teacher: self, sup_cases: 5, seed: 42}

The option ``config``, of all runs or of the grid, names a file of options that the others are laid over.
Relative paths count from the sweep file. A run that is finished is never repeated, one that was stopped goes
on from its last checkpoint.
"""

import itertools
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from equireg import folders
from equireg.config.parsing import from_plain, merged, nested, read_yaml, to_plain
from equireg.data.prepare import prepare
from equireg.errors import EquiregError

log = logging.getLogger("equireg")

_RUNS, _PREDICTIONS, _EVALUATIONS = "runs", "predictions", "evaluations"
_SHORT = {"method": "", "config": "", "sup_cases": "sup", "unsup_cases": "unsup", "sup_cut": "supcut", "seed": "seed"}
"""How an option that differs between runs shows in their names."""


@dataclass(frozen=True)
class SweepConfig:
    """What a sweep file holds."""

    prepared: str | None = None
    """prepared folder"""
    raw: str | None = None
    """raw folder, which is prepared first"""
    prepare: dict[str, Any] = field(default_factory=dict)
    """options of `equireg prepare`"""
    split: str = "test"
    """cases that are predicted and scored"""
    train: dict[str, Any] = field(default_factory=dict)
    """options of `equireg train` that all runs share"""
    predict: dict[str, Any] = field(default_factory=dict)
    """options of `equireg predict`"""
    grid: dict[str, list[Any]] = field(default_factory=dict)
    """option to its values; every combination is a run"""
    runs: list[dict[str, Any]] = field(default_factory=list)
    """further runs"""

    def __post_init__(self) -> None:
        if (self.prepared is None) == (self.raw is None):
            raise EquiregError(f"a sweep has prepared: {self.prepared} and raw: {self.raw}; expected one of the two.")
        if not self.grid and not self.runs:
            raise EquiregError("a sweep has neither a grid nor runs; expected at least one run.")


@dataclass(frozen=True)
class Run:
    """One run of a sweep."""

    name: str
    options: Mapping[str, Any]
    """Options of `equireg train`."""


def sweep(grid: Path | str, out: Path | str, *, dry_run: bool = False, jobs: int = 1) -> list[Run]:
    """Do every run of a sweep file that is not done, then write ``results.csv`` and the report.

    Args:
        grid: the sweep file.
        out: folder of the runs, their predictions and evaluations, and the report; new or an earlier sweep's.
        dry_run: only list the runs and whether each is done.
        jobs: runs at once; the processor's threads are shared among them.

    Returns:
        The runs.

    Raises:
        EquiregError: if the file does not fit; or at the end, if some runs failed.
    """
    grid, out = Path(grid), Path(out)
    config = from_plain(SweepConfig, read_yaml(grid))
    runs = list_runs(config, grid.parent)
    if dry_run:
        for run in runs:
            print(f"{'done' if is_done(out, run) else 'to do':6} {run.name}")
        return runs
    _claim(config, runs, out)
    return do_sweep(config, out, grid.parent, jobs)


def do_sweep(config: SweepConfig, out: Path, base: Path, jobs: int = 1) -> list[Run]:
    """Do what ``sweep`` does, for options that are at hand; relative paths count from ``base``."""
    runs = list_runs(config, base)
    prepared = _prepared(config, out, base)
    todo = [run for run in runs if not is_done(out, run)]
    log.info("%d runs, %d of them to do", len(runs), len(todo))
    failed: dict[str, str] = {}
    if jobs == 1:
        for run in todo:
            log.info("run %s", run.name)
            _note(failed, run, _guarded_run(config, run, prepared, out))
    else:
        threads = max(1, (os.cpu_count() or 1) // jobs)
        with ProcessPoolExecutor(
            jobs, mp_context=get_context("spawn"), initializer=_share, initargs=(threads,)
        ) as pool:
            futures = {pool.submit(_guarded_run, config, run, prepared, out): run for run in todo}
            for future in as_completed(futures):
                _note(failed, futures[future], future.result())
    _write_results(out, [run for run in runs if is_done(out, run)])
    if failed:
        reasons = " ".join(f"{name}: {reason}" for name, reason in failed.items())
        raise EquiregError(f"{len(failed)} of {len(runs)} runs failed. {reasons}")
    return runs


def list_runs(config: SweepConfig, base: Path) -> list[Run]:
    """Return the runs of a sweep, named by what differs between them; config files lie relative to ``base``.

    Raises:
        EquiregError: if two runs are the same.
    """
    options = (
        [dict(zip(config.grid, values, strict=True)) for values in itertools.product(*config.grid.values())]
        if config.grid
        else []
    )
    options += config.runs
    runs = [Run(_name(run), _with_config({**config.train, **run}, base)) for run in options]
    names = [run.name for run in runs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise EquiregError(f"the sweep holds the run {twice[0]} twice; each must differ in an option.")
    return runs


def _with_config(options: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """Lay a run's options over those of the file that its option ``config`` names."""
    rest = {key: value for key, value in options.items() if key != "config"}
    file = options.get("config")
    return rest if file is None else merged(nested(read_yaml(base / str(file))), nested(rest))


def _name(options: Mapping[str, Any]) -> str:
    parts = []
    for key, value in options.items():
        word = _SHORT.get(key, key.split(".")[-1])
        shown = value.get("name", "") if isinstance(value, Mapping) else value
        shown = Path(str(value)).stem if key == "config" else shown
        parts.append(f"{word}{shown}")
    return "-".join(parts).replace("/", "_").replace(" ", "")


def is_done(out: Path, run: Run) -> bool:
    """Whether a run is trained, predicted and evaluated."""
    return (out / _EVALUATIONS / run.name / folders.SIGNATURE).is_file()


def _claim(config: SweepConfig, runs: Sequence[Run], out: Path) -> None:
    """Take the output folder if it is new or this sweep's own; sign it, so that later calls know it.

    Raises:
        EquiregError: if it holds something else, or results of other options than the sweep has now.
    """
    shared = {name: getattr(config, name) for name in ("prepared", "raw", "prepare", "split", "predict")}
    if folders.made_by(out) != "sweep":
        folders.refuse_existing(out)
    else:
        earlier = folders.read_signature(out, "sweep")["config"]
        changed = [name for name, value in to_plain(shared).items() if earlier.get(name) != value]
        changed += [run.name for run in runs if _differs(out / _RUNS / run.name, run)]
        if changed:
            raise EquiregError(
                f"{out}: holds results of other options ({', '.join(changed)}). Choose another --out, or remove the "
                "runs that changed."
            )
    with folders.disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    folders.sign(out, "sweep", to_plain(shared), runs=[run.name for run in runs])


def _differs(trained: Path, run: Run) -> bool:
    """Whether a run was begun with other options than the sweep has for it now."""
    if not (trained / "config.yaml").is_file():
        return False
    from equireg.checkpoint import config_from
    from equireg.training import differences

    return bool(differences(config_from(read_yaml(trained / "config.yaml")), config_from(nested(run.options))))


def _prepared(config: SweepConfig, out: Path, base: Path) -> Path:
    if config.prepared is not None:
        return base / config.prepared
    prepared = out / "prepared"
    if folders.made_by(prepared) != "prepare":
        prepare(base / str(config.raw), prepared, **config.prepare)
    return prepared


def _share(threads: int) -> None:
    """Give a process its share of the processor."""
    import torch

    torch.set_num_threads(threads)
    logging.getLogger("equireg").setLevel(logging.WARNING)


def _note(failed: dict[str, str], run: Run, reason: str | None) -> None:
    if reason is None:
        log.info("done %s", run.name)
    else:
        failed[run.name] = reason
        log.warning("failed %s: %s", run.name, reason)


def _guarded_run(config: SweepConfig, run: Run, prepared: Path, out: Path) -> str | None:
    """Do a run; return the reason where it fails, so that the others go on."""
    try:
        _do_run(config, run, prepared, out)
    except EquiregError as error:
        return str(error)
    return None


def _do_run(config: SweepConfig, run: Run, prepared: Path, out: Path) -> None:
    """Train, predict and evaluate; each step that is finished already is left as it is."""
    from equireg.evaluation import evaluate
    from equireg.prediction import predict
    from equireg.training import train

    trained, predictions, evaluation = (out / name / run.name for name in (_RUNS, _PREDICTIONS, _EVALUATIONS))
    signature = trained / folders.SIGNATURE
    if not (signature.is_file() and folders.read_json(signature).get("finished")):
        train(prepared, trained, resume=(trained / "config.yaml").is_file(), **nested(run.options))
    if not (predictions / folders.SIGNATURE).is_file():
        shutil.rmtree(predictions, ignore_errors=True)
        predict(trained, prepared, predictions, split=config.split, **config.predict)
    evaluate(predictions, prepared, evaluation)


def _write_results(out: Path, done: Sequence[Run]) -> None:
    """Write one row a finished run, and the page."""
    import pandas as pd

    from equireg.reporting import report

    rows = []
    for run in done:
        summary = folders.read_json(out / _EVALUATIONS / run.name / "summary.json")
        made_by = folders.read_json(out / _EVALUATIONS / run.name / folders.SIGNATURE)
        facts = {key: made_by["run"].get(key) for key in ("method", "labelled_cases", "unlabelled_cases", "seed")}
        regions = {f"dice {name}": region["dice"]["mean"] for name, region in summary["regions"].items()}
        rows.append({"run": run.name, **facts, "cases": summary["cases"], **summary["mean"], **regions})
    if not rows:
        return
    folders.write_atomic(out / "results.csv", pd.DataFrame(rows).to_csv(index=False))
    shutil.rmtree(out / "report", ignore_errors=True)
    sources = [out / name / run.name for run in done for name in (_RUNS, _EVALUATIONS)]
    report(sources, out / "report")
