"""Every config and sweep file that we ship can be run as it stands."""

from pathlib import Path

import pytest

from equireg.checkpoint import config_from
from equireg.config.parsing import from_plain, nested, read_yaml
from equireg.pipeline.sweep import SweepConfig, list_runs

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").rglob("*.yaml"))
SWEEPS = sorted((ROOT / "benchmarks").rglob("*.yaml"))


def test_there_are_configs_and_sweeps() -> None:
    assert len(CONFIGS) >= 6
    assert len(SWEEPS) >= 3


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_config_builds_with_its_own_method(path: Path) -> None:
    config = config_from(nested(read_yaml(path)))
    assert path.stem.startswith(config.method.name)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_config_says_source_command_and_what_to_expect(path: Path) -> None:
    header = "\n".join(line for line in path.read_text().splitlines() if line.startswith("#"))
    for word in ("Source:", "Command:", "Dice:", "Time:"):
        assert word in header
    assert str(path.relative_to(ROOT)) in header


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.name)
def test_sweep_lists_runs_that_build(path: Path) -> None:
    runs = list_runs(from_plain(SweepConfig, read_yaml(path)), path.parent)
    assert len(runs) >= 6
    for run in runs:
        assert config_from(nested(run.options)).seed in (42, 43, 44)
