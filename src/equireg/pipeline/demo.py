"""`equireg demo`: phantom scans through all steps, supervised against EquiReg on few labels."""

from pathlib import Path
from typing import Any

import pandas as pd

from equireg import disk, folders
from equireg.config import DemoConfig
from equireg.config.parsing import options_from, to_plain
from equireg.errors import printable
from equireg.evaluation.evaluate import evaluate
from equireg.folders.evaluation import read_scores
from equireg.phantom import PhantomConfig, write_dataset
from equireg.pipeline.side_by_side import side_by_side
from equireg.pipeline.sweep import RESULTS, do_sweep
from equireg.pipeline.sweepfile import SweepConfig

DEMO_METHODS = ("supervised", "equireg")
"""The two that the demo compares."""


def demo(out: Path | str, config: DemoConfig | None = None, **options: Any) -> pd.DataFrame:
    """Write phantom scans in BraTS layout, train supervised and EquiReg on few labels, score and report.

    Args:
        out: the new folder; its page is ``report/index.html``.
        config: the options; or give them by name.
        options: those of ``DemoConfig``, laid over ``config``.

    Returns:
        The table: a row a run.

    Raises:
        EquiregError: if the folder exists.
    """
    config = options_from(DemoConfig, config, options)
    out = disk.refuse_existing(out).absolute()
    total = config.cases + config.test_cases
    raw = write_dataset(out / "phantoms", PhantomConfig(cases=total, seed=config.seed))
    plan = SweepConfig(
        raw=str(raw),
        prepare={"val_fraction": 0.0, "test_fraction": config.test_cases / total, "split_seed": config.seed},
        train={
            "sup_cases": config.labelled,
            "unsup_ratio": 2,
            "max_steps": config.max_steps,
            "val_every": config.max_steps,
            "network.features": config.features,
            "seed": config.seed,
        },
        grid={"method": list(DEMO_METHODS)},
    )
    # Both runs at once, one thread each: on a busy machine, threads of one run would wait for each other.
    do_sweep(plan, out, out, jobs=2)
    table = pd.read_csv(out / RESULTS)
    picture = _picture(out)
    folders.sign(out, "demo", to_plain(config), seed=config.seed)
    shown = table[["method", "labelled_cases", "unlabelled_cases", "cases", "dice", "hd95_mm", "nsd"]]
    print(shown.round(3).to_string(index=False))
    print(printable(f"\nOne case in a picture: {picture}"))
    print(printable(f"The page: {out / 'report' / 'index.html'}"))
    return table


def _picture(out: Path) -> Path:
    """Draw one test case by both methods: that whose Dice, averaged over both, is the median, so no rare one."""
    dice = {}
    for method in DEMO_METHODS:
        scores = read_scores(out / "evaluations" / method)
        rows = [(case, value) for (case, _, metric), value in scores.items() if metric == "dice"]
        dice[method] = pd.DataFrame(rows, columns=["case", "value"]).groupby("case")["value"].mean()
    both = pd.DataFrame(dice).mean(axis=1).sort_values()
    case = str(both.index[len(both) // 2])
    for method in DEMO_METHODS:
        evaluate(out / "predictions" / method, out / "prepared", out / "pictured" / method, pictures=[case])
    return side_by_side({method: out / "pictured" / method for method in DEMO_METHODS}, case, out / "side_by_side.png")
