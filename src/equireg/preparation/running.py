"""All cases of a data set, prepared by workers: what is done already stays, what is no use is refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

from equireg import disk
from equireg.errors import EquiregError
from equireg.folders.prepared import EXAMPLES, Split, case_folder, is_case, remove_case
from equireg.imaging.volume import Geometry
from equireg.layouts import RawCase, Refusal
from equireg.preparation import case as one_case
from equireg.preparation import checking, examples, recipes
from equireg.preparation.case import CasePlan
from equireg.processes.jobs import jobs_that_fit
from equireg.processes.workers import WorkerDiedError, Workers, guarded

BYTES_A_VOXEL, BYTES_A_CHANNEL = 20, 12
"""Memory that a case of one channel needs, and each further channel (docs/performance.md)."""
_PROCESS_BYTES = 200 * 2**20
"""Memory that a process needs without any case."""


@dataclass(frozen=True)
class Job:
    """What is to be prepared, and by which plan."""

    cases: Mapping[str, RawCase]
    plan: CasePlan
    splits: Mapping[str, Split]
    channels: tuple[str, ...]
    """Names of the channels."""

    def plan_of(self, name: str) -> CasePlan:
        """Return a case's own plan: which slices it keeps may depend on its split."""
        keep = recipes.of(self.plan.normalisation).keeps_empty_slices(self.splits[name])
        return replace(self.plan, keep_empty_slices=keep)

    def shown(self, names: Mapping[str, Any]) -> str | None:
        """Return the case whose steps the report shows: the first of ``names`` that trains with a mask."""
        fit = (name for name in sorted(names) if self.splits[name] == "train" and self.cases[name].label is not None)
        return next(fit, None)


def prepare_all(job: Job, out: Path, workers: Workers) -> tuple[list[dict[str, Any]], list[Refusal]]:
    """Prepare the cases that are not done yet; return the records of all, by name, and the refusals."""
    records: dict[str, dict[str, Any]] = {}
    tasks = {}
    shown = job.shown(job.cases)
    for name, case in job.cases.items():
        plan, folder = job.plan_of(name), case_folder(out, name)
        # Files are read for it, so only where it may spare reading them all.
        made_from = guarded(one_case.fingerprint, case, plan) if folder.is_dir() else None
        done = one_case.finished(folder, made_from) if isinstance(made_from, str) else None
        if done is None:
            tasks[name] = (case, plan, folder, out / EXAMPLES if name == shown else None, job.channels)
        else:
            # What the layout says may change while the files do not.
            records[name] = {**done, "patient": case.patient, "held_out": case.held_out}
    refused = []
    for name, result in workers.run(examples.prepare_shown, tasks, "prepare"):
        if isinstance(result, EquiregError):
            if isinstance(result, disk.DiskError):  # no case is to blame, and no other would fare better
                raise result
            died = isinstance(result, WorkerDiedError)
            refused.append(Refusal(name, str(result), checking.DIED if died else checking.REMEDY))
            remove_case(case_folder(out, name))
        else:
            records[name] = result
    return [records[name] for name in sorted(records)], refused


def choose_jobs(asked: int, geometries: Sequence[Geometry], channels: int, free_bytes: float | None = None) -> int:
    """Return how many cases are prepared at once: as asked, or for 0 as many as cores and memory allow.

    Args:
        asked: what the user wants; 0 leaves it to us.
        geometries: those of the cases.
        channels: channels of each.
        free_bytes: memory that is free; None to ask the system.
    """
    if asked or not geometries:
        return asked or 1
    largest = max(prod(geometry.shape) for geometry in geometries)
    case_bytes = (BYTES_A_VOXEL + BYTES_A_CHANNEL * (channels - 1)) * largest
    return jobs_that_fit(_PROCESS_BYTES + case_bytes, len(geometries), free_bytes)


def show_steps(job: Job, records: Mapping[str, Any], out: Path) -> None:
    """Write the steps of one case for the report, unless they are there from the same files and plan."""
    name = job.shown(records)
    case, plan = (None, job.plan) if name is None else (job.cases[name], job.plan_of(name))
    examples.renew(out / EXAMPLES, case, plan, job.channels)


def remove_others(folder: Path, names: set[str]) -> None:
    """Remove the arrays of cases that the raw folder no longer holds, and nothing that `prepare` did not make."""
    for path in folder.iterdir():
        if path.name not in names and is_case(path):
            remove_case(path)
