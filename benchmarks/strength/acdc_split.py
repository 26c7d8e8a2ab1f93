"""Write a split of acdc for `equireg prepare --split`.

python benchmarks/strength/acdc_split.py DATA/acdc/published_split.json DATA/acdc/labelsTr work/acdc-choosing.json
python benchmarks/strength/acdc_split.py DATA/acdc/published_split.json DATA/acdc/labelsTr work/acdc.json --report

To choose options, the ten published validation patients become the test cases, which are not read; a fifth of the
published training patients validates, drawn by a seed among those that are in none of the published lists of labelled
patients. With --report the split is the published one: all 70 train, and the ten stand in `val`.
"""

import json
import sys
from pathlib import Path

import numpy as np

SEED = 2027
VALIDATION = 14


def main(published: Path, masks: Path, out: Path, *options: Path) -> None:
    """Write the JSON file that `equireg prepare --split` reads."""
    report = options == (Path("--report"),)
    if options and not report:
        raise SystemExit(f"error: got {options[0]}; expected --report or nothing more.")
    lists = json.loads(published.read_text())
    free = sorted(set(lists["train"]) - set(lists["labelled_7"]))
    order = np.random.default_rng(SEED).permutation(len(free))
    validation = {free[index] for index in order[:VALIDATION]}
    if report:
        patients = {"train": set(lists["train"]), "val": set(lists["val"])}
    else:
        patients = {"train": set(lists["train"]) - validation, "val": validation, "test": set(lists["val"])}
    cases = sorted(path.name.removesuffix(".nii.gz") for path in masks.glob("*.nii.gz"))
    split = {name: [case for case in cases if case.split("_")[0] in group] for name, group in patients.items()}
    out.write_text(json.dumps(split, indent=1))
    print({name: len(group) for name, group in split.items()})


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
