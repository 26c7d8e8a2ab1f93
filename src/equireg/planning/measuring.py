"""A few real steps on the device, and validation cases: their seconds and memory."""

import math
import statistics
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from equireg.batches.loading import BatchSource
from equireg.batches.patches import plan_patches, work_of
from equireg.batches.reading import CaseReader
from equireg.config import TrainConfig
from equireg.devices import autocast, choose_precision, is_out_of_memory, memory_errors
from equireg.errors import EquiregError
from equireg.folders.prepared import PreparedSet
from equireg.inference import InferencePlan
from equireg.inference.validation import regions_of, validate_case
from equireg.methods import Method, evaluating
from equireg.model import ModelFacts, new_method
from equireg.optimiser import make_optimizer
from equireg.processes.cores import threads_that_fit
from equireg.processes.memory import free_memory, peak_memory, return_freed_memory

WARM_UP, STEPS = 2, 5
"""Steps that do not count, and steps that do: the first ones ask for memory and choose algorithms."""
_LEAST_STEPS, _ENOUGH_S = 2, 0.3
"""Steps that count which suffice where they have taken so many seconds: long ones vary less, and a user waits."""
_MOST_S = 20.0
"""Seconds after which no further step is made; one that counts always is."""
_ONCE_S = 5.0
"""Seconds of a prediction after which it is not made a second time."""
_CASES = 8
"""Cases of each kind that the steps read: their cost does not depend on which."""
_MEMORY_PART = 0.8
"""Part of the free memory that training may take."""


class TooLargeError(EquiregError):
    """A step needs more memory than there is."""


@dataclass(frozen=True)
class Speed:
    """What a few steps have cost."""

    seconds_per_step: float
    """median, after warm-up"""
    start_seconds: float
    """from nothing to the end of the warm-up"""
    peak_bytes: int
    """highest memory: that of the process on a CPU, of the device on a GPU"""
    step_bytes: int
    """what of it the steps have added"""
    room_bytes: int
    """memory that the process may take there"""
    weights: int
    """trained weights"""
    checkpoint_bytes: int
    """a checkpoint with the optimiser's state"""


@dataclass(frozen=True)
class Validated:
    """What validation cases have cost."""

    case_s: float = 0.0
    """seconds of the case of median size"""
    peak_bytes: int = 0
    """highest memory, that of the largest case; as ``Speed.peak_bytes``"""


@dataclass(frozen=True)
class Stand:
    """On what steps are measured."""

    data: PreparedSet
    labelled: Sequence[str]
    """cases that are used with their masks"""
    unlabelled: Sequence[str]
    """cases that are used without; empty for methods that use none"""
    device: torch.device


