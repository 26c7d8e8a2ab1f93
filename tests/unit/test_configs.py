"""Every config and sweep file that we ship can be run as it stands."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from equireg.config import TrainConfig
from equireg.config.parsing import from_plain, nested
from equireg.config.yaml_files import read_yaml
from equireg.model import config_from
from equireg.pipeline.sweepfile import SweepConfig, list_runs

ROOT = Path(__file__).parents[2]
YAML = sorted(path for folder in ("configs", "benchmarks") for path in (ROOT / folder).rglob("*.yaml"))
SWEEPS = [path for path in YAML if {"grid", "parts"} & read_yaml(path).keys()]
CONFIGS = [path for path in YAML if path not in SWEEPS]
SHIPPED = [path for path in CONFIGS if path.is_relative_to(ROOT / "configs")]


def test_there_are_configs_and_sweeps() -> None:
    assert len(SHIPPED) >= 10
    assert len(SWEEPS) >= 3


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_config_builds_with_its_own_method(path: Path) -> None:
    config = config_from(nested(read_yaml(path)))
    assert path not in SHIPPED or path.stem.startswith(config.method.name)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_config_says_source_command_and_what_to_expect(path: Path) -> None:
    header = "\n".join(line for line in path.read_text().splitlines() if line.startswith("#"))
    for word in ("Source:", "Command:", "Dice:", "Time:"):
        assert word in header
    assert str(path.relative_to(ROOT)) in header


@cache
def runs_of(path: Path) -> dict[str, TrainConfig]:
    """Return the runs of a sweep by name; runs that differ in their seed alone are parsed once."""
    parsed: dict[str, TrainConfig] = {}
    configs = {}
    for run in list_runs(from_plain(SweepConfig, read_yaml(path)), path.parent):
        unseeded = json.dumps({name: value for name, value in run.options.items() if name != "seed"}, sort_keys=True)
        if unseeded not in parsed:
            parsed[unseeded] = config_from(nested(run.options))
        configs[run.name] = replace(parsed[unseeded], seed=run.options.get("seed", TrainConfig().seed))
    return configs


@pytest.mark.parametrize(
    "path",
    [path if path.is_relative_to(ROOT / "configs") else pytest.param(path, marks=pytest.mark.slow) for path in SWEEPS],
    ids=lambda path: path.name,
)
def test_sweep_lists_runs_that_build(path: Path) -> None:
    configs = runs_of(path)
    assert len(configs) >= 6
    # What is chosen on validation cases has other seeds than what is reported on test cases.
    found = {config.seed for config in configs.values()}
    if path.parent.name in ("ablation", "choose"):
        assert found <= set(range(1, 9))
        assert len(found) >= 3
    elif path.parent.name == "report":
        assert found == ({42} if path.stem.endswith("-longer") else set(range(42, 48)))
    else:
        assert found == {42, 43, 44}


def test_the_sweep_of_the_thesis_has_its_runs() -> None:
    """Supervised and EquiReg: 1, 5, 10 % with three seeds and repeats each, all labels with three repeats."""
    configs = runs_of(ROOT / "configs" / "brats2019" / "thesis.yaml")
    assert len(configs) == 2 * (3 * 3 * 3 + 3)
    stops = {}
    for config in configs.values():
        stops.setdefault((config.method.name, config.sup_cut), set()).add(config.early_stopping_steps)
        assert (config.batch_size, config.optimizer.name, config.optimizer.lr) == (2, "adam", 1e-3)
    few = {0.01: {10_000}, 0.05: {20_000}, 0.1: {30_000}}
    expected = {(method, cut): steps for method in ("supervised", "equireg") for cut, steps in few.items()}
    assert stops == expected | {("supervised", 1.0): {None}, ("equireg", 1.0): {40_000}}
    assert "equireg-thesis-supcut0.05-seed43-repeat2" in configs
