"""What a run's options leave open: planned from the data and the time, where no number of steps is given."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from equireg.batches.choice import choose_cases
from equireg.batches.patches import plan_patches
from equireg.config import TrainConfig
from equireg.folders.prepared import PreparedSet
from equireg.folders.run import RunFolder
from equireg.planning.fingerprint import fingerprint
from equireg.planning.making import is_planned, make_plan
from equireg.planning.rules import exchange, leaves_exchange_open
from equireg.planning.table import lines_of
from equireg.processes import launching
from equireg.processes.ranks import Rank

log = logging.getLogger("equireg")


@dataclass(frozen=True)
class Options:
    """The options of a run, and which of them were planned."""

    config: TrainConfig
    planned: tuple[str, ...] = ()
    """names with dots"""
    lines: tuple[str, ...] = ()
    """what the log says of the plan"""


def resumed(out: Path, config: TrainConfig) -> Options:
    """Return the options of a run that is resumed, of which its signature says what was planned."""
    return Options(config, tuple(RunFolder(out).signature().get("planned") or ()))


def decided(
    given: Mapping[str, Any], config: TrainConfig, data: PreparedSet, rank: Rank | None, began: float
) -> Options:
    """Return a run's options with what they leave open decided.

    A run whose steps are given, or all of whose settings are, keeps the defaults for the rest.

    Args:
        given: nested options that the user gave, the method named.
        config: the same with defaults.
        data: the prepared folder, with the splits that the run trains on.
        rank: this process' place in the run; None where its processes are still to be started. Ranks that others
            started would each measure on their own, and differ, so they plan nothing.
        began: reading of ``time.monotonic()`` from which ``max_minutes`` counts.

    Raises:
        EquiregError: if the time is too short, or memory does not suffice for any setting.
    """
    told = launching.told()
    if told:  # the process that started this one has decided
        return Options(config, tuple(told["planned"]), tuple(told["lines"]))
    if not is_planned(given):
        return _by_masks(config, data)
    if rank is not None and rank.count > 1:
        log.info("the processes of this run were started from outside, so nothing is planned; give a plan by --config")
        return _by_masks(config, data)
    log.info("planning: a few steps of each setting that may fit are measured")
    made = make_plan(given, data, began)
    planned = tuple(decision.option for decision in made.decisions)
    return Options(replace(made.config, folds_file=config.folds_file).settled(), planned, tuple(lines_of(made)))


def _by_masks(config: TrainConfig, data: PreparedSet) -> Options:
    """Return the options with that decided which follows from the labelled masks alone, without any measurement."""
    if not leaves_exchange_open(config.method):
        return Options(config)
    labelled, unlabelled = choose_cases(data.manifest.cases, config)
    found = exchange(fingerprint(data, labelled, unlabelled), plan_patches(data.manifest, config).patch_size)
    config = replace(config, method=replace(config.method, **{found.option.removeprefix("method."): found.value}))
    return Options(config, (found.option,), (f"{found.option} {found.value:g}: {found.why}",))
