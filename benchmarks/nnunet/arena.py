"""Run nnU-Net's arm of the label-efficiency benchmark: train, predict and evaluate, a run a label count and seed.

    python benchmarks/nnunet/arena.py --nnunet NNUNET_ENV/bin/python --prepared work/arena-lgg --data DATA/lgg \\
        --sup_cases 4 --seeds 42,43,44 --out work/arena-nnunet-lgg

To be run by equireg's Python. It draws the labelled cases as `equireg train` does, from the same prepared folder,
and gives the raw scans of the same cases to nnU-Net; `run.py` does the rest in nnU-Net's own environment. The
predictions are signed with the facts that `equireg report` wants to know, and evaluated by `equireg evaluate`:
the folders under ``OUT/evaluations`` stand beside a sweep's on one page. The same command again continues with what
is not done.
"""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from equireg import disk, folders
from equireg.batches.choice import choose_cases
from equireg.config import TrainConfig
from equireg.errors import EquiregError
from equireg.evaluation.evaluate import evaluate
from equireg.folders.predictions import LABELS
from equireg.folders.prepared import Manifest, PreparedSet

RUNS, EVALUATIONS = "runs", "evaluations"
METHOD = "nnunet"


@dataclass(frozen=True)
class Job:
    """One run: the cases that it learns from and those that it is judged by."""

    name: str
    seed: int
    labelled: tuple[str, ...]
    masked: int
    """training cases that have a mask, used or not"""
    test: tuple[str, ...]


def list_jobs(manifest: Manifest, counts: list[int | None], seeds: list[int]) -> list[Job]:
    """Draw the labelled cases of each label count and seed as `equireg train --sup_cases` does.

    Args:
        manifest: of the prepared folder.
        counts: labelled cases; None for all that there are.
        seeds: seeds of the draw and of the initial weights.

    Raises:
        EquiregError: if there are fewer cases than asked for, or no test case with a mask.
    """
    masked = sum(case.labelled and case.split == "train" for case in manifest.cases)
    test = tuple(sorted(case.name for case in manifest.cases if case.labelled and case.split == "test"))
    if not test:
        raise EquiregError("the prepared folder has no test case with a mask. Prepare with --test_fraction above 0.")
    jobs = []
    for count in counts:
        for seed in seeds:
            labelled, _ = choose_cases(manifest.cases, TrainConfig(sup_cases=count, seed=seed))
            # As `equireg sweep` names its runs.
            name = f"{METHOD}-{'' if count is None else f'sup{count}-'}seed{seed}"
            jobs.append(Job(name, seed, tuple(labelled), masked, test))
    return jobs


def command_of(job: Job, args: argparse.Namespace, manifest: Manifest, out: Path) -> list[str]:
    """Return the command that trains and predicts one run with nnU-Net."""
    command = [str(args.nnunet), str(Path(__file__).with_name("run.py")), "--data", str(args.data)]
    command += ["--split", str(out / "split.json"), "--out", str(out), "--seed", str(job.seed)]
    command += ["--configuration", args.configuration, "--threads", str(args.threads)]
    if manifest.spacing_mm is not None:
        # nnU-Net names the slowest axis first.
        command += ["--spacing", ",".join(f"{spacing:g}" for spacing in reversed(manifest.spacing_mm))]
    for option in ("batch_size", "patch_size", "iterations"):
        if getattr(args, option) is not None:
            command += [f"--{option}", str(getattr(args, option))]
    if args.iterations is None:
        command += ["--minutes", str(args.cpu_minutes), "--clock", "cpu"]
    return command


def sign_predictions(job: Job, args: argparse.Namespace, manifest: Manifest, out: Path) -> None:
    """Write beside nnU-Net's predictions what `equireg evaluate` and `report` read beside equireg's own."""
    made = disk.read_json(out / "run.json")
    predictions = out / "predictions"
    disk.write_json(predictions / LABELS, manifest.labels.as_dict())
    folders.sign(
        predictions,
        "predict",
        {"tool": "nnU-Net", "configuration": args.configuration, **made["versions"]},
        seed=job.seed,
        source=args.data,
        cases=list(job.test),
        run={
            "name": job.name,
            "method": METHOD,
            "dataset": manifest.dataset,
            "seed": job.seed,
            "repeat": 0,
            "spatial_dims": 2 if args.configuration == "2d" else 3,
            "step": made["iterations"],
            "labelled_cases": len(job.labelled),
            "unlabelled_cases": 0,
            "masked_cases": job.masked,
            "split": "test",
        },
    )


