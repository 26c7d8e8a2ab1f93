"""Predicting a scan of BraTS' size: seconds by part, overlap, memory, test-time passes, and MONAI's sliding window.

    python benchmarks/speed/predict.py --out RESULT.json [--device cpu] [--cases 3] [--slices 155] [--plain] [--quick]
    python benchmarks/speed/predict.py --out RESULT.json --engines [--slices 8] [--rounds 3]

Phantom scans of 240 x 240 x SLICES voxels and four contrasts, from NIfTI files to NIfTI files, by untrained networks
(their speed is that of trained ones): the default network and the FC-DenseNet of the thesis in slices, the default
network in volumes. Read, network and write are the parts of one case. Overlap compares the cases one part after the
other with the parts of three cases at once, as `equireg predict` does it; memory is the highest of a process of its own
that does either. Passes compare averages over mirrored and randomly transformed scans with one plain pass, per pass.
MONAI's sliding window takes the same network, windows, overlap and batch. All comparisons take turns.
With --engines only the engines are compared, in 32 bits (give OMP_NUM_THREADS=1): the seconds of one plain pass over
one case, those of each engine's start, and the largest difference of a probability from torch's.
"""

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from machine import facts, in_turns, write
from monai.inferers.utils import sliding_window_inference

from equireg.batches.patches import plan_patches
from equireg.config import PredictConfig
from equireg.config.parsing import from_plain, nested
from equireg.devices import autocast
from equireg.engines import ENGINES
from equireg.errors import EquiregError
from equireg.layouts import discover_inputs
from equireg.model import Model, ModelFacts, config_from, new_method
from equireg.phantom import PhantomConfig, write_dataset
from equireg.prediction import segment as _segment
from equireg.prediction.failures import Failure
from equireg.prediction.overlap import overlapping
from equireg.prediction.scans import InputCase, RawScan
from equireg.preparation.case import WorkingScan
from equireg.preparation.prepare import prepare
from equireg.processes.memory import keep_freed_memory

NETWORKS: dict[str, dict[str, Any]] = {
    "default, slices": {"spatial_dims": 2},
    "FC-DenseNet of the thesis, slices": {"spatial_dims": 2, "network.name": "tiramisu"},
    "default, volumes": {"spatial_dims": 3},
}
MIB = 2**20


class Bench:
    """One network with the scans that it predicts."""

    def __init__(self, root: Path, options: dict[str, Any], device: str) -> None:
        keep_freed_memory()  # as `equireg predict` does; MONAI's window in this process has it too
        manifest = prepare(root / "raw", root / "prepared", jobs=1)
        config = config_from(nested({"method": "supervised", **options}))  # whose network is that of all methods
        known = ModelFacts.of(manifest, plan_patches(manifest, config))
        model = Model(new_method(config, known), config, known, step=0)
        self.model = model
        self.config = from_plain(PredictConfig, {"device": device, "test_time": "none", "engine": "torch"})
        self.predictor = _segment.Predictor([model], self.config)
        found = discover_inputs(root / "raw", known.channels)
        self.cases = [InputCase(case.name, RawScan(case, known)) for case in found]
        self.out = root / "predictions"
        self.out.mkdir(exist_ok=True)

    def read(self, case: InputCase) -> WorkingScan:
        return case.scan.read()

    def work(self, case: InputCase, scan: WorkingScan) -> _segment.Segmented:
        return _segment.segment(self.predictor, case, scan, self.config)

    def put(self, case: InputCase, segmented: _segment.Segmented) -> None:
        _segment.write(self.predictor, case, segmented, self.out, self.config)

    def one_after_the_other(self) -> None:
        """Predict all cases, without overlap."""
        for case in self.cases:
            self.put(case, self.work(case, self.read(case)))

    def at_once(self) -> None:
        """Predict all cases as `equireg predict` does."""
        exhaust(overlapping(self.cases, self.read, self.work, self.put))


def exhaust(outcomes: Iterable[tuple[InputCase, Failure | None]]) -> None:
    for case, failure in outcomes:
        if failure is not None:
            raise EquiregError(f"{case.name}: {failure.reason}")


def parts(bench: Bench) -> dict[str, float]:
    """Return the seconds of each part of one case, and the part of the whole that the network takes."""
    case, seconds = bench.cases[0], []
    begin = time.perf_counter()
    scan = bench.read(case)
    seconds.append(time.perf_counter() - begin)
    segmented = bench.work(case, scan)  # warm
    begin = time.perf_counter()
    bench.work(case, scan)
    seconds.append(time.perf_counter() - begin)
    begin = time.perf_counter()
    bench.put(case, segmented)
    seconds.append(time.perf_counter() - begin)
    named = dict(zip(("read", "network", "write"), (round(part, 2) for part in seconds), strict=True))
    return {**named, "network_share": round(seconds[1] / sum(seconds), 3)}


