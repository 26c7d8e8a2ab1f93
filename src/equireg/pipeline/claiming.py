"""What is asked before a sweep trains: whether its options, its prepared folder and its output folder fit."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from equireg import disk, folders
from equireg.config.parsing import merged, nested, to_plain, without
from equireg.errors import EquiregError, UsageError
from equireg.folders.folds import folds_digest, read_folds
from equireg.folders.origin import names_only
from equireg.folders.prepared import PreparedSet
from equireg.folders.run import RunFolder
from equireg.pipeline.sweepfile import Run, SweepConfig

RUNS = "runs"
_BARE = "bare_split"
"""Fact of the signature: the split whose predictions and evaluations are called as their runs."""


def check_options(runs: Sequence[Run]) -> None:
    """Refuse a run whose options `equireg train` would refuse, before the first one is trained.

    Raises:
        UsageError: names the run.
    """
    from equireg.model import config_from

    for run in runs:
        try:
            config_from(nested(run.options))
        except UsageError as error:
            raise UsageError(f"run {run.name}: {error}") from error


def check_splits(config: SweepConfig, runs: Sequence[Run], prepared: Path) -> None:
    """Refuse a prepared folder that has nothing to judge runs by in a split of the sweep, before one is trained.

    What a run of a fold trains and validates on is the fold's, and its test cases are the folder's.

    Raises:
        EquiregError: names the split.
    """
    cases = PreparedSet(prepared, verify=False).manifest.cases
    judged = [case.split for case in cases if case.labelled or config.predict.get("equivariance")]
    of_folder = config.splits if any(run.options.get("fold") is None for run in runs) else ("test",)
    for split in config.splits:
        if split in of_folder and split not in judged:
            counts = {name: judged.count(name) for name in ("val", "test", "train")}
            there = max(counts, key=lambda name: counts[name] > 0)  # the first that has some
            raise EquiregError(
                f"{prepared}: has no case with a mask in the split {split}, on which the sweep judges its runs; it has "
                f"{counts}. Name another split in the sweep file (`split: {there}`), or prepare another folder with "
                "--val_fraction and --test_fraction."
            )


def as_before(out: Path, runs: Sequence[Run]) -> list[Run]:
    """Return runs whose predictions and evaluations are called as they were when the sweep began."""
    if folders.made_by(out) != "sweep":
        return list(runs)
    signature = folders.read_signature(out, "sweep")
    split = signature["config"].get("split")  # all that signatures of earlier versions have
    splits = [split] if isinstance(split, str) else list(split or ())
    bare = signature.get(_BARE, splits[0] if len(splits) == 1 else None)
    return [replace(run, bare=bare) for run in runs]


def claim(config: SweepConfig, runs: Sequence[Run], out: Path, base: Path) -> None:
    """Take the output folder if it is new or this sweep's own; sign it, so that later calls know it.

    The signature holds names of folders, not their paths: a prepared folder is known by its digest. The split may
    change, as runs are trained without it.

    Raises:
        EquiregError: if it holds something else, or results of other options than the sweep has now.
    """
    shared = to_plain({name: getattr(config, name) for name in ("prepared", "raw", "prepare", "predict")})
    digest = None if config.prepared is None else PreparedSet(base / config.prepared, verify=False).digest
    if folders.made_by(out) != "sweep":
        disk.refuse_existing(out)
    else:
        signature = folders.read_signature(out, "sweep")
        earlier, now = names_only(signature["config"]), names_only(shared)
        changed = [name for name, value in now.items() if earlier.get(name) != value]
        changed += ["what the prepared folder holds"] if signature.get("prepared_digest", digest) != digest else []
        changed += [run.name for run in runs if differs(out / RUNS / run.name, run)]
        if changed:
            raise EquiregError(
                f"{out}: holds results of other options ({', '.join(changed)}). Choose another --out, or remove the "
                "runs that changed."
            )
    with disk.disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    facts = {"runs": [run.name for run in runs], "prepared_digest": digest, _BARE: runs[0].bare}
    folders.sign(out, "sweep", {**shared, "split": config.split}, **facts)


def differs(trained: Path, run: Run) -> bool:
    """Whether a run was begun with other options than the sweep has for it now."""
    earlier = RunFolder(trained)
    if not earlier.has_config():
        return False
    from equireg.model import config_from
    from equireg.training.resuming import differences, under_stored_name
    from equireg.warm_start import source_of

    earlier.check_config()
    stored, wanted = without(earlier.read_config(), earlier.signature().get("planned") or ()), nested(run.options)
    source = source_of(wanted, resume=True)
    wanted = wanted if source is None else under_stored_name(source.options(wanted), stored)
    if wanted.get("method", {}).get("name", "auto") == "auto":  # the run has what the data led to
        wanted = merged(wanted, {"method": {"name": stored["method"]["name"]}})
    return _has_other_folds(earlier, stored, wanted) or bool(
        differences(config_from(stored).settled(), config_from(wanted).settled())
    )


def _has_other_folds(trained: RunFolder, stored: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a run of a fold was begun with other folds than its sweep names now."""
    from equireg.training.folds import digest_named

    if wanted.get("folds_file") is None:
        return stored.get("folds_file") is not None
    return trained.folds.is_file() and digest_named(wanted["folds_file"]) != folds_digest(read_folds(trained.folds))
