"""Loggers with their real libraries, without a network; skipped where a library is not installed."""

import json
from pathlib import Path
from typing import Any

import pytest

from equireg.training.train import train

TINY: dict[str, Any] = {
    "method": "supervised",
    "network.features": 4,
    "max_steps": 2,
    "val_every": 2,
    "log_every": 1,
    "batch_size": 2,
    "device": "cpu",
    "precision": "32",
}
pytestmark = pytest.mark.filterwarnings("ignore")  # what the libraries say of their own parts is not ours


def wanted(name: str) -> Any:
    return pytest.importorskip(name, reason=f"{name} is not installed: pip install 'equireg[{name}]'")


def test_mlflow_keeps_the_scores_of_a_run(
    phantom_prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = wanted("mlflow")
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    run = train(phantom_prepared, tmp_path / "run", logger="mlflow", **TINY)
    client = mlflow.MlflowClient(f"sqlite:///{run / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("equireg")
    (found,) = client.search_runs([experiment.experiment_id])
    assert (found.info.run_name, found.info.status) == ("run", "FINISHED")
    assert {"train/total", "val/dice", "val/dice/whole"} <= set(found.data.metrics)
    history = client.get_metric_history(found.info.run_id, "train/total")
    assert [point.step for point in history] == [0, 1]  # Lightning counts from 0
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_wandb_writes_offline(phantom_prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = wanted("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    for name in ("WANDB_CACHE_DIR", "WANDB_CONFIG_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "own"))
    run = train(phantom_prepared, tmp_path / "run", logger="wandb,csv", **TINY)
    summary = dict(wandb.run.summary) if wandb.run is not None else {}
    wandb.finish()
    (kept,) = (run / "wandb").glob("offline-run-*/*.wandb")
    assert kept.stat().st_size > 0
    assert {"train/total", "val/dice"} <= set(summary)
    assert json.dumps(summary["val/dice"])
    assert (run / "csv" / "metrics.csv").is_file()
