"""Samples a second of the transforms, on one core, beside other libraries that do the same work.

    python benchmarks/speed/transforms.py --out RESULT.json [--rivals PYTHON] [--imgaug PYTHON] [--device cuda]

First what a step asks of the unlabelled slices: weak image, strong image and the teacher's prediction warped alike,
224 x 224 with 4 channels and 4 classes, through the functions that training uses; beside it the thesis' path by imgaug.
Then rotation, scale and elastic deformation of an image (linear) and its label (nearest neighbour), beside
batchgeneratorsv2, MONAI and TorchIO. The others run in their own environments (rivals.txt says how to make them), in
turns with ours, and each side measures its own processor time.
"""

import argparse
import json
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from machine import facts, in_turns, write
from torch import Generator, Tensor

from equireg.config import IntensityConfig, SpatialConfig, ViewsConfig
from equireg.prediction.equivariance import TRANSFORM
from equireg.processes.memory import keep_freed_memory
from equireg.transforms import sampling, spatial
from equireg.transforms.views import two_views

THESIS = ViewsConfig(
    weak=SpatialConfig(probability=1.0, translation=0.1),
    strong=TRANSFORM,
    intensity=IntensityConfig(probability=0.0),
)
"""The views of configs/brats2019/equireg-thesis.yaml."""
SAME = SpatialConfig(probability=1.0, flips=False, rotation_deg=20.0, scale=1.25, elastic_amplitude=0.015)
"""What the other libraries do too."""
SIZES = {"2D": (4, 224, 224), "3D, 1 channel": (1, 64, 96, 96), "3D, 4 channels": (4, 64, 96, 96)}
BATCH = {3: 6, 4: 2}
"""Samples of a batch, by the dimensions of a sample's array."""


