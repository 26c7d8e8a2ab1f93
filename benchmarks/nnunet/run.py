"""Run nnU-Net on a given split of a Decathlon folder: convert, plan, train for a given time, predict.

To be run by the Python of nnU-Net's own environment; see README.md beside this file.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from conversion import BenchmarkError, convert, read_split

DATASET = "Dataset001_benchmark"
PACKAGES = (
    "nnunetv2",
    "torch",
    "dynamic-network-architectures",
    "batchgenerators",
    "batchgeneratorsv2",
    "numpy",
)


def nnunet_environment(work: Path) -> dict[str, str]:
    """Return the environment for nnU-Net: its folders, and one process wherever it would start many."""
    folders = {f"nnUNet_{name}": str(work / name) for name in ("raw", "preprocessed", "results")}
    counts = {"nnUNet_n_proc_DA": "1", "nnUNet_def_n_proc": "1", "nnUNet_npp": "1", "nnUNet_nps": "1"}
    return {**os.environ, **folders, **counts, "MPLBACKEND": "Agg"}


def call(command: list[str], environment: dict[str, str], log: Path) -> float:
    """Run a command, its output appended to the log; return the seconds it took.

    Raises:
        BenchmarkError: if it fails.
    """
    print("+", " ".join(command), flush=True)
    start = time.perf_counter()
    with log.open("a") as output:
        code = subprocess.run(command, env=environment, stdout=output, stderr=subprocess.STDOUT, check=False).returncode
    if code:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise BenchmarkError(f"{Path(command[0]).name} ended with status {code}; the end of {log}:\n{tail}")
    return round(time.perf_counter() - start, 1)


def tool(name: str) -> str:
    """Return the path of one of nnU-Net's commands, which lie beside the Python that runs this.

    Raises:
        BenchmarkError: if this Python has no nnU-Net.
    """
    path = Path(sys.executable).parent / name
    if not path.is_file():
        raise BenchmarkError(f"{path} does not exist: run this with the Python of nnU-Net's environment (README.md).")
    return str(path)


def set_plans(plans_path: Path, configuration: str, batch_size: int | None, patch_size: list[int] | None) -> None:
    """Put the given batch and patch size into the plans; the network's topology stays as planned.

    Raises:
        BenchmarkError: if the plans lack the configuration, or the network cannot halve the patch evenly.
    """
    plans = json.loads(plans_path.read_text())
    if configuration not in plans["configurations"]:
        raise BenchmarkError(
            f"nnU-Net planned {sorted(plans['configurations'])}, not {configuration!r}; choose of these."
        )
    plan = plans["configurations"][configuration]
    if batch_size is not None:
        plan["batch_size"] = batch_size
    if patch_size is not None:
        factors = np.prod(plan["architecture"]["arch_kwargs"]["strides"], axis=0)
        if len(patch_size) != len(factors) or any(
            size % factor for size, factor in zip(patch_size, factors, strict=True)
        ):
            raise BenchmarkError(f"patch size {patch_size}: expected multiples of {factors.tolist()} (the strides).")
        plan["patch_size"] = patch_size
    plans_path.write_text(json.dumps(plans, indent=1))


def plan_and_preprocess(args: argparse.Namespace, work: Path, environment: dict[str, str]) -> float:
    """Let nnU-Net plan and preprocess the labelled cases in one process; return the seconds it took."""
    log = args.out / "log.txt"
    spacing = ["-overwrite_target_spacing", *map(str, args.spacing)] if args.spacing else []
    planning = [tool("nnUNetv2_plan_and_preprocess"), "-d", "1", "--no_pp", "-npfp", "1"]
    seconds = call([*planning, "--verify_dataset_integrity", *spacing], environment, log)
    plans = work / "preprocessed" / DATASET / "nnUNetPlans.json"
    set_plans(plans, args.configuration, args.batch_size, args.patch_size)
    preprocess = [tool("nnUNetv2_preprocess"), "-d", "1", "-c", args.configuration, "-np", "1"]
    return round(seconds + call(preprocess, environment, log), 1)


def train(args: argparse.Namespace, work: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Train on all labelled cases for the given time; return what ``train.py`` reports."""
    report = work / "training.json"
    command = [sys.executable, str(Path(__file__).with_name("train.py")), "--report", str(report)]
    command += ["--preprocessed", str(work / "preprocessed" / DATASET), "--configuration", args.configuration]
    command += ["--minutes", str(args.minutes), "--clock", args.clock]
    command += ["--seed", str(args.seed), "--threads", str(args.threads)]
    if args.iterations is not None:
        command += ["--iterations", str(args.iterations)]
    call(command, environment, args.out / "log.txt")
    return json.loads(report.read_text())


