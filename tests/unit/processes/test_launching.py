"""The processes of a run: who starts them, and whose error is told."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from equireg.errors import EquiregError, UsageError
from equireg.processes import launching
from equireg.processes.ranks import Rank


def work(out: str, fails: str) -> None:
    """Be what ranks do in these tests: the first one says where it is; the second one may fail."""
    rank = os.environ["RANK"]
    Path(out, rank).write_text(os.environ["WORLD_SIZE"])
    if fails == "killed" and rank == "1":
        os.kill(os.getpid(), signal.SIGKILL)
    if fails and rank == "1":
        raise UsageError("--lr is wrong.")
    if fails == "both":
        raise RuntimeError("the connection is closed by the peer")
    if fails:
        time.sleep(60)  # waits for the other, as a rank on a GPU does


@pytest.fixture(autouse=True)
def _importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
    monkeypatch.setattr(launching, "_PATIENCE_S", 0.5)

    def late(*_: object) -> None:
        raise TimeoutError("the ranks did not end")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.slow
def test_each_rank_runs_once(tmp_path: Path) -> None:
    launching.launch("test_launching:work", {"out": str(tmp_path), "fails": ""}, 2)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"0": "2", "1": "2"}


@pytest.mark.parametrize(
    ("fails", "kind", "message"),
    [
        pytest.param("both", UsageError, "--lr is wrong.", marks=pytest.mark.slow),
        ("killed", EquiregError, r"Process 1 was killed \(signal 9\), .* train anew with another --out and a lower"),
    ],
)
def test_an_error_of_one_rank_ends_all(tmp_path: Path, fails: str, kind: type[Exception], message: str) -> None:
    with pytest.raises(EquiregError, match=message) as caught:
        launching.launch("test_launching:work", {"out": str(tmp_path), "fails": fails}, 2)
    assert type(caught.value) is kind


def test_a_launchers_processes_know_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"):
        monkeypatch.delenv(name, raising=False)
    assert launching.place(1, 1) == Rank()
    assert launching.place(2, 1) is None
    with pytest.raises(UsageError, match="Start them by torchrun or srun"):
        launching.place(2, 2)
    monkeypatch.setenv("SLURM_PROCID", "3")
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "4")
    with pytest.raises(UsageError, match="srun has started 4 processes, --devices 2 and --nodes 1 ask for 2"):
        launching.place(2, 1)
    assert launching.place(2, 2) == Rank(3, 4, 1)
    monkeypatch.setenv("SLURM_LOCALID", "0")
    assert launching.place(2, 2) == Rank(3, 4, 0), "cyclic distribution"
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert launching.place(2, 2) == Rank(1, 4, 1), "torchrun on two machines"
    assert launching.place(4, 1) == Rank(1, 4, 1), "torchrun inside of SLURM"
