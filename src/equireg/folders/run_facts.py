"""The facts of a run that later verbs want to know, and which runs are one arm."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from hashlib import sha256
from typing import Any

from equireg.config.parsing import to_plain
from equireg.folders.schema import strict

RUN_FACTS = "run"
"""Key of the facts in the signature of a run, of its predictions and of their evaluation."""

MACHINE_OPTIONS = (
    "device",
    "devices",
    "nodes",
    "workers",
    "log_every",
    "pictures_every",
    "logger",
    "verify",
    "record_paths",
    "folds_file",
    "planned_for",
)
"""Options that do not change what is computed: they may differ when a run is resumed, and within an arm."""
_DRAWS = ("seed", "repeat", "fold")
"""Options by which the runs of an arm differ."""
_AMOUNTS = ("sup_cut", "sup_cases", "unsup_cut", "unsup_cases")
"""Options that say how many cases are used; the facts hold the numbers that come of them."""


@dataclass(frozen=True)
class RunFacts:
    """What later verbs want to know of a run; copied as one mapping into predictions and evaluations.

    A fact that an older folder does not hold is None.
    """

    name: str
    """name of the run's folder"""
    method: str | None = None
    dataset: str | None = None
    seed: int | None = None
    repeat: int | None = None
    fold: str | None = None
    """which fold of how many validated, such as 0/5; None where the split of the prepared folder held"""
    spatial_dims: int | None = None
    labelled_cases: int | None = None
    """training cases used with their mask"""
    unlabelled_cases: int | None = None
    """training cases used without a mask"""
    masked_cases: int | None = None
    """training cases that have a mask, used or not"""
    arm: str | None = None
    """digest of the data set's name and of all options that change the result, less seed, repeat and fold; runs with
    the same digest are one arm"""
    series: str | None = None
    """the same less the numbers of cases; arms with the same digest differ in the amount of data alone"""
    options: Mapping[str, Any] = field(default_factory=dict)
    """the options behind both digests, by their dotted names"""
    post_process: str | None = None
    """what is done to predictions, in words; `none` where nothing is"""
    foreground_bias: str | None = None
    """what is added to the logits of the foreground, in words; `none` where nothing is"""
    step: int | None = None
    """optimiser steps of the checkpoint that predicted; None in the run's own signature"""
    split: str | None = None
    """split of the prepared folder that was predicted, where it was one"""
    learnt: Mapping[str, tuple[int, int, int]] | None = None
    """the training cases used with their mask, also by the run whose weights it started from (``learnt.py``); in the
    facts of runs and of members alone"""

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; ``from_dict`` reads them back."""
        return to_plain({name: value for name, value in vars(self).items() if name != "learnt" or value})

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> "RunFacts":
        """Read what ``as_dict`` wrote; unknown keys are left out, facts that are missing are None.

        Raises:
            SchemaError: if a fact is of another kind.
        """
        known = {fact.name for fact in fields(cls)}
        content = strict(Mapping[str, Any], content, "the facts of the run")
        found = {name: value for name, value in content.items() if name in known and value is not None}
        return strict(cls, {"name": "", **found}, "the facts of the run")


def run_facts(name: str, config: Mapping[str, Any], dataset: str, **cases: int | None) -> RunFacts:
    """Return the facts of a run.

    Args:
        name: of its folder.
        config: its options as plain nested values.
        dataset: name of the data set.
        cases: ``labelled_cases``, ``unlabelled_cases`` and ``masked_cases``.
    """
    left_out = {*MACHINE_OPTIONS, *_DRAWS, *_AMOUNTS}
    options = {key: value for key, value in _flat(config).items() if key.split(".")[0] not in left_out}
    if config.get("fold") is not None:
        options["folds"] = int(str(config["fold"]).split("/")[-1])
    amounts = [cases.get("labelled_cases"), cases.get("unlabelled_cases")]
    return RunFacts(
        name=name,
        method=options.get("method.name"),
        dataset=dataset,
        seed=config.get("seed"),
        repeat=config.get("repeat"),
        fold=config.get("fold"),
        spatial_dims=config.get("spatial_dims"),
        labelled_cases=cases.get("labelled_cases"),
        unlabelled_cases=cases.get("unlabelled_cases"),
        masked_cases=cases.get("masked_cases"),
        arm=digest_of_values([dataset, options, amounts]),
        series=digest_of_values([dataset, options]),
        options=options,
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested options by their dotted names."""
    result: dict[str, Any] = {}
    for key, value in values.items():
        result |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return result


def digest_of_values(content: Any) -> str:
    """Return 16 hexadecimal digits that are the same for equal plain values."""
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