class Rival:
    """Another library's tasks, in a process of its own."""

    def __init__(self, python: str, sizes: dict[str, tuple[int, ...]]) -> None:
        script = Path(__file__).with_name("transforms_rivals.py")
        self._process = subprocess.Popen(
            [python, str(script), json.dumps(sizes)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        about = self._answer()
        self.tasks: list[str] = about["tasks"]
        self.versions: dict[str, str] = about["versions"]

    def seconds(self, task: str) -> float:
        """Return the processor seconds of one sample."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{task}\n")
        self._process.stdin.flush()
        return float(self._answer())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("answer "):
                return json.loads(line.removeprefix("answer "))
        raise RuntimeError(f"the other libraries' process ended with status {self._process.wait()}; its error is above")


def unlabelled_step(config: ViewsConfig, device: str, batch: int, size: tuple[int, ...]) -> Callable[[], object]:
    """Return the work on unlabelled slices in a step of ``equireg.methods.equireg``, networks left out."""
    channels, *shape = size
    generator = Generator().manual_seed(0)
    image = torch.randn(batch, channels, *shape, generator=generator)
    probs = torch.randn(batch, 4, *shape, generator=generator).softmax(dim=1).to(device)
    given = (image.to(device), torch.ones(batch, 1, *shape, device=device), image.amin(dim=(2, 3)).to(device))

    @torch.no_grad()
    def work() -> tuple[Tensor, Tensor, Tensor]:
        views = two_views(*given, torch.ones(batch, 2), config, generator, (1,))
        target, seen = spatial.warp_probabilities(probs, views.transform)
        return target, seen * views.strong_valid, views.strong_tissue

    return work


def same_work(size: tuple[int, ...]) -> Callable[[], object]:
    """Return our share of the comparison: image and label through one transform, as ``labelled_view`` does it."""
    batch = BATCH[len(size)]
    generator = Generator().manual_seed(0)
    image = torch.randn(batch, *size, generator=generator)
    label = torch.randint(0, 4, (batch, 1, *size[1:]), generator=generator, dtype=torch.uint8)
    fill = image.amin(dim=tuple(range(2, image.ndim)))

    @torch.no_grad()
    def work() -> tuple[Tensor, Tensor]:
        params = sampling.sample(SAME, batch, size[1:], [1.0] * (len(size) - 1), generator)
        return spatial.apply(image, params, fill=fill)[0], spatial.apply(label, params, "nearest")[0]

    return work


def processor_seconds(work: Callable[[], object], samples: int) -> float:
    """Return the processor seconds of one sample."""
    begin = time.process_time()
    work()
    return (time.process_time() - begin) / samples


def compare(
    ours: dict[str, tuple[Callable[[], object], int]], rival: Rival | None, tasks: list[str], rounds: int
) -> dict[str, float]:
    """Return samples a second, by the median, of our tasks (work and samples of a call) and a rival's, in turns."""
    seconds: dict[str, list[float]] = {}
    for turn in range(rounds + 2):
        found = {f"equireg {name}": processor_seconds(*task) for name, task in ours.items()}
        if rival is not None:
            found |= {task: rival.seconds(task) for task in tasks}
        if turn >= 2:  # the first two warm up
            for name, value in found.items():
                seconds.setdefault(name, []).append(value)
    return {name: round(1 / statistics.median(values), 1) for name, values in seconds.items()}


def main() -> None:
    """Measure, and write a file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rivals", help="Python that has batchgeneratorsv2, MONAI and TorchIO")
    parser.add_argument("--imgaug", help="Python that has imgaug 0.4.0")
    parser.add_argument("--device", default="cpu", help="cuda: our own step there, too")
    parser.add_argument("--batch", type=int, default=96, help="slices of a batch on that device")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--tiny", action="store_true", help="one round, 16 voxels along each axis: to try the script")
    args = parser.parse_args()
    rounds = 1 if args.tiny else 5 if args.quick else 40
    torch.set_num_threads(1)
    keep_freed_memory()  # as training does
    sizes = {name: (size[0], *(16 for _ in size[1:])) if args.tiny else size for name, size in SIZES.items()}
    options = {"default": ViewsConfig(), "thesis": THESIS}
    versions: dict[str, str] = {}

    imgaug = Rival(args.imgaug, {}) if args.imgaug else None
    batch = BATCH[3]
    ours = {name: (unlabelled_step(config, "cpu", batch, sizes["2D"]), batch) for name, config in options.items()}
    step = compare(ours, imgaug, imgaug.tasks if imgaug else [], rounds)
    if imgaug:
        imgaug.close()
        versions |= imgaug.versions
    rival = Rival(args.rivals, sizes) if args.rivals else None
    same = {}
    for name, size in sizes.items():
        tasks = [task for task in rival.tasks if task.endswith(f" {name}")] if rival else []
        ours = {name: (same_work(size), BATCH[len(size)])}
        same[name] = compare(ours, rival, tasks, rounds if len(size) == 3 else min(rounds, max(3, rounds // 4)))
    if rival:
        rival.close()
        versions |= rival.versions
    result: dict[str, Any] = {
        **facts(),
        "versions of the others": versions,
        "left out": [name for name in ("rivals", "imgaug") if getattr(args, name) is None],
        "unlabelled slices a second": step,
        "samples a second, the same spatial work": same,
        "times imgaug": {
            name: round(step[f"equireg {name}"] / step["imgaug all"], 2) for name in options if "imgaug all" in step
        },
        "times the others": {
            name: {task: round(found[f"equireg {name}"] / found[task], 2) for task in found if "equireg" not in task}
            for name, found in same.items()
        },
    }
    if args.device != "cpu":
        work = {name: unlabelled_step(config, args.device, args.batch, sizes["2D"]) for name, config in options.items()}
        seconds = in_turns(work, rounds)
        result[f"unlabelled slices a second, {args.device}"] = {
            name: round(args.batch / value, 1) for name, value in seconds.items()
        }
    write(args.out, result)


if __name__ == "__main__":
    main()
