"""A plan: the options of a run, each with its reason, from the fingerprint, the rules and a few measured steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property
from typing import Any

import torch

from equireg.batches.choice import choose_cases, validation_cases
from equireg.batches.patches import plan_patches
from equireg.config import TrainConfig
from equireg.config.choosing import options_of
from equireg.config.parsing import merged
from equireg.devices import choose_device
from equireg.folders.prepared import PreparedSet
from equireg.methods import find
from equireg.model import config_from
from equireg.planning import rules
from equireg.planning.climbing import NEARLY, Climb, climb, measure_cheapest, predicted, shown, steps_within
from equireg.planning.fingerprint import Fingerprint, fingerprint
from equireg.planning.measuring import Speed, Stand, TooLargeError, Validated, measure_step, measure_validation
from equireg.planning.rules import Decision, Rung
from equireg.processes.memory import keep_freed_memory, return_freed_memory

DEFAULT_MINUTES = 60.0
"""Time that a run is planned for where neither steps nor minutes are given."""
PLANNED = ("spatial_dims", "patch_size", "batch_size", "unsup_ratio", "network.features", "foreground")
"""Options that a plan decides where they are not given."""
_MAY_MEAN_NOTHING = ("unsup_ratio", "network.features")
"""Those that the file of a plan lacks where the method reads no unlabelled scans, or the network's width is fixed."""
_LEAST_LOOKED_AT = 5
"""Validation cases that are looked at, at least: so many an estimate of quality rests on, too."""
MOST_VALIDATIONS = 10
"""Validations of a run with a budget of time, at most, where the options do not say how often."""
PART_VALIDATED = 0.1
"""Part of the time that they may take."""
_HOPE_OF_VOLUMES = 0.2
"""Volumes are measured when slices let expect this part of the steps: what a voxel costs in either differs by far."""


@dataclass(frozen=True)
class Plan:
    """What a run is going to do, and why."""

    config: TrainConfig
    decisions: tuple[Decision, ...]
    """what was decided, in the order in which it is shown"""
    fingerprint: Fingerprint
    speed: Speed
    advice: tuple[str, ...]
    device: torch.device
    validated: Validated | None = None
    """what validation cases have cost, where the plan depends on it"""

    def values(self) -> dict[str, Any]:
        """Return what was decided, as nested options."""
        return _nested(self.decisions)


