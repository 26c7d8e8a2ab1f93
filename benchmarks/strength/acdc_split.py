"""Write the split of acdc that options are chosen on: none of the published validation patients is read.

python benchmarks/strength/acdc_split.py DATA/acdc/published_split.json DATA/acdc/labelsTr work/acdc-choosing.json

The ten published validation patients become the test cases. A fifth of the published training patients validates, drawn
by a seed among those that are in none of the published lists of labelled patients.
"""

import json
import sys
from pathlib import Path

import numpy as np

SEED = 2027
VALIDATION = 14


def main(published: Path, masks: Path, out: Path) -> None:
    """Write the JSON file that `equireg prepare --split` reads."""
    lists = json.loads(published.read_text())
    free = sorted(set(lists["train"]) - set(lists["labelled_7"]))
    order = np.random.default_rng(SEED).permutation(len(free))
    validation = {free[index] for index in order[:VALIDATION]}
    patients = {
        "train": set(lists["train"]) - validation,
        "val": validation,
        "test": set(lists["val"]),
    }
    cases = sorted(path.name.removesuffix(".nii.gz") for path in masks.glob("*.nii.gz"))
    split = {name: [case for case in cases if case.split("_")[0] in group] for name, group in patients.items()}
    out.write_text(json.dumps(split, indent=1))
    print({name: len(group) for name, group in split.items()})


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