def predict(args: argparse.Namespace, work: Path, environment: dict[str, str], cases: list[str]) -> float:
    """Predict the test cases with the final weights and nnU-Net's mirroring; return the seconds it took."""
    made = work / "predicted"
    command = [
        tool("nnUNetv2_predict"),
        "-i",
        str(work / "raw" / DATASET / "imagesTs"),
        "-o",
        str(made),
        "-d",
        "1",
    ]
    command += ["-c", args.configuration, "-f", "all", "-device", "cpu", "-chk", "checkpoint_final.pth"]
    seconds = call([*command, "--disable_progress_bar"], environment, args.out / "log.txt")
    target = args.out / "predictions"
    target.mkdir()
    for case in cases:
        shutil.move(made / f"{case}.nii.gz", target / f"{case}.nii.gz")
    return seconds


def numbers(kind: type, count: tuple[int, ...]) -> Any:
    """Return an argparse type that reads so many comma-separated numbers of a kind."""

    def read(text: str) -> list[Any]:
        values = [kind(word) for word in text.split(",")]
        if len(values) not in count or min(values) <= 0:
            raise argparse.ArgumentTypeError(f"{text!r}: expected {' or '.join(map(str, count))} numbers above 0")
        return values

    return read


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="Decathlon folder with dataset.json")
    parser.add_argument("--split", type=Path, required=True, help='JSON file: {"train": [cases], "test": [cases]}')
    parser.add_argument("--out", type=Path, required=True, help="folder of this run")
    parser.add_argument("--configuration", choices=("2d", "3d_fullres"), default="2d")
    parser.add_argument("--spacing", type=numbers(float, (3,)), help="target spacing z,y,x in mm; default: nnU-Net's")
    parser.add_argument("--patch_size", type=numbers(int, (2, 3)), help="y,x or z,y,x voxels; default: nnU-Net's")
    parser.add_argument("--batch_size", type=int, help="patches a step; default: nnU-Net's")
    parser.add_argument("--minutes", type=float, default=5.0, help="time of the training loop")
    parser.add_argument(
        "--clock", choices=("wall", "cpu"), default="wall", help="cpu: of all its threads and processes"
    )
    parser.add_argument("--iterations", type=int, help="fixed length instead, to repeat an earlier run's")
    parser.add_argument("--threads", type=int, default=2, help="torch threads; one process augments beside them")
    parser.add_argument("--seed", type=int, default=0, help="draws the initial weights; names the run")
    return parser.parse_args()


def run(args: argparse.Namespace) -> None:
    """Run one benchmark into ``args.out``; a finished run of the same options is left as it is.

    Raises:
        BenchmarkError: if the folder holds a finished run of other options, or a step fails.
    """
    split = read_split(args.split)
    ignored = ("out", "split", "data")
    options = {name: value for name, value in vars(args).items() if name not in ignored} | {"cases": split}
    finished = args.out / "run.json"
    if finished.exists():
        if json.loads(finished.read_text())["options"] != options:
            raise BenchmarkError(f"{args.out}: holds a finished run of other options; choose another --out.")
        print(f"{args.out}: finished before, nothing to do")
        return
    work = args.out / "work"
    for leftover in (work, args.out / "predictions"):
        shutil.rmtree(leftover, ignore_errors=True)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "log.txt").write_text("")
    convert(args.data, split, work / "raw" / DATASET)
    environment = nnunet_environment(work.resolve())
    preprocessing_seconds = plan_and_preprocess(args, work, environment)
    training = train(args, work, environment)
    prediction_seconds = predict(args, work, environment, split["test"])
    report = {
        "options": options,
        "data": args.data.resolve().name,
        "command": " ".join([re.sub(r".*/", "", sys.executable), *sys.argv]),
        "preprocessing_seconds": preprocessing_seconds,
        "prediction_seconds": prediction_seconds,
        **training,
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "processors": os.cpu_count(),
    }
    partial = finished.with_suffix(".partial")
    partial.write_text(json.dumps(report, indent=1))
    partial.replace(finished)
    print(f"{args.out}: {training['iterations']} iterations in {training['training_seconds']} s")


if __name__ == "__main__":
    try:
        run(parse_arguments())
    except (BenchmarkError, OSError) as error:
        sys.exit(f"error: {error}")
