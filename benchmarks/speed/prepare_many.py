"""`equireg prepare` against nnU-Net's fingerprint, planning and preprocessing, on many small cases.

    python benchmarks/speed/prepare_many.py --data DATA/hippocampus --out RESULT.json --nnunet nnunet-env/bin/python \
        [--cases 500] [--jobs 2] [--rounds 2]

DATA is a Decathlon folder; its cases are copied under further names until there are as many as asked for. Both read the
same folder, which has nnU-Net's layout, with as many processes, in turns, each as its own command with its start-up.
nnU-Net plans and writes its configuration 2d; equireg writes what it trains slices and volumes on. Without `--nnunet`
equireg is measured alone. nnU-Net's environment: benchmarks/nnunet/README.md.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from machine import EQUIREG, facts, write

_NAME = "Dataset001_many"


def copy_cases(data: Path, raw: Path, count: int) -> None:
    """Copy a Decathlon folder's labelled cases into nnU-Net's layout, again and again until there are enough."""
    source = json.loads((data / "dataset.json").read_text(encoding="utf-8"))
    labels = {name: int(value) for value, name in source["labels"].items()}
    channels = source.get("modality", source.get("channel_names"))
    for folder in ("imagesTr", "labelsTr"):
        (raw / folder).mkdir(parents=True)
    paths = sorted(path for path in (data / "labelsTr").glob("*.nii.gz") if not path.name.startswith("."))
    for index in range(count):
        path = paths[index % len(paths)]
        name = f"case_{index:04d}"
        shutil.copyfile(data / "imagesTr" / path.name, raw / "imagesTr" / f"{name}_0000.nii.gz")
        shutil.copyfile(path, raw / "labelsTr" / f"{name}.nii.gz")
    content = {"channel_names": channels, "labels": labels, "numTraining": count, "file_ending": ".nii.gz"}
    (raw / "dataset.json").write_text(json.dumps(content), encoding="utf-8")


def measure(command: list[str], environment: dict[str, str], log: Path) -> dict[str, float]:
    """Run a command; return its seconds, and the processor seconds of it and all that it started."""
    before, begin = _processor_seconds(), time.perf_counter()
    with log.open("a") as output:
        code = subprocess.run(command, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
    if code:
        raise SystemExit(f"{' '.join(command)} failed with {code}:\n{log.read_text(errors='replace')[-2000:]}")
    return {"seconds": time.perf_counter() - begin, "processor_seconds": _processor_seconds() - before}


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def tasks(folder: Path, raw: Path, jobs: int, nnunet: str | None) -> dict[str, Callable[[], dict[str, float]]]:
    """Return what is measured, by name; each begins without what it has made before."""

    def ours() -> dict[str, float]:
        out = folder / "prepared"
        shutil.rmtree(out, ignore_errors=True)
        command = [*EQUIREG, "prepare", str(raw), "--out", str(out), "--jobs", str(jobs)]
        return measure(command, dict(os.environ), folder / "log.txt")

    def theirs() -> dict[str, float]:
        shutil.rmtree(folder / "preprocessed", ignore_errors=True)
        places = {f"nnUNet_{name}": str(folder / name) for name in ("raw", "preprocessed", "results")}
        module = "nnunetv2.experiment_planning.plan_and_preprocess_entrypoints"
        script = f"from {module} import plan_and_preprocess_entry; plan_and_preprocess_entry()"
        words = ["-d", "1", "-c", "2d", "-np", str(jobs), "-npfp", str(jobs)]
        return measure([str(nnunet), "-c", script, *words], {**os.environ, **places}, folder / "log.txt")

    return {"equireg": ours} | ({"nnunet": theirs} if nnunet else {})


def main() -> None:
    """Measure both in turns and write the medians."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--nnunet", help="Python of nnU-Net's environment")
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    result: dict[str, Any] = {**facts(["nibabel"]), "cases": options.cases, "jobs": options.jobs}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        raw = folder / "raw" / _NAME
        copy_cases(options.data, raw, options.cases)
        rounds: dict[str, list[dict[str, float]]] = {}
        for _ in range(options.rounds):
            for name, task in tasks(folder, raw, options.jobs, options.nnunet).items():
                rounds.setdefault(name, []).append(task())
    for name, found in rounds.items():
        result[name] = {key: round(statistics.median(one[key] for one in found), 1) for key in found[0]}
        result[name]["rounds"] = [{key: round(value, 1) for key, value in one.items()} for one in found]
    write(options.out, result)


if __name__ == "__main__":
    main()
