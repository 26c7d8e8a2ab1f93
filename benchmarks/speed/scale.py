"""Start-up, memory and step time against the number of cases: nothing may grow faster than the manifest itself.

    python benchmarks/speed/scale.py --out RESULT.json [--cases 10,1000,50000] [--figure FILE.png]

Prepared folders of small random cases (24 x 24 pixels, 4 slices, one channel). For each number a new process opens the
folder, begins a training as `equireg train` does and makes steps, once with all cases in memory, once streamed from
disk. It notes the seconds of reading the manifest and of all before the first step, the median of the steps, the median
of drawing a batch, the highest memory, and by how much memory grew between the tenth step and the last.
"""

import argparse
import itertools
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

from machine import facts, write
from synthetic import prepared_set

SHAPE = (4, 24, 24)
STEPS = 60
MIB = 2**20


def measured(prepared: Path, in_memory: bool) -> dict[str, float]:
    """Train for some steps in this process and return seconds and MiB."""
    import torch
    from lightning.pytorch.callbacks import Callback

    import equireg.training.train
    from equireg.batches.loading import CaseReader
    from equireg.folders.prepared import PreparedSet

    torch.set_num_threads(1)
    begin = time.perf_counter()
    PreparedSet(prepared)
    manifest_s = time.perf_counter() - begin
    times: list[float] = []
    memory: list[float] = []

    class Watch(Callback):
        def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
            times.append(time.perf_counter())
            memory.append(_resident())

    make = equireg.training.train.make_trainer

    def watched(*args: Any) -> Any:
        trainer = make(*args)
        trainer.callbacks.append(Watch())  # pyright: ignore[reportAttributeAccessIssue]
        return trainer

    options: dict[str, Any] = {"network.features": 4, "pictures_every": 0, "workers": 0, "device": "cpu"}
    begin = time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as folder,
        mock.patch.object(equireg.training.train, "make_trainer", watched),
        mock.patch.object(equireg.training.train, "CaseReader", partial(CaseReader, in_memory=in_memory)),
    ):
        equireg.training.train.train(
            prepared, Path(folder) / "run", method="equireg", max_steps=STEPS, val_every=STEPS, **options
        )
    steps = [after - before for before, after in itertools.pairwise(times[10:])]
    return {
        "manifest_s": round(manifest_s, 3),
        "start_s": round(times[0] - begin, 3),
        "step_ms": round(1000 * statistics.median(steps), 2),
        "highest_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "growth_mib": round(memory[-1] - memory[10], 1),
    }


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / MIB


def figure(path: Path, results: dict[str, Any]) -> None:
    """Draw start-up, memory and step time against the number of cases."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    drawing, axes = pyplot.subplots(1, 3, figsize=(11, 3.4), constrained_layout=True)
    panels = {"start_s": "before the first step, s", "highest_mib": "highest memory, MiB", "step_ms": "a step, ms"}
    for axis, (name, title) in zip(axes, panels.items(), strict=True):
        for kind, marker in (("memory", "o"), ("disk", "s")):
            cases = sorted(int(count) for count in results)
            values = [results[str(count)][kind][name] for count in cases]
            axis.plot(cases, values, marker=marker, label=f"cases in {kind}" if kind == "memory" else "from disk")
        axis.set(xscale="log", xlabel="cases", title=title, ylim=(0, None))
    axes[0].legend(frameon=False)
    drawing.savefig(path, dpi=110)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--cases", default="10,1000,50000")
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--child", nargs=2, metavar=("PREPARED", "WHERE"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        print(json.dumps(measured(Path(options.child[0]), options.child[1] == "memory")))
        return
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in (int(part) for part in options.cases.split(",")):
            prepared = prepared_set(Path(folder) / str(count), count, SHAPE, channels=1, classes=2)
            results[str(count)] = {"manifest_mib": round((prepared / "manifest.json").stat().st_size / MIB, 2)}
            for where in ("memory", "disk"):
                command = [sys.executable, __file__, "--child", str(prepared), where]
                done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
                results[str(count)][where] = json.loads(done.stdout.splitlines()[-1])
    write(options.out, {**facts(), "cases": results})
    if options.figure:
        figure(options.figure, results)


if __name__ == "__main__":
    main(sys.argv[1:])
