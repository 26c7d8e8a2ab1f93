"""One smoke test of a path through equireg, on tiny phantoms.

    python benchmarks/gpu/smoke.py NAME --out RESULT.json [--device cuda]

NAME is machine (equireg doctor), train 2D bf16 and the like (training, prediction, evaluation), resume (a stopped run
ends as an undisturbed one), predict (all test-time ways, beside the CPU), or out of memory (the error says what to do).
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback

from equireg.diagnosis.doctor import doctor
from equireg.errors import EquiregError
from equireg.evaluation.evaluate import evaluate
from equireg.folders.run import RunFolder
from equireg.model import load_model
from equireg.phantom import PhantomConfig, write_dataset
from equireg.prediction.load import load
from equireg.prediction.predict import predict
from equireg.preparation.prepare import prepare
from equireg.training.train import train

STEPS = 20
TINY: dict[str, Any] = {
    "method": "equireg",
    "network.features": 4,
    "batch_size": 2,
    "unsup_ratio": 1,
    "max_steps": STEPS,
    "val_every": STEPS // 2,
    "logger": "none",
    "pictures_every": 0,
}
_GPU_PART = 0.002
"""Part of a GPU's memory that the test of its lack may take."""


class Stop(Callback):
    """Stops a run in its middle, as Ctrl-C does."""

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Stop after some steps."""
        if trainer.global_step == STEPS // 2 + 2:
            raise KeyboardInterrupt


def phantoms(folder: Path) -> Path:
    """Return a prepared folder of five phantoms."""
    write_dataset(folder / "raw", PhantomConfig(cases=5, shape=(32, 32, 16), spacing_mm=(6.0, 6.0, 8.0), masked=4))
    prepare(folder / "raw", folder / "prepared", val_fraction=0.25, test_fraction=0.25, jobs=1)
    return folder / "prepared"


def run_machine(folder: Path, device: str) -> dict[str, Any]:
    """Return what `equireg doctor` finds; warnings are no failure."""
    diagnosis = doctor(folder, device=device, self_test=False)
    if not diagnosis.passed:
        raise EquiregError(f"equireg doctor: {', '.join(finding.finding for finding in diagnosis.failures)}")
    found = {finding.check: finding.finding for finding in diagnosis.findings}
    return {**diagnosis.as_dict(), "table": f"torch {found['torch']}; {found['GPU']}; {found['precision']}"}


def run_train(folder: Path, device: str, name: str) -> dict[str, Any]:
    """Train, predict and score in one precision, in slices or volumes."""
    _, dims, precision = name.split()
    prepared = phantoms(folder)
    options: dict[str, Any] = {**TINY, "spatial_dims": int(dims[0]), "device": device, "precision": precision}
    begin = time.perf_counter()
    run = train(prepared, folder / "run", **options)
    seconds = time.perf_counter() - begin
    predict(run, prepared, folder / "predicted", split="test", device=device, precision=precision)
    dice = float(evaluate(folder / "predicted", prepared, folder / "scores")["mean"]["dice"])
    if not math.isfinite(dice):
        raise ValueError(f"the mean Dice is {dice}; expected a number")
    peak = torch.cuda.max_memory_allocated() // 2**20 if device == "cuda" else None
    return {"seconds": seconds, "dice": dice, "peak_mib": peak, "table": f"{STEPS} steps in {seconds:.1f} s"}


def run_resume(folder: Path, device: str) -> dict[str, Any]:
    """Stop a run, continue it, and compare its weights with those of an undisturbed run."""
    prepared = phantoms(folder)
    options: dict[str, Any] = {**TINY, "device": device}
    train(prepared, folder / "whole", **options)
    try:
        train(prepared, folder / "stopped", callbacks=[Stop()], **options)
    except KeyboardInterrupt:
        pass
    else:
        raise AssertionError("the run was not stopped; expected a KeyboardInterrupt")
    train(prepared, folder / "stopped", resume=True)
    states = [
        load_model(RunFolder(folder / name).checkpoint("last")).method.state_dict() for name in ("whole", "stopped")
    ]
    difference = max(float((one.float() - states[1][name].float()).abs().max()) for name, one in states[0].items())
    if not difference < 1e-2:  # a GPU adds in any order, so that a few steps may differ a little
        raise AssertionError(f"weights differ by {difference:.2g} from those of an undisturbed run")
    return {"difference": difference, "table": f"weights differ by {difference:.1g} from an undisturbed run's"}


def run_predict(folder: Path, device: str) -> dict[str, Any]:
    """Predict a scan in every test-time way, and compare the probabilities with those of the CPU in 32 bits."""
    prepared = phantoms(folder)
    differences = {}
    for dims in (2, 3):
        run = train(prepared, folder / f"run{dims}", **TINY, spatial_dims=dims, device=device)
        scan, affine = torch.randn(4, 40, 36, 20).numpy(), torch.diag(torch.tensor([6.0, 6.0, 8.0, 1.0])).numpy()
        for way in ("none", "flips", "equivariance"):
            on = [load(run, device=where, test_time=way) for where in (device, "cpu")]
            found, plain = (model.predict(scan, affine).probabilities for model in on)
            assert found is not None
            assert plain is not None
            differences[f"{dims}D {way}"] = float(abs(found - plain).max())
    worst = max(differences.values())
    if not worst < 0.1:  # bfloat16 has three digits
        raise AssertionError(f"probabilities differ by {worst:.2g} from those of the CPU: {differences}")
    return {"differences": differences, "table": f"probabilities differ by {worst:.1g} from the CPU's"}


def run_out_of_memory(folder: Path, device: str) -> dict[str, Any]:
    """Ask for more memory than there is, and look for the remedy in the error."""
    prepared = phantoms(folder)
    options = {**TINY, "device": device, "precision": "32", "patch_size": (2**14, 2**14), "batch_size": 2**14}
    if device == "cuda":
        torch.cuda.set_per_process_memory_fraction(_GPU_PART)
        options |= {"patch_size": (512, 512), "batch_size": 64}
    try:
        train(prepared, folder / "run", **options)
    except EquiregError as error:
        if "memory ran out" in str(error) and "--batch_size" in str(error):
            return {"error": str(error), "table": str(error)}
        raise
    raise AssertionError("the run ended well; expected that memory runs out")


TESTS: dict[str, Callable[[Path, str], dict[str, Any]]] = {
    "machine": run_machine,
    "resume": run_resume,
    "predict": run_predict,
    "out of memory": run_out_of_memory,
}


def main() -> None:
    """Run one test and write what it found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.name.startswith("train "):
            result = run_train(Path(folder), options.device, options.name)
        else:
            result = TESTS[options.name](Path(folder), options.device)
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
