"""`equireg plan`: what training would do with a prepared folder and why, measured."""

import datetime
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equireg import disk
from equireg.batches.choice import validation_cases
from equireg.config import PlanConfig, TrainConfig
from equireg.config.parsing import from_plain, with_config
from equireg.devices import single_precision
from equireg.errors import UsageError
from equireg.folders.prepared import PreparedSet
from equireg.methods.default import named_method
from equireg.planning import table
from equireg.planning.making import Plan, make_plan
from equireg.planning.measuring import Validated, measure_validation
from equireg.warm_start import source_of

PLAN = "plan.yaml"


@dataclass(frozen=True)
class Planned:
    """What `equireg plan` returns."""

    plan: Plan
    cost: table.Cost
    file: Path
    """plan.yaml"""
    json: bool
    """whether the command line prints JSON"""

    def __str__(self) -> str:
        now = datetime.datetime.now()
        return f"{table.text_of(self.plan, self.cost, now)}\n\nequireg train PREPARED --config {self.file} --out RUN"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**table.json_of(self.plan, self.cost), "file": str(self.file)}


@single_precision()
def plan(
    prepared: Path | str, config: PlanConfig | None = None, *, began: float | None = None, **options: Any
) -> Planned:
    """Decide the options of a run from the data, measure some of its steps, and write ``plan.yaml``.

    Args:
        prepared: output of `equireg prepare`.
        config: the options; or give them by name.
        began: reading of ``time.monotonic()`` from which ``max_minutes`` counts; by default that of this call.
        options: those of ``PlanConfig``: all of `equireg train`, which stay as they are given, and ``out``.

    Returns:
        The plan, what it costs, and where its file lies.

    Raises:
        EquiregError: if an option does not fit the data, memory does not suffice, or the time is too short.
    """
    given = with_config(PlanConfig, config, options)
    own = from_plain(PlanConfig, given)
    if own.fold is not None:
        raise UsageError(f"--fold is {own.fold}; a plan is for all folds. Leave it out here, and give it to train.")
    given = {name: value for name, value in given.items() if name in TrainConfig.__dataclass_fields__}
    data = PreparedSet(prepared, verify=own.verify)
    check_folder(given, data)
    file = data.root / PLAN if own.out is None else Path(own.out)
    if not file.parent.is_dir():
        raise UsageError(f"{file}: there is no folder {file.parent} to write it to. Make it, or choose another --out.")
    if not os.access(file.parent, os.W_OK):
        raise UsageError(f"{file}: its folder cannot be written. Change its permissions, or choose another --out.")
    source = source_of(given, False)
    named = named_method(given if source is None else source.options(given), data.manifest.cases)
    made = make_plan(named, data, began)
    validating = [case.name for case in validation_cases(data.manifest.cases, made.config.val_cases)]
    validated = made.validated or Validated()
    if made.validated is None and validating:
        validated = measure_validation(made.config, data, validating, made.device)
    cost = table.cost_of(made, len(validating) * validated.case_s, validated.peak_bytes)
    with disk.disk_errors(file):
        init = {} if source is None else {"init": given["init"]}  # as it was given: train reads it again
        disk.write_atomic(file, table.file_of(made, {**named, **init}, data.digest))
    return Planned(made, cost, file, own.json)


def check_folder(given: Mapping[str, Any], data: PreparedSet) -> None:
    """Refuse a plan that was made for another prepared folder.

    Raises:
        UsageError: names the folder.
    """
    digest = given.get("planned_for")
    if digest is not None and digest != data.digest:
        raise UsageError(
            f"the plan was made for another prepared folder (digest {str(digest)[:8]}), or for {data.root} before it "
            f"was prepared again ({data.digest[:8]} now). Run `equireg plan {data.root}` and give its file."
        )
