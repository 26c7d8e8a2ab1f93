"""The atlas of a run: masks of its labelled scans on its unlabelled ones, where registration can be trusted."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from equireg.atlas.carrying import carry, key_of, onto_labelled, there_and_back
from equireg.disk import DiskError
from equireg.errors import EquiregError
from equireg.folders import atlas
from equireg.folders.prepared import PreparedSet
from equireg.processes.jobs import jobs_that_fit
from equireg.processes.ranks import Rank
from equireg.processes.workers import Workers

log = logging.getLogger("equireg")

MOST_LABELLED = 8
"""Labelled scans that are registered, the first of the run's order; each scan is compared with all of them."""
_MOST_CHECKS = 6
"""Scans by which is judged whether masks can be carried over at all."""
LEAST_LIKENESS = 0.5
"""Correlation about the mask below which a scan gets none."""
_SCANS_A_PROCESS = 20
"""Scans that are worth a process of their own, which takes seconds to start."""
_BYTES_A_VOXEL, _PROCESS_BYTES = 40, 300 * 2**20


@dataclass(frozen=True)
class Making:
    """Who carries masks over to whom, and where they are kept."""

    data: PreparedSet
    labelled: tuple[str, ...]
    """Names of the labelled scans that are registered."""
    folder: Path
    rank: Rank
    """Ranks begin at different scans and find what the others have made."""

    def run(self, function: Callable[..., Any], tasks: Mapping[str, tuple[str, ...]], what: str) -> dict[str, Any]:
        """Return what a function gives for each scan and the labelled ones given with it; bad scans are left out.

        Raises:
            DiskError: if the folder cannot be written.
        """
        names = list(tasks)
        first = len(names) * self.rank.index // self.rank.count
        arguments = {name: (self.data, name, tasks[name], self.folder) for name in names[first:] + names[:first]}
        found = {}
        with Workers(self._jobs(len(names))) as workers:
            for name, result in workers.run(function, arguments, what if self.rank.index == 0 else None):
                if isinstance(result, DiskError):
                    raise result
                if isinstance(result, EquiregError):
                    log.warning("atlas: %s gets no mask: %s", name, result)
                else:
                    found[name] = result
        return found

    def _jobs(self, count: int) -> int:
        most = max(math.prod(case.shape) for case in self.data.manifest.cases)
        each = _PROCESS_BYTES + most * (_BYTES_A_VOXEL + 4 * len(self.data.manifest.channels) * len(self.labelled))
        return max(1, jobs_that_fit(each, math.ceil(count / _SCANS_A_PROCESS)) // self.rank.count)


def with_atlas(
    data: PreparedSet, labelled: Sequence[str], unlabelled: Sequence[str], least: float, folder: Path, rank: Rank
) -> PreparedSet:
    """Return the prepared folder with masks on the unlabelled scans; as it is where masks cannot be carried over.

    Args:
        data: the prepared folder.
        labelled: names of the scans used with their masks, in the run's order.
        unlabelled: names of those used without.
        least: Dice that carried masks must have to be used, as far as can be known.
        folder: where masks are kept.
        rank: this process' place; the first one logs.

    Raises:
        EquiregError: if the folder cannot be written.
    """
    making = Making(data, tuple(labelled[:MOST_LABELLED]), folder, rank)
    targets = [name for name in unlabelled if name not in set(labelled)]
    if not targets:
        return data
    dice, how = _expected(making, targets)
    if dice < least:
        if rank.index == 0:
            log.warning(
                "atlas: not used, because %s have a Dice of %.2f; expected %.2f or more (--method.atlas_least). This "
                "anatomy lies too differently in each scan, or registration fails on it.", how, dice, least
            )  # fmt: skip
        return data
    found = making.run(carry, dict.fromkeys(targets, making.labelled), "register")
    good = {name for name, mask in found.items() if mask.likeness >= LEAST_LIKENESS}
    if 2 * len(good) < len(targets):
        if rank.index == 0:
            log.warning(
                "atlas: not used, because %d of %d scans are too unlike the labelled ones about the mask that "
                "registration gives them (correlation below %.2f).",
                len(targets) - len(good),
                len(targets),
                LEAST_LIKENESS,
            )
        return data
    if rank.index == 0:
        log.info(
            "atlas: %d of %d scans have a first mask, carried over from %d labelled; %s have a Dice of %.2f",
            len(good), len(targets), len(making.labelled), how, dice,
        )  # fmt: skip
        if len(good) < len(targets):
            log.info("atlas: the others are too unlike about the mask (correlation below %.2f)", LEAST_LIKENESS)
    files = {name: atlas.mask_file(folder, key_of(data, name, making.labelled)) for name in targets if name in good}
    return data.with_atlas(files)


def _expected(making: Making, targets: Sequence[str]) -> tuple[float, str]:
    """Return the Dice by which carried masks are judged, and of what it is.

    Where labelled scans are of two patients or more, masks are carried between them. With one patient nothing else is
    known: masks go to unlabelled scans and back.
    """
    patient = {name: making.data.by_name[name].patient for name in (*making.labelled, *targets)}
    others = {
        name: tuple(other for other in making.labelled if patient[other] != patient[name]) for name in making.labelled
    }
    if all(others.values()):
        between = dict(list(others.items())[:_MOST_CHECKS])
        found = making.run(onto_labelled, between, "compare")
        how = f"masks carried between {len(making.labelled)} labelled scans"
    else:
        foreign = [name for name in targets if patient[name] != patient[making.labelled[0]]] or targets
        found = making.run(there_and_back, dict.fromkeys(foreign[:_MOST_CHECKS], making.labelled), "compare")
        how = f"masks carried to {len(found)} scans and back"
    return float(np.mean(list(found.values()))) if found else 0.0, how
