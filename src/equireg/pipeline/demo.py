"""`equireg demo`: phantom scans through all steps.

Supervised against EquiReg on few labels, quality against the truth, the scans to annotate next, and the viewer.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd

from equireg import disk, folders
from equireg.annotation.suggest import suggest
from equireg.config import DemoConfig
from equireg.config.parsing import options_from, to_plain
from equireg.errors import printable
from equireg.evaluation.evaluate import evaluate
from equireg.folders.evaluation import read_scores
from equireg.folders.quality import read_quality
from equireg.phantom import PhantomConfig, write_dataset
from equireg.pipeline.heartbeat import heartbeat, how_far
from equireg.pipeline.side_by_side import side_by_side
from equireg.pipeline.sweep import RESULTS, do_sweep
from equireg.pipeline.sweepfile import SweepConfig
from equireg.processes.jobs import may_start_others
from equireg.statistics import rank_correlation
from equireg.viewing.view import view

log = logging.getLogger("equireg")

_PARTS, _SUGGESTED, _LOOKS = 5, 3, 5
_GRID: dict[str, Any] = {"shape": (40, 40, 20), "spacing_mm": (4.8, 4.8, 6.0)}
_SHORT = {"batch_size": 8, "unsup_ratio": 1, "optimizer.lr": 5e-3}
"""Options of a run of a minute: as many unlabelled as labelled samples, and a learning rate for few steps."""
DEMO_METHODS = ("supervised", "equireg")
"""The two that the demo compares."""


def demo(out: Path | str, config: DemoConfig | None = None, **options: Any) -> pd.DataFrame:
    """Write phantom scans in BraTS layout, train supervised and EquiReg on few labels, score, report and suggest.

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
    total, masked = config.cases + config.test_cases, config.labelled + config.test_cases
    _say(1, f"{total} phantom scans, {masked} of them with a mask")
    raw = write_dataset(out / "phantoms", PhantomConfig(**_GRID, cases=total, seed=config.seed, masked=masked))
    _say(2, f"two models, from {config.labelled} masks and {config.cases} scans; then {config.test_cases} other scans")
    _train_both(raw, out, config)
    table = pd.read_csv(out / RESULTS)
    picture = _picture(out)
    _say(3, "how far each prediction can be trusted, without a mask")
    correlation = _trust(out)
    _say(4, "which scans to annotate next")
    with heartbeat(lambda: "looking at the scans without a mask"):
        suggestions = suggest(out / "prepared", out / "next", count=_SUGGESTED, run=(str(out / "runs" / "equireg"),))
    _say(5, "a page to look at the predictions")
    view(out / "predictions" / "equireg", out / "view.html")
    folders.sign(out, "demo", to_plain(config), seed=config.seed)
    shown = table[["method", "labelled_cases", "unlabelled_cases", "cases", "dice", "hd95_mm", "nsd"]]
    print(shown.round(3).to_string(index=False))
    _tell(out, config, correlation, [suggestion.case for suggestion in suggestions], picture)
    return table


def _say(number: int, what: str) -> None:
    log.info("[%d of %d] %s", number, _PARTS, what)


def _train_both(raw: Path, out: Path, config: DemoConfig) -> None:
    """Prepare, then train, predict and score both methods at once, one thread each; report on them."""
    plan = SweepConfig(
        raw=str(raw),
        prepare={
            "val_fraction": 0.0,
            "test_fraction": config.test_cases / (config.labelled + config.test_cases),
            "split_seed": config.seed,
        },
        train={
            **_SHORT,
            "max_steps": config.max_steps,
            "val_every": max(1, config.max_steps // _LOOKS),  # when metrics.csv is written, which the heartbeat reads
            "network.features": config.features,
            "seed": config.seed,
        },
        grid={"method": list(DEMO_METHODS)},
    )
    runs = {method: out / "runs" / method for method in DEMO_METHODS}
    evaluations = {method: out / "evaluations" / method for method in DEMO_METHODS}
    with heartbeat(lambda: how_far(runs, evaluations, config.max_steps)):
        # Both runs at once, one thread each: on a busy machine, threads of one run would wait for each other.
        do_sweep(plan, out, out, jobs=2 if may_start_others() else 1)


def _trust(out: Path) -> float:
    """Return the rank correlation (Spearman) of the quality, which needs no mask, with the Dice of the test cases."""
    dice = _dice(out, "equireg")
    rows = [row for row in read_quality(out / "predictions" / "equireg") if row.quality is not None]
    both = np.array([(row.quality, dice[row.case]) for row in rows if row.case in dice]).reshape(-1, 2)
    return rank_correlation(*both.T) if len(both) > 1 else float("nan")


def _tell(out: Path, config: DemoConfig, correlation: float, cases: Sequence[str], picture: Path) -> None:
    """Print what came out, and what to do next."""
    lines = (
        "",
        f"Trust: over {config.test_cases} test scans the rank correlation of quality with Dice is {correlation:.2f}.",
        f"Annotate next: {', '.join(cases)}",
        "",
        f"One case in a picture:     {picture}",
        f"The predictions in 3D:     {out / 'view.html'}",
        f"What to annotate, and why: {out / 'next' / 'index.html'}",
        "",
        "With your own scans:",
        "  equireg prepare SCANS --out prepared",
        "  equireg train prepared --out run --max_minutes 60",
        "  equireg predict run NEW_SCANS --out predictions",
        "  equireg suggest prepared --run run --count 5 --out next",
        "",
        f"The page: {out / 'report' / 'index.html'}",
    )
    for line in lines:
        print(printable(line))


def _dice(out: Path, method: str) -> dict[str, float]:
    """Return the Dice of each test case by a method, averaged over the regions."""
    scores = read_scores(out / "evaluations" / method)
    of_case: dict[str, list[float]] = {}
    for (case, _, metric), value in scores.items():
        if metric == "dice" and value is not None:
            of_case.setdefault(case, []).append(value)
    return {case: fmean(values) for case, values in of_case.items()}


def _picture(out: Path) -> Path:
    """Draw one test case by both methods: that whose Dice, averaged over both, is the median, so no rare one."""
    both = pd.DataFrame({method: _dice(out, method) for method in DEMO_METHODS}).mean(axis=1).sort_values()
    case = str(both.index[len(both) // 2])
    for method in DEMO_METHODS:
        evaluate(out / "predictions" / method, out / "prepared", out / "pictured" / method, pictures=[case])
    return side_by_side({method: out / "pictured" / method for method in DEMO_METHODS}, case, out / "side_by_side.png")
