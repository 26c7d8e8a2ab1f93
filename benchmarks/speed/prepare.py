"""`equireg prepare` on phantom scans: cases a second, peak memory, the share of N4, and a restart with nothing to do.

    python benchmarks/speed/prepare.py --out RESULT.json [--cases 8] [--shape 240,240,155] [--quick]

The command runs as a user runs it, start-up included, for each recipe with one job and with two. Memory is that of the
command and all its workers, shared pages counted once (PSS), sampled twenty times a second; processor time is that of
all of them, and less noisy than wall time on a busy machine. A case's size is that of its four contrasts in 32 bits.
N4's share is measured in one process of one job.
"""

import argparse
import resource
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from machine import EQUIREG, facts, write

from equireg.phantom import PhantomConfig, write_dataset
from equireg.preparation import bias_field
from equireg.preparation.prepare import prepare

RECIPES = ("default", "thesis")
MIB = 2**20


def measure(raw: Path, out: Path, cases: int, recipe: str, jobs: int) -> dict[str, float]:
    """Prepare, and prepare again; return cases a second, peak memory and the seconds of the restart."""
    options = ["prepare", str(raw), "--out", str(out), "--recipe", recipe, "--jobs", str(jobs)]
    before = processor_seconds()
    seconds, peak = timed([*EQUIREG, *options])
    processor = processor_seconds() - before
    restart, _ = timed([*EQUIREG, *options])
    return {
        "seconds": round(seconds, 2),
        "processor_seconds": round(processor, 2),
        "cases_a_second": round(cases / seconds, 3),
        "peak_mib": round(peak / MIB),
        "restart_seconds": round(restart, 2),
    }


def timed(command: list[str]) -> tuple[float, int]:
    """Run a command; return its seconds and the peak memory of all its processes, bytes."""
    begin, peak = time.perf_counter(), 0
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        peak = max(peak, memory_of(process.pid))
        time.sleep(0.05)
    if process.returncode:
        raise SystemExit(f"{' '.join(command[3:])} failed with {process.returncode}")
    return time.perf_counter() - begin, peak


def processor_seconds() -> float:
    """Return the processor time of all commands that have ended, seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def memory_of(process: int) -> int:
    """Return the memory of a process and all that it started, bytes; 0 for one that has ended."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="utf-8").splitlines()
        own = sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
        children = [
            path.read_text(encoding="utf-8").split() for path in Path(f"/proc/{process}/task").glob("*/children")
        ]
    except OSError:
        return 0
    return own + sum(memory_of(int(child)) for some in children for child in some)


def share_of_n4(raw: Path, out: Path) -> dict[str, float]:
    """Return the seconds of N4 and of all, of the thesis' recipe in this process, and how often N4 ran."""
    spent: list[float] = []
    real = bias_field.correct

    def correct(*arguments: Any) -> np.ndarray:
        begin = time.perf_counter()
        corrected = real(*arguments)
        spent.append(time.perf_counter() - begin)
        return corrected

    begin = time.perf_counter()
    with mock.patch.object(bias_field, "correct", correct):
        prepare(raw, out, recipe="thesis", jobs=1)
    total = time.perf_counter() - begin
    return {"share": round(sum(spent) / total, 3), "n4_seconds": round(sum(spent), 2), "n4_runs": len(spent)}


def main() -> None:
    """Measure both recipes with one job and with two."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cases", type=int, default=8)
    parser.add_argument("--shape", default="240,240,155", help="voxels of a case along x, y, z")
    parser.add_argument("--quick", action="store_true", help="four small cases: to see that it runs")
    options = parser.parse_args()
    cases, shape = options.cases, tuple(int(size) for size in options.shape.split(","))
    if options.quick:
        cases, shape = 4, (96, 96, 64)
    x, y, z = shape
    spacing_mm = (240 / x, 240 / y, 155 / z)
    result: dict[str, Any] = {**facts(["SimpleITK"]), "cases": cases, "shape": shape}
    result["case_mib"] = round(4 * 4 * x * y * z / MIB, 1)
    with tempfile.TemporaryDirectory() as folder:
        raw = write_dataset(Path(folder) / "raw", PhantomConfig(cases, (x, y, z), spacing_mm))
        for recipe in RECIPES:
            for jobs in (1, 2):
                out = Path(folder) / f"{recipe}-{jobs}"
                result[f"{recipe}, {jobs} jobs"] = measure(raw, out, cases, recipe, jobs)
        result["n4"] = share_of_n4(raw, Path(folder) / "n4")
    write(options.out, result)


if __name__ == "__main__":
    main()
