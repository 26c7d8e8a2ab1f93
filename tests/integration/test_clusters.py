"""Sweep, prepare and predict on a Ray cluster of two machines and in a queue, all of them this machine."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import worker_tasks
from equireg.errors import EquiregError
from equireg.folders.prepared import PreparedSet
from equireg.prediction.predict import predict
from equireg.preparation.prepare import prepare
from equireg.processes.workers import Cluster, WorkerDiedError, Workers, slurm
from worker_tasks import die_until

Command = Callable[..., Any]

pytestmark = [pytest.mark.filterwarnings("ignore:.*:ResourceWarning:ray"), pytest.mark.slow]  # clusters are begun


@pytest.fixture(scope="module", params=["ray", "slurm"])
def cluster(request: pytest.FixtureRequest) -> Iterator[str]:
    """Start two Ray nodes of one core each, or let processes of this machine be Slurm's jobs."""
    with pytest.MonkeyPatch.context() as patched:
        if request.param == "ray":
            yield from _ray(patched)
        else:
            pytest.importorskip("submitit")
            patched.setattr(slurm, "_EXECUTOR", "local")
            yield "slurm"


def _ray(patched: pytest.MonkeyPatch) -> Iterator[str]:
    cluster_utils = pytest.importorskip("ray.cluster_utils")
    from ray import cloudpickle

    for module in (sys.modules[__name__], worker_tasks):  # they are not installed on the nodes
        cloudpickle.register_pickle_by_value(module)
    node = {"num_cpus": 1, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    started = cluster_utils.Cluster(initialize_head=True, head_node_args=node)
    started.add_node(**node)
    patched.setenv("RAY_ADDRESS", started.address)
    yield "ray"
    started.shutdown()


def where(folder: Path, name: str) -> str:
    """Return the node that a task runs on, once two tasks run."""
    import ray

    (folder / name).touch()
    end = time.monotonic() + 60
    while len(list(folder.iterdir())) < 2:
        assert time.monotonic() < end, "the other task never began"
        time.sleep(0.02)
    return ray.get_runtime_context().get_node_id()


def fail(word: str) -> None:
    raise EquiregError(word)


def test_tasks_run_on_both_nodes_and_a_dead_worker_is_replaced(cluster: str, tmp_path: Path) -> None:
    if cluster == "slurm":
        pytest.skip("tests/unit/processes/test_slurm.py does it")
    for folder in ("where", "die"):
        (tmp_path / folder).mkdir()
    with Workers(0, Cluster("ray")) as workers:
        nodes = dict(workers.run(where, {name: (tmp_path / "where", name) for name in "ab"}))
        assert len(set(nodes.values())) == 2, nodes
        tasks = {name: (tries, tmp_path / "die", name) for name, tries in (("good", 0), ("once", 1), ("always", 9))}
        found = dict(workers.run(die_until, tasks))
        (failure,) = dict(workers.run(fail, {"word": ("bad scan",)})).values()
    assert (found["good"], found["once"]) == (1, 2)
    assert isinstance(found["always"], WorkerDiedError)
    assert "always: its process on the Ray cluster died" in str(found["always"])
    assert (type(failure), str(failure)) == (EquiregError, "bad scan")


def test_prepare_makes_the_same(
    cluster: str, phantom_raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, equireg: Command
) -> None:
    monkeypatch.chdir(phantom_raw.parent)  # its workers are elsewhere: relative paths must not reach them
    outcome = equireg("prepare", phantom_raw.name, "--out", tmp_path / cluster, "--cluster", cluster)
    assert outcome.code == 0, outcome.err
    prepare(phantom_raw, tmp_path / "local", jobs=1)
    one, other = PreparedSet(tmp_path / "local"), PreparedSet(tmp_path / cluster)
    assert one.manifest == other.manifest
    for case in one.manifest.cases:
        np.testing.assert_array_equal(np.asarray(one.image(case.name)[:]), np.asarray(other.image(case.name)[:]))
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / cluster).glob("cases/*/*")}
    assert equireg("prepare", phantom_raw.name, "--out", tmp_path / cluster, "--cluster", cluster).code == 0
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / cluster).glob("cases/*/*")} == before


def test_predict_makes_the_same(cluster: str, phantom_run: Path, phantom_prepared: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"device": "cpu", "precision": "32", "split": "train", "test_time": "none"}
    for name in ("local", cluster):
        predict(phantom_run, phantom_prepared, tmp_path / name, cluster=name, **options)
    names = {path.name for path in (tmp_path / "local").iterdir()}
    assert {path.name for path in (tmp_path / cluster).iterdir()} == names
    scans = [name for name in names if name.endswith(".nii.gz")]
    assert len(scans) == 4
    for name in scans:
        assert (tmp_path / cluster / name).read_bytes() == (tmp_path / "local" / name).read_bytes()


def test_a_sweep_does_each_run_once(cluster: str, phantom_prepared: Path, tmp_path: Path, equireg: Command) -> None:
    shared = {"network.features": 4, "max_steps": 2, "val_every": 2, "batch_size": 2, "device": "cpu"}
    content = {
        "prepared": str(phantom_prepared),
        "train": {**shared, "precision": "32"},
        "predict": {"test_time": "none", "device": "cpu", "precision": "32"},
        "grid": {"method": ["supervised"], "seed": [1, 2]},
    }
    (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(content))
    tables = {}
    for name in ("local", cluster):
        outcome = equireg("sweep", tmp_path / "sweep.yaml", "--out", tmp_path / name, "--cluster", name)
        assert outcome.code == 0, outcome.err
        tables[name] = pd.read_csv(tmp_path / name / "results.csv")
    pd.testing.assert_frame_equal(tables["local"], tables[cluster], atol=1e-3)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / cluster).glob("*/*/made_by.json")}
    assert len(before) == 6
    again = equireg("sweep", tmp_path / "sweep.yaml", "--out", tmp_path / cluster, "--cluster", cluster)
    assert (again.code, "2 runs, 0 of them to do" in again.err) == (0, True)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / cluster).glob("*/*/made_by.json")} == before
