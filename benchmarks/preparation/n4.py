"""How far a scan may be coarsened for N4: the corrected image against full resolution, and the time of both.

    python benchmarks/preparation/n4.py RAW --out RESULT.json [--jobs 1]

For each contrast of each case of a BraTS folder, cropped as `equireg prepare --recipe thesis` crops it, and each
shrink factor: the correlation of the corrected image with the one at full resolution, inside the contrast's mask,
wall and CPU seconds of one thread, and the correlation of the image without any correction for comparison. Full
resolution takes minutes a contrast. What is measured is written as it comes; the same command continues where it was
stopped. The summary names the fastest factor whose worst correlation is at least 0.99; the default of `--n4_shrink`, 4,
is finer, for a margin: few contrasts were measured.
"""

import argparse
import json
import os
import platform
import shlex
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk

from equireg import disk, folders
from equireg.errors import EquiregError
from equireg.imaging.grid import WorkingGrid
from equireg.layouts import RawCase, discover
from equireg.preparation import bias_field, recipes
from equireg.processes.workers import Workers

FACTORS = (1, 2, 3, 4, 6, 8)
ENOUGH = 0.99


def measure(case: RawCase, channel: int) -> dict[str, dict[str, float]]:
    """Correct one contrast with each factor; return correlation and seconds of each, and of no correction."""
    image, geometry = case.read_image()
    grid = WorkingGrid.plan(geometry, None, "z")
    normalisation = {"name": "thesis", "n4_shrink": 1}
    _, scan = next(
        recipes.of(normalisation).steps(image, grid, normalisation, keep_empty_slices=False)
    )  # cropped, and no further
    voxels, mask = scan.image[channel], scan.image[channel] != scan.background[channel]
    full, found = None, {}
    for factor in FACTORS:
        wall, cpu = time.perf_counter(), time.process_time()
        corrected = bias_field.correct(voxels, mask, scan.grid.spacing_mm, factor)
        full = corrected if full is None else full
        found[str(factor)] = {
            "correlation": correlation(corrected[mask], full[mask]),
            "wall_s": round(time.perf_counter() - wall, 2),
            "cpu_s": round(time.process_time() - cpu, 2),
        }
    assert full is not None
    return {**found, "uncorrected": {"correlation": correlation(voxels[mask], full[mask])}}


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return Pearson's correlation of two lists of voxels."""
    return round(float(np.corrcoef(one.astype(np.float64), other.astype(np.float64))[0, 1]), 5)


def summary(contrasts: dict[str, Any]) -> dict[str, Any]:
    """Return the worst correlation and the mean seconds of each factor, and the fastest factor that is close enough."""
    factors = {
        str(factor): {
            "worst_correlation": min(found[str(factor)]["correlation"] for found in contrasts.values()),
            "mean_cpu_s": round(float(np.mean([found[str(factor)]["cpu_s"] for found in contrasts.values()])), 2),
        }
        for factor in FACTORS
    }
    good = [name for name, found in factors.items() if found["worst_correlation"] >= ENOUGH]
    return {"factors": factors, "fastest_enough": int(min(good, key=lambda name: factors[name]["mean_cpu_s"]))}


def write(path: Path, contrasts: dict[str, Any], seconds: float) -> None:
    """Write all that is measured, signed as every result is."""
    with tempfile.TemporaryDirectory() as folder:
        folders.sign(
            Path(folder),
            "benchmark",
            {"factors": FACTORS},
            command=shlex.join(["python", *sys.argv]),
            machine=f"{platform.machine()}, {os.cpu_count()} cores, one thread a contrast",
            SimpleITK=sitk.Version.VersionString(),
            seconds=round(seconds),
            contrasts={name: contrasts[name] for name in sorted(contrasts)},
            summary=summary(contrasts),
        )
        disk.write_atomic(path, (Path(folder) / folders.SIGNATURE).read_text(encoding="utf-8"))


def main() -> None:
    """Measure every contrast that the result does not hold yet."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("raw", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=1, help="contrasts measured at once")
    options = parser.parse_args()
    earlier = json.loads(options.out.read_text(encoding="utf-8")) if options.out.exists() else {}
    contrasts, spent, begin = earlier.get("contrasts", {}), earlier.get("seconds", 0), time.perf_counter()
    dataset = discover(options.raw)
    tasks = {
        f"{case.name} {name}": (case, channel)
        for channel, name in enumerate(dataset.channels)
        for case in dataset.cases
        if f"{case.name} {name}" not in contrasts
    }
    with Workers(options.jobs) as workers:
        for name, found in workers.run(measure, tasks, "n4"):
            if isinstance(found, EquiregError):
                raise found
            contrasts[name] = found
            write(options.out, contrasts, spent + time.perf_counter() - begin)
            print(name, found, flush=True)


if __name__ == "__main__":
    main()
