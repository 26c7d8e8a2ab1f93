"""A Slurm queue, with processes of this machine for its jobs."""

import os
import pickle
import sys
import time
from pathlib import Path

import pytest

import worker_tasks
from equireg.disk import partial_name
from equireg.errors import EquiregError, UsageError
from equireg.processes.workers import Cluster, WorkerDiedError, Workers, pilot, slurm
from worker_tasks import die_until

pytest.importorskip("submitit")


def double(number: int) -> int:
    if number < 0:
        raise UsageError(f"got {number}")
    return 2 * number


@pytest.fixture
def queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    import cloudpickle

    for module in (sys.modules[__name__], worker_tasks):  # they are not installed
        cloudpickle.register_pickle_by_value(module)
    monkeypatch.setattr(slurm, "_EXECUTOR", "local")
    monkeypatch.setattr(slurm, "_CHECK_SECONDS", 0.5)
    return Cluster("slurm", beside=tmp_path / "out")


@pytest.mark.slow
def test_jobs_take_tasks_and_one_that_dies_is_replaced(queue: Cluster, tmp_path: Path) -> None:
    with Workers(2, queue) as workers:
        found = dict(workers.run(double, {"a": (1,), "b": (-1,), "c": (4,), "d": (5,), "e": (6,), "f": (7,)}))
        tasks = {name: (tries, tmp_path, name) for name, tries in (("good", 0), ("once", 1), ("always", 9))}
        later = dict(workers.run(die_until, tasks))
    assert {name: found[name] for name in "acdef"} == {"a": 2, "c": 8, "d": 10, "e": 12, "f": 14}
    assert (type(found["b"]), str(found["b"])) == (UsageError, "got -1")
    assert (later["good"], later["once"]) == (1, 2)
    assert isinstance(later["always"], WorkerDiedError)
    assert "always: its Slurm job" in str(later["always"])
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]  # the folder of tasks is gone


@pytest.mark.slow
def test_jobs_that_do_nothing_end_the_command(queue: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pilot, "work", idle)
    with pytest.raises(EquiregError, match=r"3 jobs ended and did nothing.*Install the same equireg"):  # noqa: SIM117
        with Workers(1, queue) as workers:
            list(workers.run(double, {"a": (1,), "b": (2,)}))


def idle(folder: Path) -> int:
    return 0


@pytest.mark.parametrize("word", ["gpu", "--partition=gpu", "partition=gpu\n#SBATCH --wrap=rm", "=3", "name="])
def test_words_that_are_no_options_of_sbatch_are_refused(word: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected long options of sbatch"):
        Workers(1, Cluster("slurm", (word,), tmp_path / "out"))
    assert list(tmp_path.iterdir()) == []


def test_a_machine_without_slurm_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EquiregError, match="this machine submits no jobs"):
        Workers(1, Cluster("slurm", (), tmp_path / "out"))


def test_submitit_that_is_not_installed_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(UsageError, match=r"pip install 'equireg\[slurm\]'"):
        Workers(1, Cluster("slurm", (), tmp_path / "out"))


def test_a_job_takes_the_tasks_in_their_order_and_ends_when_the_folder_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pilot, "job_number", lambda: "12_3")
    for name in (pilot.WAITING, pilot.TAKEN, pilot.DONE):
        (tmp_path / name).mkdir()
    (tmp_path / pilot.ALIVE).touch()
    for name, task in (("1", (len, ("abc",))), ("2", (Path.touch, (tmp_path / pilot.CLOSED,))), ("3", (len, ("",)))):
        (tmp_path / pilot.WAITING / name).write_bytes(pickle.dumps(task))
    assert pilot.work(tmp_path) == 2
    assert pickle.loads((tmp_path / pilot.DONE / "1").read_bytes()) == 3
    assert sorted(path.name for path in (tmp_path / pilot.TAKEN).iterdir()) == ["1.12_3", "2.12_3"]
    assert [path.name for path in (tmp_path / pilot.WAITING).iterdir()] == ["3"]


@pytest.mark.parametrize("orphaned", [True, False])
def test_a_job_ends_with_its_owner(orphaned: bool, tmp_path: Path) -> None:
    for name in (pilot.WAITING, pilot.TAKEN, pilot.DONE):
        (tmp_path / name).mkdir()
    (tmp_path / pilot.ALIVE).touch()
    if orphaned:
        os.utime(tmp_path / pilot.ALIVE, (0, time.time() - 2000))
    else:
        (tmp_path / pilot.CLOSED).touch()
    assert pilot.work(tmp_path) == 0


def test_what_a_killed_command_left_for_the_queue_is_removed(tmp_path: Path) -> None:
    from equireg.disk.leftovers import remove_leftovers

    left = partial_name(tmp_path / "out.tasks")
    gone = left.with_name(left.name.replace(str(os.getpid()), "999999999"))
    other = tmp_path / ".another.tasks.partial-999999999"
    gone.mkdir()
    other.mkdir()
    remove_leftovers(tmp_path / "out")
    assert (gone.exists(), other.exists()) == (False, True)