def do_job(job: Job, args: argparse.Namespace, manifest: Manifest) -> None:
    """Train, predict, sign and evaluate one run; what is done already is left as it is.

    Raises:
        EquiregError: if nnU-Net fails, or its predictions cannot be evaluated.
    """
    evaluation = args.out / EVALUATIONS / job.name
    if folders.is_signed(evaluation):
        print(f"done   {job.name}", flush=True)
        return
    out = args.out / RUNS / job.name
    out.mkdir(parents=True, exist_ok=True)
    disk.write_json(out / "split.json", {"train": list(job.labelled), "test": list(job.test)})
    environment = {**os.environ, "OMP_NUM_THREADS": str(args.threads), "MKL_NUM_THREADS": str(args.threads)}
    if subprocess.run(command_of(job, args, manifest, out), env=environment, check=False).returncode:
        raise EquiregError(f"{job.name}: nnU-Net failed, see above and {out / 'log.txt'}. The same command continues.")
    if not folders.is_signed(out / "predictions"):
        sign_predictions(job, args, manifest, out)
    summary = evaluate(out / "predictions", args.prepared, evaluation, pictures=args.pictures)
    print(f"done   {job.name}: {json.dumps(summary['mean'])}", flush=True)


def counts_of(text: str) -> list[int | None]:
    """Read ``1,4,all``."""
    return [None if word == "all" else int(word) for word in text.split(",")]


def integers(text: str) -> list[int]:
    """Read ``42,43,44``."""
    return [int(word) for word in text.split(",")]


def names(text: str) -> list[str]:
    """Read names parted by commas."""
    return [word for word in text.split(",") if word]


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nnunet", type=Path, required=True, help="Python of nnU-Net's environment (README.md)")
    parser.add_argument("--prepared", type=Path, required=True, help="output of `equireg prepare`, as the sweep's")
    parser.add_argument("--data", type=Path, required=True, help="the Decathlon folder that it was prepared from")
    parser.add_argument("--out", type=Path, required=True, help="folder of all runs of this data set")
    parser.add_argument("--sup_cases", type=counts_of, required=True, help="labelled cases, as 1,4,all")
    parser.add_argument("--seeds", type=integers, default=[42, 43, 44], help="as 42,43,44")
    parser.add_argument("--configuration", choices=("2d", "3d_fullres"), default="2d")
    parser.add_argument("--batch_size", type=int, help="patches a step; default: nnU-Net's")
    parser.add_argument("--patch_size", help="y,x or z,y,x voxels; default: nnU-Net's")
    parser.add_argument("--cpu_minutes", type=float, default=10.0, help="CPU time of a run's training loop")
    parser.add_argument("--iterations", type=int, help="fixed length instead")
    parser.add_argument("--threads", type=int, default=1, help="torch threads of training and prediction")
    parser.add_argument("--core", type=int, help="the only processor core that may be used; default: any")
    parser.add_argument("--pictures", type=names, default=[], help="cases to keep a picture of, parted by commas")
    return parser.parse_args()


def main() -> None:
    """Do every run that is not done; one that fails does not keep the others from going on.

    Raises:
        EquiregError: at the end, if some runs failed.
    """
    args = parse_arguments()
    if args.core is not None:
        os.sched_setaffinity(0, {args.core})  # inherited by nnU-Net and the process that augments for it
    manifest = PreparedSet(args.prepared).manifest
    failed = []
    for job in list_jobs(manifest, args.sup_cases, args.seeds):
        try:
            do_job(job, args, manifest)
        except EquiregError as error:
            failed.append(str(error))
            print(f"failed {error}", file=sys.stderr, flush=True)
    if failed:
        raise EquiregError(f"{len(failed)} runs failed; see above.")


if __name__ == "__main__":
    try:
        main()
    except (EquiregError, OSError) as error:
        sys.exit(f"error: {error}")
