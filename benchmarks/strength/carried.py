"""How well masks can be carried from one labelled scan to another, and what tells it without a second mask.

python benchmarks/strength/carried.py PREPARED --pairs 6

Pairs of training cases of different patients are drawn with seed 0. For each: Dice of the carried mask and the scan's
own, the correlation about the mask, the Dice of the mask that comes back, and seconds of processor time to carry it
there.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from equireg.atlas.carrying import carry, onto_labelled, there_and_back
from equireg.folders.prepared import PreparedSet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("prepared", type=Path)
    parser.add_argument("--pairs", type=int, default=6)
    options = parser.parse_args()
    data = PreparedSet(options.prepared)
    cases = [case for case in data.manifest.cases if case.labelled and case.split == "train"]
    rng, rows = np.random.default_rng(0), []
    with tempfile.TemporaryDirectory() as folder:
        while len(rows) < options.pairs:
            one, other = (cases[int(index)] for index in rng.choice(len(cases), 2, replace=False))
            if one.patient == other.patient:
                continue
            begin = time.process_time()
            likeness = carry(data, one.name, (other.name,), Path(folder)).likeness
            seconds = time.process_time() - begin
            dice = onto_labelled(data, one.name, (other.name,), Path(folder))
            back = there_and_back(data, one.name, (other.name,), Path(folder))
            rows.append((dice, likeness, back, seconds))
            show("pair", rows[-1])
    show("mean", np.mean(rows, axis=0))


def show(what: str, numbers: Sequence[float]) -> None:
    dice, likeness, back, seconds = numbers
    print(
        f"{what}: dice {dice:.3f}, correlation {likeness:.3f}, there and back {back:.3f}, {seconds:.2f} s", flush=True
    )


if __name__ == "__main__":
    main()
