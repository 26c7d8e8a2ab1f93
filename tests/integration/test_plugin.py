"""A package outside the tree adds a method, a network, a layout, a metric and a logger, known to every process."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import yaml

PLUGIN = Path(__file__).parents[1] / "plugin"
SOURCE = Path(__file__).parents[2] / "src"
ENTRY_POINTS = """[equireg.methods]
weighted = equireg_example.method:Weighted
[equireg.networks]
flat = equireg_example.network:FLAT
[equireg.layouts]
scan_truth = equireg_example.layout:find
[equireg.metrics]
recall = equireg_example.metric:RECALL
"""
TINY = (
    "--max_steps",
    "1",
    "--val_every",
    "1",
    "--log_every",
    "1",
    "--batch_size",
    "2",
    "--device",
    "cpu",
    "--precision",
    "32",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder that says what an installed package's would: which entry points it has."""
    site = tmp_path_factory.mktemp("site")
    folder = site / "equireg_example-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: equireg-example\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(ENTRY_POINTS)
    return site


def run(paths: tuple[Path, ...], *words: object, **variables: str) -> str:
    """Run the command with folders on Python's path, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "equireg.cli", *map(str, words)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (SOURCE, *paths))), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def prepared(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    raw = tmp_path_factory.mktemp("plugin") / "raw"
    raw.mkdir()
    rng = np.random.default_rng(0)
    for index in range(4):
        scan = rng.normal(100, 10, (16, 16, 4)).astype(np.float32)
        truth = np.zeros((16, 16, 4), np.uint8)
        truth[4:10, 4:10] = 1
        nib.save(nib.Nifti1Image(scan + 50 * truth, np.eye(4)), raw / f"case{index}.scan.nii.gz")
        nib.save(nib.Nifti1Image(truth, np.eye(4)), raw / f"case{index}.truth.nii.gz")
    out = raw.parent / "prepared"
    output = run((PLUGIN, site), "prepare", raw, "-o", out, "--val-fraction", 0.25, "--test-fraction", 0.25, "-j", 1)
    assert "scan_truth" in output
    return out


@pytest.mark.slow
def test_entry_points_reach_a_sweeps_workers(site: Path, prepared: Path, tmp_path: Path) -> None:
    plan = {
        "prepared": str(prepared),
        "train": dict(zip((word.lstrip("-") for word in TINY[::2]), map(yaml.safe_load, TINY[1::2]), strict=True)),
        "grid": {"method.factor": [1.0, 3.0]},
    }
    plan["train"] |= {"method": "weighted", "network": {"name": "flat", "width": 3}}
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(plan))
    run((PLUGIN, site), "sweep", tmp_path / "sweep.yaml", "--out", tmp_path / "out", "--jobs", 2)
    config = yaml.safe_load((tmp_path / "out" / "runs" / "factor3.0" / "config.yaml").read_text())
    assert config["method"] == {"name": "weighted", "factor": 3.0}
    assert config["network"] == {"name": "flat", "downsample": None, "width": 3}
    scores = pd.read_csv(tmp_path / "out" / "evaluations" / "factor3.0" / "metrics.csv")
    assert scores.query("metric == 'recall'")["value"].between(0, 1).all()
    assert len(scores.query("metric == 'recall'")) == 1


@pytest.mark.slow
def test_the_variable_reaches_ranks(prepared: Path, tmp_path: Path) -> None:
    words = ("train", prepared, "-o", tmp_path / "run", "--method", "weighted_too", "--method.factor", 3, *TINY)
    run(
        (PLUGIN,),
        *words,
        "--network",
        "flat-too",
        "--logger",
        "example",
        "--devices",
        2,
        EQUIREG_PLUGINS="equireg_example.registering",
    )
    config: Mapping[str, Mapping[str, object]] = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert config["method"] == {"name": "weighted_too", "factor": 3.0}
    assert (tmp_path / "run" / "example" / "metrics.csv").is_file()


@pytest.mark.slow
def test_help_completion_and_schema_know_them(site: Path) -> None:
    assert "--method.factor" in run((PLUGIN, site), "train", "--method", "weighted", "--help-all")
    assert "--network.width" in run((PLUGIN, site), "completion", "bash")
    assert '"weighted"' in run((PLUGIN, site), "schema", "train")
