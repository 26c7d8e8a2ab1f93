"""A step of the same batch, shared by one, two or more devices of a machine; processes, on a CPU.

    python benchmarks/speed/devices.py --out RESULT.json [--devices 1,2] [--device cpu] [--method equireg]

`equireg train` runs as a user runs it, on random scans: for each number of devices a short run and a longer one, in
turns, so that start-up falls out of the difference. One CPU process computes with a thread a core, two share the cores.
"""

import argparse
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from machine import EQUIREG, facts, write
from synthetic import prepared_set

SHORT = 3
"""Steps of the short run."""


def seconds_of(prepared: Path, out: Path, steps: int, extra: list[str]) -> float:
    """Train for some steps; return the seconds of the whole command."""
    options = ["train", str(prepared), "--out", str(out), "--max_steps", str(steps), "--val_every", str(steps)]
    begin = time.perf_counter()
    subprocess.run(
        [*EQUIREG, *options, "--pictures_every", "0", *extra],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return time.perf_counter() - begin


def main() -> None:
    """Measure each number of devices."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--devices", default="1,2", help="numbers of devices, the first of which is the unit")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--method", default="equireg")
    parser.add_argument("--batch_size", type=int, default=4, help="labelled samples, of all devices together")
    parser.add_argument("--ratio", type=int, default=1, help="unlabelled samples for each labelled one")
    parser.add_argument("--features", type=int, default=32)
    parser.add_argument("--steps", type=int, default=15, help="by which the longer run is longer")
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    numbers = [int(number) for number in options.devices.split(",")]
    common = ["--method", options.method, "--device", options.device, "--batch_size", str(options.batch_size)]
    common += ["--unsup_ratio", str(options.ratio), "--network.features", str(options.features)]
    steps: dict[int, list[float]] = {number: [] for number in numbers}
    start: dict[int, list[float]] = {number: [] for number in numbers}
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepared_set(Path(folder) / "prepared", 8, (24, 160, 160))
        for turn in range(options.rounds):
            for number in numbers:
                extra = [*common, "--devices", str(number)]
                few = seconds_of(prepared, Path(folder) / f"{turn}-{number}-few", SHORT, extra)
                many = seconds_of(prepared, Path(folder) / f"{turn}-{number}-many", SHORT + options.steps, extra)
                steps[number].append((many - few) / options.steps)
                start[number].append(few - SHORT * steps[number][-1])
    unit = statistics.median(steps[numbers[0]])
    result = {
        f"{number} devices": {
            "step_ms": round(1000 * statistics.median(steps[number]), 1),
            "speed_up": round(unit / statistics.median(steps[number]), 3),
            "start_seconds": round(statistics.median(start[number]), 2),
        }
        for number in numbers
    }
    write(options.out, {**facts(), "options": {**vars(options), "out": str(options.out)}, **result})


if __name__ == "__main__":
    main()
