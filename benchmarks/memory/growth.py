"""Whether a long run grows: memory and open files over 2,000 steps, 200 predicted cases and 500 prepared cases.

    python benchmarks/memory/growth.py --out benchmarks/memory/growth.json

Each verb works on tiny phantoms in a process of its own, which is looked at four times a second. Resident memory and
open files of the process and its children are compared between the second fifth of the time and the last: the first
fifth loads libraries and fills caches. ``--only train --scale 0.1`` is a short form.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

COUNTS = {"train": 2000, "predict": 200, "prepare": 500}
LIMIT = 0.05
"""Growth that still counts as flat, as a fraction."""
_EVERY_S = 0.25
_TINY: dict[str, Any] = {
    "network.features": 4,
    "batch_size": 1,
    "unsup_ratio": 1,
    "patch_size": (16, 16),
    "device": "cpu",
    "precision": "32",
}


def write_raw(root: Path, cases: int) -> Path:
    """Write a folder of phantom scans, of which all but the first four are copies under other names."""
    from equireg.phantom import PhantomConfig, write_dataset

    made = write_dataset(root / "made", PhantomConfig(cases=4, shape=(24, 24, 16), spacing_mm=(8.0, 8.0, 8.0)))
    originals = sorted(path.parent for path in made.rglob("*_seg.nii.gz"))
    for number in range(cases):
        source, name = originals[number % len(originals)], f"Case_{number:04d}_1"
        (root / "raw" / name).mkdir(parents=True)
        for path in source.iterdir():
            shutil.copyfile(path, root / "raw" / name / path.name.replace(source.name, name))
    return root / "raw"


class Watch:
    """Looks at this process and its children four times a second while a block runs."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, float, int]] = []
        """seconds, MiB, open files"""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "Watch":
        self._begin = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(_EVERY_S):
            pids = [os.getpid(), *_children(os.getpid())]
            pages = sum(_pages(pid) for pid in pids)
            files = sum(_files(pid) for pid in pids)
            memory = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
            self.seen.append((time.monotonic() - self._begin, memory, files))

    def growth(self) -> dict[str, Any]:
        """Return medians of the second and the last fifth of the time, and how much larger the last is."""
        end = self.seen[-1][0]
        early = [one for one in self.seen if 0.2 * end <= one[0] < 0.4 * end]
        late = [one for one in self.seen if one[0] >= 0.8 * end]
        found: dict[str, Any] = {"seconds": round(end, 1), "looks": len(self.seen)}
        for place, name in ((1, "memory_mib"), (2, "open_files")):
            before, after = (statistics.median(one[place] for one in part) for part in (early, late))
            found[name] = {"early": round(before, 1), "late": round(after, 1), "growth": round(after / before - 1, 4)}
        found["flat"] = all(found[name]["growth"] <= LIMIT for name in ("memory_mib", "open_files"))
        return found


def _children(pid: int) -> list[int]:
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    direct = [int(word) for word in text.split()]
    return [*direct, *(below for child in direct for below in _children(child))]


def _pages(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0


def _files(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except OSError:
        return 0


def measure(verb: str, count: int) -> dict[str, Any]:
    """Run a verb on ``count`` steps or cases in this process; return how it grew."""
    from equireg.prediction.predict import predict
    from equireg.preparation.prepare import prepare
    from equireg.training.train import train

    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        root = Path(folder)
        raw = write_raw(root, 8 if verb == "train" else count)
        if verb == "prepare":
            with Watch() as watch:
                prepare(raw, root / "prepared", jobs=1)
            return watch.growth()
        few = write_raw(root / "few", 8)
        prepare(few, root / "prepared", jobs=1)
        steps = count if verb == "train" else 2
        options = {**_TINY, "max_steps": steps, "val_every": max(1, steps // 4)}
        with Watch() as watch:
            train(root / "prepared", root / "run", method="equireg", **options)
        if verb == "train":
            return watch.growth()
        with Watch() as watch:
            predict(root / "run", raw, root / "out", test_time="none", device="cpu", precision="32")
        return watch.growth()


def facts(command: str) -> dict[str, Any]:
    """Return machine, versions, command and commit."""
    here = Path(__file__).parent
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=here, check=False)
    libraries = ("torch", "lightning", "monai", "numpy", "nibabel", "blosc2")
    return {
        "command": command,
        "commit": commit.stdout.strip() or None,
        "machine": f"{len(os.sched_getaffinity(0))} cores of {platform.machine()}, {platform.system()}",
        "versions": {"python": platform.python_version(), **{name: version(name) for name in libraries}},
    }


def main() -> None:
    """Measure each verb in a process of its own, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=tuple(COUNTS), default=tuple(COUNTS))
    parser.add_argument("--scale", type=float, default=1.0, help="part of the steps and cases")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--here", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.here:
        print(json.dumps(measure(given.here, int(COUNTS[given.here] * given.scale))))
        return
    command = f"python benchmarks/memory/growth.py --only {' '.join(given.only)} --scale {given.scale:g}"
    result = facts(command)
    for verb in given.only:
        words = [sys.executable, __file__, "--here", verb, "--scale", str(given.scale)]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
        result[verb] = {"count": int(COUNTS[verb] * given.scale), **json.loads(done.stdout.splitlines()[-1])}
        print(verb, json.dumps(result[verb]), flush=True)
    if given.out:
        given.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
