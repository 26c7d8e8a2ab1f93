"""The tables of the sweeps over test cases at half resolution, as benchmarks/strength/test_cases.py makes them."""

import sys
from collections.abc import Mapping
from typing import Any

from sources import ROOT, Row

FOLDER = ROOT / "benchmarks" / "strength"
RESULTS = "benchmarks/strength/results/test-small.csv"
LONGER = "benchmarks/strength/results/test-length.csv"
ALL = "benchmarks/strength/results/test-all.csv"
_SHOWN = {
    **{"hippocampus": "hippocampus, 1 case", "lgg": "lgg, 4 patients", "acdc": "acdc, 3 patients"},
    **{"hippocampus 1": "hippocampus, 1 case", "hippocampus 5": "hippocampus, 5 cases"},
    **{"lgg 4": "lgg, 4 patients", "lgg 8": "lgg, 8 patients"},
    **{"acdc 2": "acdc, 1 patient", "acdc 6": "acdc, 3 patients"},
    **{f"{name} all": f"{name}, all" for name in ("hippocampus", "lgg", "acdc")},
}


def _script() -> Any:
    sys.path.insert(0, str(FOLDER))
    import test_cases  # pyright: ignore[reportMissingImports]

    return test_cases


def dice(results: str = RESULTS) -> Mapping[str, Row]:
    """Return draws and the mean Dice of each method by data set, and the mean over the sets."""
    script = _script()
    sets = script.read(ROOT / results)
    means = {name: [float(sets[name][method].mean()) for method in sets[name]] for name in _SHOWN if name in sets}
    rows: dict[str, Row] = {_SHOWN[name]: [len(sets[name]["equireg"]), *values] for name, values in means.items()}
    return rows | {"mean": [[], *(sum(column) / len(means) for column in zip(*means.values(), strict=True))]}


def leads(results: str = RESULTS) -> Mapping[str, Row]:
    """Return EquiReg's lead over each other method, with its interval, by data set and over all of them."""
    script = _script()
    found = script.differences(script.read(ROOT / results))
    names = {name: shown for name, shown in {**_SHOWN, "mean": "mean"}.items() if name in found["supervised"]}
    return {shown: [list(rows[name]) for rows in found.values()] for name, shown in names.items()}
