"""Print the table of sweeps as Markdown: mean and standard deviation over seeds, and each seed's Dice.

    python benchmarks/few_labels/table.py SWEEP_OR_EVALUATION...

Arguments are outputs of `equireg sweep`, and evaluations of predictions that others made (nnU-Net's), whose row is
named by the folder's name up to its last dash; the rest of the name is the seed.
"""

import json
import sys
from pathlib import Path

import pandas as pd


def rows_of(folder: Path) -> pd.DataFrame:
    """Return one row a run: data set, row name, seed and the means over cases."""
    if (folder / "results.csv").is_file():
        table = pd.read_csv(folder / "results.csv")
        return table.assign(data=folder.name.removesuffix("-sweep"), row=table["method"])
    summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    row, _, seed = folder.name.rpartition("-")
    facts = {"data": row.partition("-")[2] or "other", "row": row.partition("-")[0], "seed": int(seed)}
    return pd.DataFrame([{**facts, "cases": summary["cases"], **summary["mean"]}])


def main() -> None:
    """Print the table."""
    runs = pd.concat([rows_of(Path(argument)) for argument in sys.argv[1:]], ignore_index=True)
    print("| data | method | test cases | Dice, mean ± sd over seeds | each seed | HD95, mm | NSD, 1 mm |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    runs = runs.sort_values(["data", "row", "seed"], ascending=[True, False, True])
    for name, group in runs.groupby(runs["data"] + " | " + runs["row"], sort=False):
        dice = group["dice"]
        each = ", ".join(f"{value:.3f}" for value in dice)
        spread = f"{dice.mean():.3f} ± {dice.std():.3f}" if len(group) > 1 else f"{dice.mean():.3f}"
        print(
            f"| {name} | {int(group['cases'].iloc[0])} | {spread} | {each} | "
            f"{group['hd95_mm'].mean():.1f} | {group['nsd'].mean():.3f} |"
        )


if __name__ == "__main__":
    main()
