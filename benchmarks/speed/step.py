"""Time of a training step by part, beside its floor: the networks alone on tensors that are there already.

    python benchmarks/speed/step.py --out RESULT.json [--method equireg] [--ratio 3] [--shape 32,160,160]

A run of `equireg train` on random scans. After each of its steps the same networks are timed alone: forward and
backward of the student on as many samples, forward of the teacher on as many as it sees; the two take turns, so a busy
machine slows both alike. What the step takes beyond that, as a part of it, is the overhead. A second, supervised, run
gives the unit in which the issue of EquiReg's cost is put: how many supervised steps an EquiReg step is.

The parts are timed inside the run: data (cutting patches), transforms (both views, mixing, warped predictions), losses,
teacher, student, backward, optimiser (with clipping), teacher's average, other work of the method; the rest is logging
and the loop itself.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from lightning.pytorch.callbacks import Callback
from machine import facts, write
from synthetic import prepared_set
from torch import nn

import equireg.methods.base
import equireg.methods.equireg
import equireg.training.loop
import equireg.training.train
from equireg.batches.loading import BatchSource
from equireg.devices import autocast, choose_device
from equireg.transforms import intensity, mixing

WARM_UP = 5
"""First steps that do not count."""


class Clock:
    """Seconds of each part of the steps, with the time of parts inside a part taken out of it."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = {}
        self._inner: list[float] = []

    def now(self) -> float:
        """Return the time, when all work that was queued is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count the block as a part."""
        begin = self.now()
        self._inner.append(0.0)
        try:
            yield
        finally:
            spent = self.now() - begin
            inside = self._inner.pop()
            self.seconds[name] = self.seconds.get(name, 0.0) + spent - inside
            if self._inner:
                self._inner[-1] += spent

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function, counted as a part."""

        @wraps(function)
        def counted(*args: Any, **kwargs: Any) -> Any:
            with self.part(name):
                return function(*args, **kwargs)

        return counted


def watched(clock: Clock) -> ExitStack:
    """Return a context in which the parts of a step are timed where they are called."""
    stack = ExitStack()
    places: list[tuple[str, Any, str]] = [
        ("data", BatchSource, "__getitem__"),
        ("transforms", equireg.methods.base, "labelled_view"),
        ("transforms", equireg.methods.base, "geometric_view"),
        ("transforms", equireg.methods.equireg, "two_views"),
        ("transforms", equireg.methods.equireg, "warp_probabilities"),
        ("transforms", mixing, "sample"),
        ("transforms", mixing, "apply"),
        ("transforms", intensity, "sample"),
        ("transforms", intensity, "apply"),
        ("losses", equireg.methods.base, "cross_entropy"),
        ("losses", equireg.methods.base, "soft_dice_loss"),
        ("losses", equireg.methods.equireg, "cross_entropy"),
        ("losses", equireg.methods.equireg, "soft_dice_loss"),
        ("average", equireg.methods.equireg, "update_ema"),
        ("other", equireg.training.loop.LoopModule, "training_step"),
        ("optimiser", torch.optim.AdamW, "step"),
        ("optimiser", nn.utils, "clip_grad_norm_"),
        ("backward", torch.Tensor, "backward"),
    ]
    for part, owner, name in places:
        stack.enter_context(mock.patch.object(owner, name, clock.timed(part, getattr(owner, name))))
    return stack


class Floor(Callback):
    """After each step, the networks alone on as many samples; keeps the seconds of both."""

    def __init__(self, clock: Clock, precision: str) -> None:
        self.clock, self.precision = clock, precision
        self.step: list[float] = []
        self.floor: list[float] = []
        self.parts: list[dict[str, float]] = []
        self._begin = 0.0
        self._seen: dict[str, tuple[int, ...]] = {}

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Watch the networks."""
        method = pl_module.method
        method.student.forward = self._watch("student", method.student.forward)
        if getattr(method, "teacher", None) is not None:
            method.teacher.forward = self._watch("teacher", method.teacher.forward)
        self._begin = self.clock.now()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """End the step's time, and take the floor's."""
        end = self.clock.now()
        self.step.append(end - self._begin)
        self.parts.append(dict(self.clock.seconds))
        self.floor.append(self._networks(pl_module.method))
        self.clock.seconds.clear()
        self._begin = self.clock.now()

    def _watch(self, name: str, forward: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(forward)
        def watching(image: torch.Tensor) -> torch.Tensor:
            self._seen[name] = tuple(image.shape)
            with self.clock.part(name):
                return forward(image)

        return watching

    def _networks(self, method: Any) -> float:
        """Return the seconds of both networks on tensors that are there already; gradients are thrown away."""
        device = self.clock.device
        images = {name: torch.randn(shape, device=device) for name, shape in self._seen.items()}
        begin = self.clock.now()
        with autocast(self.precision, device):
            if "teacher" in images:
                with torch.no_grad():
                    method.teacher(images["teacher"])
            logits = method.student(images["student"])
        target = torch.ones_like(logits)
        weights = [weight for weight in method.student.parameters() if weight.requires_grad]
        torch.autograd.grad(logits, weights, target)
        return self.clock.now() - begin


def measured(prepared: Path, out: Path, options: dict[str, Any], precision: str) -> dict[str, Any]:
    """Train for some steps and return the medians of the step, its floor and its parts, in milliseconds."""
    clock = Clock(choose_device(options["device"]))
    floor = Floor(clock, precision)
    make = equireg.training.loop.make_trainer

    def with_floor(*args: Any) -> Any:
        trainer = make(*args)
        trainer.callbacks.append(floor)  # pyright: ignore[reportAttributeAccessIssue]
        return trainer

    with watched(clock), mock.patch.object(equireg.training.train, "make_trainer", with_floor):
        equireg.training.train.train(prepared, out, precision=precision, **options)
    steps, floors, parts = floor.step[WARM_UP:], floor.floor[WARM_UP:], floor.parts[WARM_UP:]
    names = {name for part in parts for name in part}
    medians = {name: statistics.median(part.get(name, 0.0) for part in parts) for name in sorted(names)}
    ratio = statistics.median(step / least for step, least in zip(steps, floors, strict=True))
    step, least = statistics.median(steps), statistics.median(floors)
    return {
        "step_ms": round(1000 * step, 2),
        "floor_ms": round(1000 * least, 2),
        "step_over_floor": round(ratio, 3),
        "parts_ms": {name: round(1000 * value, 2) for name, value in medians.items()},
        "rest_ms": round(1000 * (step - sum(medians.values())), 2),
    }


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--method", default="equireg")
    parser.add_argument("--ratio", type=int, default=3, help="unlabelled samples for each labelled one")
    parser.add_argument("--passes", type=int, default=1, help="of EquiReg's teacher")
    parser.add_argument("--batch_size", type=int, default=2)
    parser.add_argument("--shape", default="24,160,160", help="voxels of a scan, D,H,W")
    parser.add_argument("--dims", type=int, default=2)
    parser.add_argument("--network", default="unet")
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="32")
    options = parser.parse_args(arguments)
    training: dict[str, Any] = {
        "spatial_dims": options.dims,
        "batch_size": options.batch_size,
        "unsup_ratio": options.ratio,
        "device": options.device,
        "max_steps": options.steps + WARM_UP,
        "val_every": options.steps + WARM_UP,
        "pictures_every": 0,
        "network.name": options.network,
    }
    if options.network == "unet":
        training["network.features"] = options.features
    methods: dict[str, Any] = {"supervised": {"name": "supervised"}, options.method: {"name": options.method}}
    if options.method == "equireg":
        methods["equireg"]["passes"] = options.passes
    shape = [int(part) for part in options.shape.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepared_set(Path(folder) / "prepared", 8, shape)
        results = {
            name: measured(prepared, Path(folder) / name, {**training, "method": method}, options.precision)
            for name, method in methods.items()
        }
    ours, unit = results[options.method]["step_ms"], results["supervised"]["step_ms"]
    write(options.out, {**facts(), "settings": training, **results, "in_supervised_steps": round(ours / unit, 3)})


if __name__ == "__main__":
    main(sys.argv[1:])
