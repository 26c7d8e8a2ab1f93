"""Seconds of a training step alone and beside another busy program: as the command computes, and as OpenMP would.

    python benchmarks/speed/waiting.py PREPARED --out RESULT.json [--rounds 3] [--options "--network.features 16"]

`equireg plan --json` measures the step, each time in a process of its own. The other program keeps one core busy.
"asleep" lets threads wait asleep, as the command does where other programs run; "spinning" lets each turn 300,000 times
before it sleeps, the default of GNU's OpenMP.
"""

import argparse
import contextlib
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from machine import facts, write

WAYS = {"asleep": {"OMP_WAIT_POLICY": "PASSIVE"}, "spinning": {"GOMP_SPINCOUNT": "300000"}}


@contextlib.contextmanager
def neighbour(present: bool) -> Iterator[None]:
    """Keep one core busy within the block, or none."""
    if not present:
        yield
        return
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        busy.kill()
        busy.wait()


def step(words: list[str], way: str) -> float:
    """Return the seconds of a step."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    done = subprocess.run(
        [sys.executable, "-m", "equireg.cli", *words], capture_output=True, text=True, check=False, env=kept | WAYS[way]
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)["seconds_per_step"]


def main() -> None:
    """Measure in turns, and write the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--options", default="", help="further options of equireg plan")
    args = parser.parse_args()
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        words = ["plan", str(args.prepared), "--json", "--max_steps", "10", "--max_minutes", "60"]
        words += ["--out", f"{folder}/plan.yaml", *shlex.split(args.options)]
        for _ in range(args.rounds):
            for present in (False, True):
                for way in WAYS:
                    with neighbour(present):
                        name = f"{way}, {'one core busy' if present else 'alone'}"
                        seconds.setdefault(name, []).append(step(words, way))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    write(args.out, {**facts(), "options": args.options, "seconds a step": medians, "all": seconds})


if __name__ == "__main__":
    main()
