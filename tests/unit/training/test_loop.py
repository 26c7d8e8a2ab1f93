"""Lightning's trainer, as it is made for a run."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

from equireg.config import TrainConfig
from equireg.processes import launching
from equireg.training.loop import Watchers, make_trainer

JOB = {"SLURM_JOB_ID": "11", "SLURM_JOB_NAME": "train", "SLURM_NODEID": "0"}
"""What SLURM tells the tasks of a job."""


def environment_of(out: Path, devices: int) -> Any:
    config = TrainConfig(devices=devices, max_steps=2)
    trainer = make_trainer(out, config, torch.device("cpu"), "32", False, Watchers([]))
    return trainer._accelerator_connector.cluster_environment


def test_the_tasks_of_a_job_may_be_trainings_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**JOB, "SLURM_NTASKS": "4", "SLURM_PROCID": "3", "SLURM_LOCALID": "3"}.items():
        monkeypatch.setenv(name, value)
    assert isinstance(environment_of(tmp_path, 1), LightningEnvironment)


def test_a_signal_of_slurm_starts_no_queueing_by_lightning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = {"SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_PROCID": "0", "SLURM_LOCALID": "0"}
    for name, value in {**JOB, **tasks}.items():
        monkeypatch.setenv(name, value)
    found = environment_of(tmp_path, 2)
    assert isinstance(found, SLURMEnvironment)
    assert not found.auto_requeue
    monkeypatch.setattr(launching, "launched_here", lambda: True)
    assert isinstance(environment_of(tmp_path, 2), LightningEnvironment)
