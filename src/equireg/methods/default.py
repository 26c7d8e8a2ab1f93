"""Which method trains where none is named."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from equireg.batches.choice import choose_cases
from equireg.config import TrainConfig
from equireg.config.parsing import from_plain
from equireg.folders.prepared import CaseRecord

log = logging.getLogger("equireg")


def default_method(options: Mapping[str, Any], cases: Sequence[CaseRecord]) -> tuple[str, str]:
    """Return the method that trains where none is named, and why: equireg if a scan is used without its mask alone.

    Args:
        options: those of a run, nested.
        cases: of the prepared folder.

    Raises:
        EquiregError: if an option does not fit, or no labelled case remains.
    """
    config = from_plain(
        TrainConfig, {name: value for name, value in options.items() if name not in ("method", "network")}
    )
    labelled, unlabelled = choose_cases(cases, config)
    alone = set(unlabelled) - set(labelled) if config.unsup_ratio else set()
    if alone:
        scans = "1 training scan is" if len(alone) == 1 else f"{len(alone)} training scans are"
        return "equireg", f"{scans} used without a mask"
    return "supervised", "no training scan is used without a mask"


def named_method(options: Mapping[str, Any], *cases: Sequence[CaseRecord]) -> dict[str, Any]:
    """Return the nested options of runs with their method named; where it was not, the choice is logged.

    Args:
        options: those of each run.
        cases: of the prepared folder, as each run splits them; all get one method, EquiReg where any run can use it.

    Raises:
        EquiregError: if an option does not fit, or no labelled case remains.
    """
    method = dict(options.get("method", {}))
    if method.get("name", "auto") != "auto":
        return dict(options)
    found = [default_method(options, each) for each in cases]
    name, reason = next((one for one in found if one[0] == "equireg"), found[0])
    log.info("method: %s, because %s (--method chooses another)", name, reason)
    return {**options, "method": {**method, "name": name}}
