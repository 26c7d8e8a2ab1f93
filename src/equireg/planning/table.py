"""A plan as text, as JSON and as a file of options."""

import datetime
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from equireg.config.parsing import merged, to_plain, to_yaml
from equireg.planning.fingerprint import Fingerprint
from equireg.planning.making import MOST_VALIDATIONS, PART_VALIDATED, Plan
from equireg.planning.measuring import Speed

_CHECKPOINTS = 2
"""Checkpoints that a run keeps: the best and the last."""


@dataclass(frozen=True)
class Cost:
    """What the planned run costs."""

    seconds: float
    """of the whole run"""
    validation_seconds: float
    """of one validation"""
    steps: int
    """that fit"""
    validations: int
    disk_bytes: int
    """of the run's folder"""
    peak_bytes: int
    """highest memory, of steps and validation"""


def cost_of(plan: Plan, validation_seconds: float, validation_bytes: int = 0) -> Cost:
    """Return the cost of a plan's run.

    Args:
        plan: with steps or minutes in its options.
        validation_seconds: of all validation cases once; 0 where there are none.
        validation_bytes: highest memory of one of them.
    """
    config, speed = plan.config, plan.speed
    peak = max(speed.peak_bytes, validation_bytes)
    disk = _CHECKPOINTS * speed.checkpoint_bytes + 2**20
    if config.max_minutes is None:
        steps = config.total_steps
        validations = -(-steps // (config.val_every or 500)) if validation_seconds else 0
        seconds = speed.start_seconds + steps * speed.seconds_per_step + validations * validation_seconds
        return Cost(seconds, validation_seconds, steps, validations, disk, peak)
    seconds = 60 * config.max_minutes
    affordable = int(PART_VALIDATED * seconds / validation_seconds) if validation_seconds else 0
    validations = min(MOST_VALIDATIONS, max(1, affordable)) if validation_seconds else 0
    left = max(0.0, seconds - speed.start_seconds - validations * validation_seconds)
    steps = int(left / speed.seconds_per_step)
    if config.max_steps is not None and steps > config.max_steps:
        steps = config.max_steps
        seconds = speed.start_seconds + steps * speed.seconds_per_step + validations * validation_seconds
    return Cost(seconds, validation_seconds, steps, validations, disk, peak)


def text_of(plan: Plan, cost: Cost, now: datetime.datetime) -> str:
    """Return what `equireg plan` prints.

    Args:
        plan: the plan.
        cost: of its run.
        now: the time at which the run would start.
    """
    rows = [
        (one.option, _value(one.value), "as above" if index and one.why == plan.decisions[index - 1].why else one.why)
        for index, one in enumerate(plan.decisions)
    ]
    return "\n".join(
        [
            *_facts(plan.fingerprint),
            "",
            *_table(("setting", "value", "why"), [("method.name", plan.config.method.name, ""), *rows]),
            "",
            *_table(("what", "", ""), _costs(plan, cost, now)),
            *(["", *(f"advice: {line}" for line in plan.advice)] if plan.advice else []),
        ]
    )


def lines_of(plan: Plan) -> list[str]:
    """Return what `equireg train` logs of the plan that it has made."""
    lines = []
    for why, ones in itertools.groupby(plan.decisions, key=lambda one: one.why):
        lines.append(f"planned {', '.join(f'{one.option} {_value(one.value)}' for one in ones)}: {why}")
    return lines + [f"advice: {line}" for line in plan.advice]


def json_of(plan: Plan, cost: Cost) -> dict[str, Any]:
    """Return the plan as plain values."""
    speed = plan.speed
    return {
        "settings": [to_plain(one) for one in plan.decisions],
        "options": to_plain(plan.config),
        "fingerprint": to_plain(plan.fingerprint),
        "device": plan.device.type,
        "seconds_per_step": speed.seconds_per_step,
        "steps_an_hour": round(3600 / speed.seconds_per_step),
        "start_seconds": speed.start_seconds,
        "room_bytes": speed.room_bytes,
        "weights": speed.weights,
        **to_plain(cost),
        "advice": list(plan.advice),
    }


def file_of(plan: Plan, given: Mapping[str, Any], digest: str) -> str:
    """Return plan.yaml: the options that were given and decided, which `equireg train --config` takes.

    Args:
        plan: the plan.
        given: nested options that the user gave, the method named.
        digest: of the prepared folder, for which alone the plan holds.
    """
    values = {**merged(plan.values(), given), "planned_for": digest}
    head = "# A plan for `equireg train PREPARED --config plan.yaml --out RUN`; made by `equireg plan`.\n"
    why = "".join(f"# {one.option}: {one.why}\n" for one in plan.decisions)
    return head + why + to_yaml(values)


def _facts(found: Fingerprint) -> list[str]:
    shape = " x ".join(f"{side:g}" for side in found.median_shape)
    spacing = " x ".join(f"{side:.3g}" for side in found.spacing_mm)
    rows = [
        (one.name, str(one.cases), f"{one.voxels:,.0f}", f"{one.volume_mm3:,.0f}", f"{100 * one.slices:.0f} %")
        for one in found.classes
    ]
    return [
        f"labelled: {_of_patients(found.labelled_cases, found.labelled_patients)}{_unlabelled(found)}; "
        f"channels {', '.join(found.channels)}",
        f"median case {shape} voxels ({found.axes}) of {spacing} mm, widest over finest {found.anisotropy:.1f}",
        "",
        *_table(("class", "cases", "voxels a case", "mm3 a case", "slices"), rows),
    ]


def _unlabelled(found: Fingerprint) -> str:
    """Say how many cases are used without their masks, and how many of them are the labelled ones once more."""
    if not found.unlabelled_cases:
        return ""
    words = f"; unlabelled: {_of_patients(found.unlabelled_cases, found.unlabelled_patients)}"
    if found.masked_unlabelled_cases == found.unlabelled_cases:
        return f"{words}, all of them labelled too (this part does not read their masks)"
    return f"{words}, {found.masked_unlabelled_cases} of them labelled too" if found.masked_unlabelled_cases else words


def _of_patients(cases: int, patients: int) -> str:
    return f"{cases} case{'' if cases == 1 else 's'} of {patients} patient{'' if patients == 1 else 's'}"


def _costs(plan: Plan, cost: Cost, now: datetime.datetime) -> list[tuple[str, str, str]]:
    speed = plan.speed
    end = now + datetime.timedelta(seconds=cost.seconds)
    found = [
        ("a step", f"{speed.seconds_per_step:.3g} s", f"measured on {plan.device.type}"),
        ("steps an hour", f"{3600 / speed.seconds_per_step:,.0f}", ""),
        ("steps", f"{cost.steps:,}", f"{_minutes(cost.seconds)} in all"),
        ("validations", f"{cost.validations}", f"{_minutes(cost.validation_seconds)} each"),
        ("memory", f"{cost.peak_bytes / 2**30:.1f} GiB", _memory(speed, cost)),
        ("finished", f"{end:%Y-%m-%d %H:%M}", "if it started now"),
        ("disk", f"{cost.disk_bytes / 2**20:,.0f} MiB", f"two checkpoints of {speed.weights:,} weights"),
    ]
    return found if cost.validations else [row for row in found if row[0] != "validations"]


def _memory(speed: Speed, cost: Cost) -> str:
    """Say what of the memory may be taken, and whether the largest validation case takes more than that."""
    room = f"of {speed.room_bytes / 2**30:.1f} GiB that it may take"
    if cost.peak_bytes <= max(speed.room_bytes, speed.peak_bytes):
        return room
    return f"{room}: the largest validation case needs more; prepare with a coarser --spacing, or free memory"


def _minutes(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 5400 else f"{seconds / 60:.3g} min"


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        inner = [_value(one) for one in value]
        return f"[{','.join(inner)}]"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows as columns of text, the last one as long as it is."""
    every = [list(head), *map(list, rows)]
    widths = [max(len(row[column]) for row in every) for column in range(len(head))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in every]