def measure_step(config: TrainConfig, stand: Stand) -> Speed:
    """Make some steps of a run, in the middle of it, where all parts of its loss act; nothing is written.

    Raises:
        TooLargeError: if memory runs out, or more than 80 % of what is free is needed.
        EquiregError: if an option does not fit the data.
    """
    begin = time.perf_counter()
    device, ranks = stand.device, config.devices * config.nodes
    config = replace(config, batch_size=config.batch_size // ranks, devices=1, nodes=1)
    room = _room(device)
    patch = plan_patches(stand.data.manifest, config).patch_size
    threads = threads_that_fit(work_of(config, patch, bool(stand.unlabelled)))
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []), threads:
            before = _forget_peak(device)
            seconds, method = _steps(config, stand)
    except (RuntimeError, MemoryError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        raise TooLargeError("memory ran out") from error
    peak = _peak(device)
    if peak > room:
        raise TooLargeError(f"a step takes {peak / 2**30:.1f} GiB of the {room / 2**30:.1f} GiB that it may")
    counted = seconds[WARM_UP:] or seconds[-1:]
    weights = [weight.numel() for weight in method.parameters() if weight.requires_grad]
    # A tensor that has two names in the state is stored once.
    stored = {value.data_ptr(): value.numel() * value.element_size() for value in method.state_dict().values()}
    moments = 1 if config.optimizer.name == "sgd" else 2
    return Speed(
        seconds_per_step=statistics.median(counted),
        start_seconds=time.perf_counter() - begin - sum(counted),
        peak_bytes=peak,
        step_bytes=max(0, peak - before),
        room_bytes=room,
        weights=sum(weights),
        checkpoint_bytes=sum(stored.values()) + 4 * moments * sum(weights),
    )


def _steps(config: TrainConfig, stand: Stand) -> tuple[list[float], Method]:
    """Return the seconds of each step, and the method as it is after them."""
    device, manifest = stand.device, stand.data.manifest
    precision = choose_precision(config.precision, device)
    plan = plan_patches(manifest, config)
    method = new_method(config, ModelFacts.of(manifest, plan)).to(device).train()
    labelled, unlabelled = list(stand.labelled)[:_CASES], list(stand.unlabelled)[:_CASES]
    reader = CaseReader(stand.data, [*labelled, *unlabelled], device=device)
    source = BatchSource(reader, labelled, unlabelled, config, plan)
    weights = [weight for weight in method.parameters() if weight.requires_grad]
    optimizer = make_optimizer(config.optimizer, weights, fused=precision != "16")
    scaler = torch.amp.GradScaler(device.type, enabled=precision == "16")
    seconds: list[float] = []
    first = len(source) // 2
    for step in range(first, first + WARM_UP + STEPS):
        if len(seconds) > 1 and sum(seconds) > _MOST_S:
            break
        if len(seconds) >= WARM_UP + _LEAST_STEPS and sum(seconds[WARM_UP:]) > _ENOUGH_S:
            break
        begin = _now(device)
        batch = source[step].to(device)
        with autocast(precision, device):
            total = method.losses(batch, step)["total"]
        _update(total, weights, optimizer, scaler, config.optimizer.clip_norm)
        method.after_step(step)
        seconds.append(_now(device) - begin)
    return seconds, method


def _update(
    total: Tensor,
    weights: Sequence[Tensor],
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    clip_norm: float | None,
) -> None:
    optimizer.zero_grad()
    scaler.scale(total).backward()
    scaler.unscale_(optimizer)
    if clip_norm is not None:
        nn.utils.clip_grad_norm_(weights, clip_norm)
    scaler.step(optimizer)
    scaler.update()


def measure_validation(config: TrainConfig, data: PreparedSet, cases: Sequence[str], device: torch.device) -> Validated:
    """Predict and score validation cases: the largest one for its memory, that of median size for its time.

    Args:
        config: the options of the run.
        data: the prepared folder.
        cases: names of the validation cases.
        device: where they are predicted.

    Raises:
        EquiregError: if memory runs out.
    """
    by_size = sorted(cases, key=lambda name: (math.prod(data.by_name[name].shape), name))
    largest, median = by_size[-1], by_size[len(by_size) // 2]
    plan = plan_patches(data.manifest, config)
    facts = ModelFacts.of(data.manifest, plan)
    method = new_method(config, facts).to(device)
    reader = CaseReader(data, [largest, median], device=device)
    cut = InferencePlan(config.spatial_dims, plan.patch_size)
    precision = choose_precision(config.precision, device)
    regions = regions_of(facts.labels)
    return_freed_memory()  # that of steps which were tried
    _forget_peak(device)
    remedy = f"It was {largest}, the largest validation case. Prepare with a coarser --spacing, or free memory."

    def seconds_of(case: str, network: nn.Module) -> float:
        begin = _now(device)
        validate_case(case, reader, network, cut, regions, device)
        return _now(device) - begin

    with (
        memory_errors(remedy),
        evaluating(method.predictor) as network,
        autocast(precision, device),
        threads_that_fit(),
    ):
        case_s = seconds_of(largest, network)  # the first one chooses algorithms
        if largest != median or case_s < _ONCE_S:
            case_s = min(case_s, seconds_of(median, network))
    return Validated(case_s, _peak(device))


def _now(device: torch.device) -> float:
    """Return the time when all work that was queued is done, s."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _room(device: torch.device) -> int:
    """Return the bytes that training may hold on a device, what this process has already counted in."""
    if device.type == "cuda":
        return int(_MEMORY_PART * (torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device)))
    return int(_MEMORY_PART * free_memory()) + _status("VmRSS")


def _forget_peak(device: torch.device) -> int:
    """Begin to look for the highest memory; return what is held now, bytes."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_reserved(device)
    with suppress(OSError):  # on Linux alone
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return _status("VmRSS")


def _peak(device: torch.device) -> int:
    """Return the highest memory since ``_forget_peak``; that of the process' life where the system has no other."""
    if device.type == "cuda":
        return torch.cuda.max_memory_reserved(device)
    return _status("VmHWM") or peak_memory()


def _status(name: str) -> int:
    """Return a number of bytes from Linux' account of this process; 0 elsewhere."""
    with suppress(OSError, ValueError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith(f"{name}:"):
                return 1024 * int(line.split()[1])
    return 0