@dataclass(frozen=True)
class Question:
    """What is to be planned."""

    given: Mapping[str, Any]
    """nested options that the user gave, the method named; they always win"""
    data: PreparedSet

    @cached_property
    def config(self) -> TrainConfig:
        """The options with defaults for what is not given."""
        return config_from(self.given)

    @cached_property
    def stand(self) -> Stand:
        """On what steps are measured."""
        labelled, unlabelled = choose_cases(self.data.manifest.cases, self.config)
        uses = find(self.config.method.name).uses_unlabelled and self.config.unsup_ratio > 0
        return Stand(self.data, labelled, unlabelled if uses else [], choose_device(self.config.device))

    @cached_property
    def fingerprint(self) -> Fingerprint:
        """That of the cases that the run trains on."""
        _, unlabelled = choose_cases(self.data.manifest.cases, self.config)
        return fingerprint(self.data, self.stand.labelled, unlabelled)

    def has(self, option: str) -> bool:
        """Whether the user gave an option; one that its method or network does not have counts as given."""
        group, _, name = option.rpartition(".")
        if group == "network":
            kinds = {field.name for field in fields(options_of("network", self.config.network.name))}
            return name not in kinds or name in self.given.get("network", {})
        return name in self.given

    def fixed(self) -> dict[str, Any]:
        """Return what is fixed in all rungs."""
        config, found = self.config, dict[str, Any]()
        if self.has("network.features"):
            found["features"] = getattr(config.network, "features", 32)
        if self.has("network.downsample"):
            found["downsample"] = self.config.network.downsample
        for name in ("batch_size", "unsup_ratio", "patch_size"):
            if self.has(name):
                found[name] = getattr(config, name)
        if not self.stand.unlabelled:
            found["unsup_ratio"] = 0
        return found

    def ladder(self, dims: int) -> list[Rung]:
        """Return the rungs for slices or volumes."""
        strides = getattr(self.config.network, "strides", None)
        rungs = rules.ladder(self.fingerprint, dims, self.fixed(), strides)
        if self.config.max_steps is not None and self.config.max_minutes is not None:
            rungs = [replace(rung, steps=min(rung.steps, self.config.max_steps)) for rung in rungs]
        return rungs

    def decided(self, rung: Rung, why: str, dims: Decision) -> list[Decision]:
        """Return the decisions that a rung means, without those that the user has taken."""
        found = [dims, Decision("patch_size", rung.patch_size, why), Decision("network.features", rung.features, why)]
        if rung.downsample is not None:
            found.append(Decision("network.downsample", rung.downsample, why))
        found.append(Decision("batch_size", rung.batch_size, why))
        if self.stand.unlabelled:
            found.append(Decision("unsup_ratio", rung.unsup_ratio, why))
        found.append(rules.foreground(self.fingerprint, rung.patch_size))
        if rules.leaves_exchange_open(self.config.method) and self.stand.unlabelled:
            found.append(rules.exchange(self.fingerprint, rung.patch_size))
        if len(rung.patch_size) == 3 and not self.has("network.strides"):
            found += rules.topology(self.fingerprint, rung.patch_size)
        return [one for one in found if not self.has(one.option)]

    def options(self, rung: Rung, dims: int) -> dict[str, Any]:
        """Return the nested options of a run on a rung."""
        return merged(_nested(self.decided(rung, "", Decision("spatial_dims", dims, ""))), self.given)

    def measured(self, rung: Rung, dims: int) -> Speed:
        """Make a few steps of a run on a rung."""
        return measure_step(config_from(self.options(rung, dims)), self.stand)


def is_planned(given: Mapping[str, Any]) -> bool:
    """Whether something is left to plan: a setting that is not given, in a run that is not told by its steps alone."""
    flat = {*given, *(f"network.{name}" for name in given.get("network", {}))}
    by_steps = given.get("max_steps") is not None and given.get("max_minutes") is None
    meant = _MAY_MEAN_NOTHING if given.get("planned_for") else ()
    return not by_steps and any(option not in flat for option in PLANNED if option not in meant)


def make_plan(given: Mapping[str, Any], data: PreparedSet, began: float | None = None) -> Plan:
    """Plan a run for the minutes that are given, or 60: what is given stays, the rest is decided and measured.

    Args:
        given: nested options of a run, the method named.
        data: the prepared folder, with the splits that the run trains on.
        began: reading of ``time.monotonic()`` from which the minutes count; by default that of this call.

    Raises:
        EquiregError: if an option does not fit the data, memory does not suffice, or the time is too short.
    """
    keep_freed_memory()
    minutes, steps = given.get("max_minutes"), given.get("max_steps")
    unlimited = minutes is None and steps is None
    if unlimited:
        given = {**given, "max_minutes": DEFAULT_MINUTES}
    question = Question(given, data)
    if minutes is None and not unlimited:
        dims, found = _fitted(question)
    else:
        dims, found = _climbed(question, 60 * float(given["max_minutes"]), began)
    decisions = question.decided(found.rung, _why(found), dims)
    if unlimited:
        why = "neither --max_minutes nor --max_steps is given"
        decisions.insert(0, Decision("max_minutes", DEFAULT_MINUTES, why))
    config = config_from(merged(_nested(decisions), given))
    fewer, validated = _looked_at(question, config)
    if fewer is not None:
        decisions.append(fewer)
        config = replace(config, val_cases=fewer.value)
    patch = plan_patches(data.manifest, config).patch_size
    advice = rules.advice(question.fingerprint, config.spatial_dims, patch)
    device = question.stand.device
    return Plan(config, tuple(decisions), question.fingerprint, found.speed, tuple(advice), device, validated)


