"""`equireg train` from the command to the end of its first step: seconds, and processor seconds, stage by stage.

    python benchmarks/speed/start.py PREPARED --out RESULT.json [--rounds 3] [--options "--sup_cases 5"]

The command runs as a user runs it, each time in a process of its own that ends itself after the step. On a busy machine
the processor time says more, and the least of the rounds more than their median. The stages are reading the command
line, the libraries in the order in which they are imported (each without what those before it have imported already),
all that comes before the step (a plan, too, where the options leave something to plan), and the step.
"""

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from machine import facts, write

_CHILD = """
import json, os, sys, time
began, stages = time.perf_counter(), {}
def stage(name):
    stages[name] = [time.perf_counter() - began, time.process_time()]
from equireg.cli import main
import equireg.pipeline.train as verb
train = verb.train
def with_stages(*places, **options):
    stage("command line")
    from equireg.processes.importing import importing_lightning
    with importing_lightning():
        import torch
        stage("torch")
        import lightning
        stage("lightning")
        import equireg.training.train
        stage("equireg")
    class First(lightning.Callback):
        def on_train_batch_start(self, *_):
            stage("until the step")
        def on_train_batch_end(self, *_):
            stage("the step")
            print(json.dumps(stages), flush=True)
            os._exit(0)
    return train(*places, callbacks=[First()], **options)
verb.train = with_stages
sys.argv[0] = "equireg"
sys.exit(main())
"""


def start(words: list[str]) -> dict[str, list[float]]:
    """Run the command; return for each stage the seconds since the start and the processor seconds when it ended."""
    done = subprocess.run([sys.executable, "-c", _CHILD, "train", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure the start several times and write the medians."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--options", default="--sup_cases 5 --max_steps 5000", help="options of `equireg train`")
    options = parser.parse_args()
    found = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
            out = str(Path(folder) / "run")
            found.append(start([str(options.prepared), "--out", out, *shlex.split(options.options)]))
    result: dict[str, Any] = facts()
    for index, name in enumerate(("seconds", "processor_seconds")):
        ends = {stage: statistics.median(one[stage][index] for one in found) for stage in found[0]}
        taken = [end - before for end, before in zip(ends.values(), (0.0, *ends.values()), strict=False)]
        result[name] = round(list(ends.values())[-1], 2)
        result[f"least {name}"] = round(min(list(one.values())[-1][index] for one in found), 2)
        result[f"{name} of each stage"] = dict(zip(ends, (round(value, 2) for value in taken), strict=True))
    write(options.out, result)


if __name__ == "__main__":
    main()
