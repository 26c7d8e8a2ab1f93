"""Tasks spread over processes: names, errors, workers that die, and a parent that does."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from equireg.errors import EquiregError, UnexpectedError, UsageError
from equireg.processes import jobs as jobs_module
from equireg.processes.jobs import jobs_that_fit
from equireg.processes.workers import Cluster, WorkerDiedError, Workers, guarded
from equireg.processes.workers.local import gpus_of
from worker_tasks import die_until, double, seen_gpus


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_and_errors_go_by_name(jobs: int) -> None:
    with Workers(jobs) as workers:
        found = dict(workers.run(double, {"a": (1,), "b": (-1,), "c": (0,), "d": (4,)}))
        assert dict(workers.run(double, {"e": (5,)})) == {"e": 10}
    assert (found["a"], found["d"]) == (2, 8)
    assert type(found["b"]) is UsageError
    assert str(found["b"]) == "got -1"
    assert type(found["c"]) is UnexpectedError
    assert str(found["c"]) == "RuntimeError: nought (unexpected; --debug shows where)"


def test_a_process_that_may_start_no_others_works_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs_module, "usable_cores", lambda: 4)
    assert jobs_that_fit(1, 4, 2**30) == 4
    monkeypatch.setattr(jobs_module, "current_process", lambda: SimpleNamespace(daemon=True))
    assert jobs_that_fit(1, 4, 2**30) == 1
    with Workers(1) as workers:
        assert dict(workers.run(double, {"a": (1,), "d": (4,)})) == {"a": 2, "d": 8}
    with pytest.raises(UsageError, match=r"--jobs is 2, but this is a daemonic process.* Give --jobs 1"):
        Workers(2)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_fault_of_ours_ends_the_verb_with_its_traceback_after_the_other_tasks(jobs: int) -> None:
    with Workers(jobs) as workers:
        found = dict(workers.run(double, {"bad": (0,), "good": (4,)}))
    assert found["good"] == 8
    with pytest.raises(UnexpectedError, match="bad: RuntimeError: nought") as caught:
        workers.raise_unexpected()
    assert any('raise RuntimeError("nought")' in note for note in caught.value.__notes__)
    ending = EquiregError("1 of 2 failed")
    workers.add_traces(ending)
    assert ending.__notes__ == caught.value.__notes__


def test_errors_of_the_disk_are_no_fault_of_ours() -> None:
    assert type(guarded(Path("/nowhere/file").read_bytes)) is EquiregError
    Workers(1).raise_unexpected()


@pytest.mark.parametrize(
    ("each", "expected"),
    [(1, ["0", "1", "2", "0", "1"]), (0.5, ["0", "1", "2", "0", "1"]), (2, ["0,1", "2,0", "1,2", "0,1", "2,0"])],
)
def test_workers_take_the_gpus_in_turn(each: float, expected: list[str]) -> None:
    assert [gpus_of(place, ["0", "1", "2"], each) for place in range(5)] == expected
    assert gpus_of(3, [], each) is None
    assert gpus_of(1, ["GPU-abc"], each) == "GPU-abc"


def test_each_worker_sees_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    tasks = {str(number): (number,) for number in range(4)}
    with Workers(2, gpus=1.0) as workers:
        assert {gpus for _, gpus in workers.run(seen_gpus, tasks)} == {"4", "7"}
    with Workers(2) as workers:
        assert {gpus for _, gpus in workers.run(seen_gpus, tasks)} == {"4,7"}


def test_a_worker_that_dies_is_replaced_and_only_its_task_is_repeated(tmp_path: Path) -> None:
    tasks = {"good": (0, tmp_path, "good"), "once": (1, tmp_path, "once"), "always": (9, tmp_path, "always")}
    with Workers(2) as workers:
        found = dict(workers.run(die_until, tasks))
    assert (found["good"], found["once"]) == (1, 2)
    assert isinstance(found["always"], WorkerDiedError)
    assert "always: its process died 3 times" in str(found["always"])
    assert "--jobs" in str(found["always"])
    assert len(list(tmp_path.glob("always-*"))) == 3


def test_workers_end_with_the_process_that_started_them(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(
        "import os, pathlib, time\n"
        "def wait(path):\n"
        "    pathlib.Path(path + '.new').write_text(str(os.getpid()))\n"
        "    os.rename(path + '.new', path)\n"
        "    time.sleep(600)\n"
    )
    script = (
        "import tasks\n"
        "from equireg.processes.workers import Workers\n"
        "if __name__ == '__main__':\n"
        "    with Workers(2) as workers:\n"
        f"        list(workers.run(tasks.wait, {{n: ({str(tmp_path)!r} + '/' + n,) for n in ('a', 'b')}}))\n"
    )
    (tmp_path / "parent.py").write_text(script)
    parent = subprocess.Popen([sys.executable, tmp_path / "parent.py"])
    try:
        wait_for(lambda: (tmp_path / "a").exists() and (tmp_path / "b").exists())
    finally:
        parent.kill()
        parent.wait()
    workers = [int((tmp_path / name).read_text()) for name in "ab"]
    wait_for(lambda: not any(alive(worker) for worker in workers))
    assert len(workers) == 2


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def alive(process: int) -> bool:
    """Whether a process runs; one that has ended and that nobody has asked for does not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except FileNotFoundError:
        return False


def test_ray_that_is_not_installed_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'equireg\[ray\]'"):
        Workers(1, Cluster("ray"))


def test_no_cluster_is_an_error_that_says_how_to_start_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # a port at which nobody listens
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free.getsockname()[1]}")
        with pytest.raises(EquiregError, match=r"no Ray cluster at 127\.0\.0\.1.*ray start --head"):
            Workers(1, Cluster("ray"))


SCRIPT = """
import sys
from equireg import registry
from equireg.processes.workers import Workers
print("begun")
if sys.argv[1] == "registers":
    registry.register("layout", "theirs", len)
with Workers(2) as workers:
    print(dict(workers.run(registry.has_registered, {"a": (), "b": ()})))
"""


def test_a_script_without_a_guard_is_not_run_again_in_its_workers(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    done = subprocess.run([sys.executable, path, "plain"], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "begun\n{'a': False, 'b': False}\n" or done.stdout == "begun\n{'b': False, 'a': False}\n"


def test_a_script_that_registers_is_known_in_its_workers(tmp_path: Path) -> None:
    path = tmp_path / "script.py"
    guarded_part = SCRIPT.replace("with Workers", 'if __name__ == "__main__":\n  with Workers').replace(
        "    print", "      print"
    )
    path.write_text(guarded_part)
    done = subprocess.run([sys.executable, path, "registers"], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "'a': True" in done.stdout
