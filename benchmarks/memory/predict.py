"""Peak memory of `equireg predict` on one large scan with many classes, with an untrained tiny network.

    python benchmarks/memory/predict.py --classes 118 --shape 512 512 400 --dims 2

prints the peak resident set of the whole process, and what of it is there before a scan is read.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch

from equireg.folders import sign
from equireg.folders.run import CHECKPOINTS
from equireg.folders.run_facts import RUN_FACTS, RunFacts
from equireg.imaging.labels import LabelTable
from equireg.model import ENTRY, ModelFacts, config_from, entry, new_method, seal
from equireg.prediction.predict import predict


def write_run(root: Path, classes: int, dims: int, patch: int) -> Path:
    """Write a run whose network was never trained."""
    config = config_from({"method": {"name": "supervised"}, "network": {"features": 4}, "spatial_dims": dims})
    labels = LabelTable(tuple(range(classes)), tuple(f"label_{index}" for index in range(classes)))
    facts = ModelFacts("large", ("ct",), labels, "zyx", None, {"name": "zscore"}, (patch,) * dims, ())
    method = new_method(config, facts)
    weights = {f"method.{name}": value for name, value in method.state_dict().items()}
    content = {"state_dict": weights, "global_step": 1, ENTRY: entry(config, facts)}
    seal(content)
    (root / CHECKPOINTS).mkdir(parents=True)
    torch.save(content, root / CHECKPOINTS / "last.ckpt")
    made = RunFacts("large", "supervised", "large")
    facts_of_run: dict[str, Any] = {RUN_FACTS: made.as_dict()}
    sign(root, "train", {}, seed=1, source=None, **facts_of_run)
    return root


def write_scan(path: Path, shape: tuple[int, ...]) -> Path:
    """Write a scan of smooth noise, 16 bits a voxel."""
    rng = np.random.default_rng(0)
    plane = rng.integers(-1000, 1000, shape[:2], dtype=np.int16)
    voxels = np.empty(shape, dtype=np.int16)
    for z in range(shape[2]):
        voxels[:, :, z] = np.roll(plane, z, axis=0)
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), path)
    return path


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--classes", type=int, default=118)
    parser.add_argument("--shape", type=int, nargs=3, default=(512, 512, 400))
    parser.add_argument("--dims", type=int, default=2, choices=(2, 3))
    parser.add_argument("--patch", type=int, default=128)
    parser.add_argument("--overlap", type=float, default=0.0)
    parser.add_argument("--test_time", default="none")
    parser.add_argument("--probabilities", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        run = write_run(root / "run", options.classes, options.dims, options.patch)
        scan = write_scan(root / "scan.nii.gz", tuple(options.shape))
        before, begin = peak_mib(), time.perf_counter()
        more = {"overlap": options.overlap, "test_time": options.test_time, "probabilities": options.probabilities}
        predict(run, scan, root / "out", device="cpu", precision="32", **more)
        after, seconds = peak_mib(), time.perf_counter() - begin
        voxels = options.classes * int(np.prod(options.shape))
        bytes_each = (after - before) * 2**20 / voxels
        print(f"peak {after:.0f} MiB, {before:.0f} before; {bytes_each:.2f} bytes a voxel and class; {seconds:.0f} s")


if __name__ == "__main__":
    main()