def beside_monai(bench: Bench, rounds: int) -> dict[str, float]:
    """Compare one plain pass with MONAI's sliding window over the same network."""
    scan = bench.read(bench.cases[0])
    predictor, (part,) = bench.predictor, bench.predictor.parts
    network, plan = part.network, part.plan

    def monai() -> None:
        image = torch.from_numpy(scan.image).float()
        batch = image.movedim(1, 0) if plan.spatial_dims == 2 else image[None]
        voxels = int(torch.tensor(plan.patch_size).prod())
        at_once = max(1, 2**19 // voxels)  # as many voxels as equireg takes at once
        with torch.inference_mode(), autocast(predictor.precision, predictor.device):
            for rows in batch.split(at_once):
                sliding_window_inference(
                    rows.to(predictor.device), plan.patch_size, at_once, network, plan.overlap, "gaussian"
                )

    seconds = in_turns({"plain": lambda: predictor(scan), "monai": monai}, rounds, warm_up=1)
    return {
        **{f"{name}_seconds": round(value, 2) for name, value in seconds.items()},
        "plain_to_monai": round(seconds["plain"] / seconds["monai"], 3),
    }


def averages(bench: Bench, rounds: int) -> dict[str, float]:
    """Compare averages over mirrored and over transformed copies with one plain pass, per pass."""
    scan = bench.read(bench.cases[0])
    predictor, plain = bench.predictor, bench.predictor.plan
    mirrored, moved = replace(plain, test_time="flips"), replace(plain, test_time="equivariance", passes=4)
    passes = 2 ** len(plain.flip_axes)

    def with_plan(plan: Any) -> None:
        part = predictor.parts[0]
        predictor.parts[0] = replace(part, plan=plan)
        predictor(scan)
        predictor.parts[0] = part

    ways = {"plain": plain, "flips": mirrored, "equivariance": moved}
    seconds = in_turns({name: partial(with_plan, plan) for name, plan in ways.items()}, rounds, warm_up=0)
    return {
        "flips_seconds": round(seconds["flips"], 2),
        "equivariance_seconds": round(seconds["equivariance"], 2),
        "flips_passes": passes,
        "flips_to_passes": round(seconds["flips"] / seconds["plain"] / passes, 3),
        "equivariance_passes": passes + 4,
        "equivariance_to_passes": round(seconds["equivariance"] / seconds["plain"] / (passes + 4), 3),
    }


def engines(bench: Bench, rounds: int) -> dict[str, Any]:
    """Compare one plain pass by each engine with torch's."""
    scan = bench.read(bench.cases[0])
    names = ("torch", *(name for name, (packages, _) in ENGINES.items() if all(map(find_spec, packages))))
    result: dict[str, Any] = {}
    passes, expected = {}, None
    for name in names:
        predictor = _segment.Predictor([bench.model], replace(bench.config, engine=name, precision="32"))
        begin = time.perf_counter()
        predictor.choose_engine(scan)
        start = time.perf_counter() - begin
        probs = predictor(scan)
        expected = probs if expected is None else expected
        result[name] = {"start_seconds": round(start, 2), "difference": float((probs - expected).abs().max())}
        passes[name] = partial(predictor, scan)
    wall, processor = both_clocks(passes, rounds)
    for name in names:
        result[name] |= {
            "seconds": round(wall[name], 2),
            "speed": round(wall["torch"] / wall[name], 2),
            "processor_speed": round(processor["torch"] / processor[name], 2),
        }
    return result


def both_clocks(tasks: dict[str, Any], rounds: int) -> list[dict[str, float]]:
    """Return the median seconds of each task, run in turns, by the wall's clock and by the processor's.

    Other work on the machine counts little by the second, which is that of all threads together.
    """
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in tasks}
    for _ in range(rounds):
        for name, task in tasks.items():
            wall, processor = time.perf_counter(), time.process_time()
            task()
            seconds[name].append((time.perf_counter() - wall, time.process_time() - processor))
    return [{name: statistics.median(pair[clock] for pair in seconds[name]) for name in tasks} for clock in (0, 1)]


def peak_mib(root: Path, options: dict[str, Any], device: str, way: str) -> int:
    """Predict all cases in one of the two ways; return this process's highest memory, MiB."""
    getattr(Bench(root, options, device), way)()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 // MIB


def measure(
    root: Path, options: dict[str, Any], device: str, rounds: int, plain: bool, only_engines: bool
) -> dict[str, Any]:
    """Measure one network."""
    bench = Bench(root, options, device)
    if only_engines:
        return {"patch": bench.predictor.plan.patch_size, **engines(bench, rounds)}
    ways = {"one_after_the_other": bench.one_after_the_other, "at_once": bench.at_once}
    result: dict[str, Any] = {"patch": bench.predictor.plan.patch_size, "precision": bench.predictor.precision}
    result["parts"] = parts(bench)
    seconds = in_turns(ways, rounds, warm_up=0)
    result["seconds_a_case"] = {name: round(value / len(bench.cases), 2) for name, value in seconds.items()}
    result["overlap"] = round(seconds["at_once"] / seconds["one_after_the_other"], 3)
    result["peak_mib"] = {}
    for way in ways:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            result["peak_mib"][way] = pool.submit(peak_mib, root, options, device, way).result()
    result.update(beside_monai(bench, rounds))
    return result if plain else {**result, **averages(bench, rounds)}


def main() -> None:
    """Measure each network."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--cases", type=int, default=3)
    parser.add_argument("--slices", type=int, default=155)
    parser.add_argument("--side", type=int, default=240, help="voxels of a slice along each axis")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--plain", action="store_true", help="no averages over mirrored and transformed copies")
    parser.add_argument("--engines", action="store_true", help="the engines alone")
    parser.add_argument("--quick", action="store_true", help="two cases of 16 slices, the default network alone")
    options = parser.parse_args()
    cases, slices, rounds = (2, 16, 1) if options.quick else (options.cases, options.slices, options.rounds)
    side = options.side
    names = list(NETWORKS)[:1] if options.quick else options.networks
    result: dict[str, Any] = {
        **facts(("openvino", "onnxruntime", "onnx")),
        "device": options.device,
        "shape": (side, side, slices),
        "cases": cases,
    }
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_dataset(root / "raw", PhantomConfig(cases, (side, side, slices), (240 / side, 240 / side, 155 / slices)))
        for name in names:
            result[name] = measure(root, NETWORKS[name], options.device, rounds, options.plain, options.engines)
    write(options.out, result)


if __name__ == "__main__":
    main()
