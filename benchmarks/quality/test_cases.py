"""Lay out test cases that no option was chosen on, and that no report has reserved.

    python benchmarks/quality/test_cases.py CHOOSING RAW OUT --test 60 --val 8

CHOOSING is a prepared folder of `benchmarks/strength`, on whose validation cases options were chosen and whose test cases
are reserved; RAW is the Decathlon folder that it was made of. OUT/raw gets links to all scans but the reserved ones, and
OUT/split.json is for `equireg prepare --split`: `test` is drawn by patient from the training cases of CHOOSING, `val` from
its validation cases, all others train.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from equireg.folders.prepared import PreparedSet

SEED = 1717


def drawn(patients: set[str], count: int) -> set[str]:
    """Draw so many patients."""
    order = np.random.default_rng(SEED).permutation(len(patients))
    return {sorted(patients)[index] for index in order[:count]}


def main() -> None:
    """Read the command line, link the scans, and write the split."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("choosing", type=Path)
    parser.add_argument("raw", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--test", type=int, required=True, help="patients")
    parser.add_argument("--val", type=int, required=True, help="patients")
    options = parser.parse_args()
    cases = [case for case in PreparedSet(options.choosing).manifest.cases if case.split != "test"]
    patients = {name: {case.patient for case in cases if case.split == name} for name in ("train", "val")}
    home = dict.fromkeys(drawn(patients["train"], options.test), "test")
    home |= dict.fromkeys(drawn(patients["val"], options.val), "val")
    split = {name: [c.name for c in cases if home.get(c.patient, "train") == name] for name in ("train", "val", "test")}
    for folder in ("imagesTr", "labelsTr"):
        (options.out / "raw" / folder).mkdir(parents=True)
        for case in cases:
            name = f"{case.name}.nii.gz"
            (options.out / "raw" / folder / name).symlink_to((options.raw / folder / name).resolve(strict=True))
    content = json.loads((options.raw / "dataset.json").read_text())
    kept = {case.name for case in cases}
    content["training"] = [pair for pair in content["training"] if Path(pair["image"]).name.split(".")[0] in kept]
    content["numTraining"] = len(content["training"])
    (options.out / "raw" / "dataset.json").write_text(json.dumps(content, indent=1))
    (options.out / "split.json").write_text(json.dumps(split, indent=1))
    print({name: len(names) for name, names in split.items()})


if __name__ == "__main__":
    main()