def _looked_at(question: Question, config: TrainConfig) -> tuple[Decision | None, Validated | None]:
    """Return how many validation cases are looked at where there is no time for all, and what they have cost."""
    names = [case.name for case in validation_cases(question.data.manifest.cases, None)]
    asked = {"val_cases", "val_every"} & question.given.keys()
    if asked or config.max_minutes is None or len(names) <= _LEAST_LOOKED_AT:
        return None, None
    validated = measure_validation(config, question.data, names, question.stand.device)
    case_s = validated.case_s
    affordable = int(PART_VALIDATED * 60 * config.max_minutes / case_s)
    if affordable >= len(names):
        return None, validated
    why = f"{case_s:.2g} s each; all {len(names)} would take {len(names) * case_s / (0.6 * config.max_minutes):.0f} %"
    count = max(_LEAST_LOOKED_AT, affordable)
    return Decision("val_cases", count, f"{why} of the time, and a tenth is for validation"), validated


def _climbed(question: Question, seconds: float, began: float | None) -> tuple[Decision, Climb]:
    """Choose slices or volumes, and the rung."""
    measured = cache(question.measured)

    def up(dims: int) -> Climb:
        return climb(question.ladder(dims), lambda rung: measured(rung, dims), seconds, began)

    given = question.given
    if "spatial_dims" in given or given.get("patch_size") is not None:
        dims = question.config.spatial_dims
        return Decision("spatial_dims", dims, "as --patch_size is given"), up(dims)
    rule = rules.may_be_volumes(question.fingerprint)
    slices = up(2)
    if rule.value == 2:
        return rule, slices
    cheapest = question.ladder(3)[-1]
    left = predicted(cheapest, slices.rung, slices.speed, seconds)
    against = f"{shown(cheapest)}) would leave about {left:,.0f} steps of {cheapest.steps:,}"
    if left >= _HOPE_OF_VOLUMES * cheapest.steps:
        try:
            left = steps_within(measured(cheapest, 3), seconds)
        except TooLargeError as error:
            left, against = 0, f"{shown(cheapest)}): {error}"
        else:
            against = f"{shown(cheapest)}) leave {left:,} steps of {cheapest.steps:,}"
        if left >= NEARLY * cheapest.steps:
            return rule, up(3)
    return replace(rule, value=2, why=f"{rule.why}; but volumes ({against}"), slices


def _fitted(question: Question) -> tuple[Decision, Climb]:
    """Keep the settings that a run of so many steps has by default; where they need too much memory, smaller ones."""
    config = question.config
    dims, why = config.spatial_dims, "the default where --max_steps is given"
    patch = plan_patches(question.data.manifest, config).patch_size
    features = getattr(config.network, "features", 32)
    ratio = config.unsup_ratio if question.stand.unlabelled else 0
    first = Rung(features, config.batch_size, ratio, patch, 0, config.network.downsample)
    rungs = [first, *(rung for rung in question.ladder(dims) if rung.memory < first.memory)]
    for rung in rungs[:-1]:
        try:
            return Decision("spatial_dims", dims, why), Climb(rung, question.measured(rung, dims), why)
        except TooLargeError as error:
            why = f"{shown(rung)}: {error}"
            return_freed_memory()
    last = measure_cheapest(rungs[-1], lambda rung: question.measured(rung, dims))
    return Decision("spatial_dims", dims, why), Climb(rungs[-1], last, why)


def _why(found: Climb) -> str:
    speed = f"{found.speed.seconds_per_step:.3g} s a step"
    return f"{speed}; {found.refused}" if found.refused else f"{speed}; the largest setting"


def _nested(decisions: Sequence[Decision]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for one in decisions:
        group, _, name = one.option.rpartition(".")
        place = result.setdefault(group, {}) if group else result
        place[name] = one.value
    return result
