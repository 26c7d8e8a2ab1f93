"""Peak memory of `prepare` and `evaluate`, bytes a voxel: a large case against a small one, one job.

python benchmarks/memory/verbs.py --shape 256 256 160 --out benchmarks/memory/verbs.json
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import nibabel as nib
import numpy as np

SMALL = (32, 32, 16)


def write_case(root: Path, shape: tuple[int, ...]) -> Path:
    """Write a folder with one scan of one channel (int16) and its mask (a box of label 1)."""
    rng = np.random.default_rng(0)
    mask = np.zeros(shape, np.uint8)
    mask[tuple(slice(size // 4, size // 2) for size in shape)] = 1
    for folder, voxels in (("images", rng.integers(1, 1000, shape, dtype=np.int16)), ("labels", mask)):
        (root / folder).mkdir(parents=True)
        nib.save(nib.Nifti1Image(voxels, np.eye(4)), root / folder / "case.nii.gz")
    return root


def peak_bytes(*words: object) -> int:
    """Run the command in a process of its own and return the most memory that it held."""
    command = [sys.executable, "-m", "equireg.cli", *map(str, words)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    return usage.ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", type=int, nargs=3, default=(384, 384, 160), help="voxels of the large case")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    given = parser.parse_args()
    shape = tuple(given.shape)
    peaks: dict[str, list[int]] = {"prepare": [], "evaluate": []}
    with tempfile.TemporaryDirectory() as folder:
        for name, size in (("small", SMALL), ("large", shape)):
            home = Path(folder) / name
            raw = write_case(home / "raw", size)
            peaks["prepare"].append(peak_bytes("prepare", raw, "--out", home / "prepared", "--jobs", 1))
            masks = raw / "labels"
            peaks["evaluate"].append(peak_bytes("evaluate", masks, masks, "--out", home / "scores", "--jobs", 1))
    voxels = int(np.prod(shape)) - int(np.prod(SMALL))
    found = {
        verb: {"peak_mib": round(large / 2**20), "bytes_a_voxel": round((large - small) / voxels, 1)}
        for verb, (small, large) in peaks.items()
    }
    for verb, figures in found.items():
        print(f"{verb}: {figures['peak_mib']} MiB, {figures['bytes_a_voxel']} bytes a voxel beyond a small case")
    if given.out is not None:
        command = f"python benchmarks/memory/verbs.py --shape {' '.join(map(str, shape))} --out {given.out}"
        given.out.write_text(json.dumps({"command": command, "shape": shape, **found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
