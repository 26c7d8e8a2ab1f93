"""What Windows would answer is understood, and elsewhere it is not asked; none of this has run on Windows."""

import ctypes
import sys
from pathlib import Path
from typing import Any

import pytest

from equireg import windows
from equireg.disk import locks
from equireg.disk.leftovers import process_runs
from equireg.processes import memory

RUNNING, ENDED, FOREIGN, NONE = 100, 200, 300, 400


class Call:
    """A foreign function, which opens a process; its kind of answer can be set."""

    restype: Any = None

    def __call__(self, access: int, inherit: int, pid: Any) -> int | None:
        Kernel.error = 5 if pid.value == FOREIGN else 87
        return pid.value if pid.value in (RUNNING, ENDED) else None


class Kernel:
    """Answers as Microsoft documents it."""

    error = 0

    def __init__(self, works: bool) -> None:
        self.works = works
        self.closed: list[int] = []
        self.OpenProcess = Call()

    def GlobalMemoryStatusEx(self, status: Any) -> int:
        assert status._obj.length == 64
        status._obj.available = 2**33
        return int(self.works)

    def K32GetProcessMemoryInfo(self, process: Any, counters: Any, size: Any) -> int:
        assert size.value == counters._obj.length == ctypes.sizeof(counters._obj)
        counters._obj.peak = 2**30
        return int(self.works)

    def GetExitCodeProcess(self, handle: Any, code: Any) -> int:
        code._obj.value = 259 if handle.value == RUNNING else 1
        return 1

    def GetLastError(self) -> int:
        return self.error

    def CloseHandle(self, handle: Any) -> None:
        self.closed.append(handle.value)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Kernel:
    """Let Windows answer; with the parameter False it has no answer."""
    made = Kernel(getattr(request, "param", True))
    monkeypatch.setattr(windows, "kernel32", lambda: made)
    return made


def test_elsewhere_nothing_is_known() -> None:
    found = (windows.available_memory(), windows.peak_memory(), windows.process_runs(1))
    assert found == (None, None, None)


def test_memory_is_asked_of_the_system(kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    assert memory.free_memory(tmp_path) == 2**33
    assert memory.peak_memory() == 2**30


@pytest.mark.parametrize("kernel", [False], indirect=True)
def test_a_system_without_an_answer_stops_nothing(
    kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    monkeypatch.delattr("os.sysconf")
    assert memory.free_memory(tmp_path) == 2**32
    assert memory.peak_memory() == 0


@pytest.mark.parametrize(("pid", "runs"), [(RUNNING, True), (ENDED, False), (FOREIGN, True), (NONE, False)])
def test_a_process_is_looked_for_without_a_signal(
    kernel: Kernel, monkeypatch: pytest.MonkeyPatch, pid: int, runs: bool
) -> None:
    monkeypatch.delattr("os.kill")
    assert process_runs(pid) == runs
    assert kernel.closed == ([pid] if pid in (RUNNING, ENDED) else [])


def test_where_locked_bytes_cannot_be_read_the_file_is_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import filelock

    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.delattr(filelock, "FileLock")
    with locks.locked_folder(tmp_path / "out"):
        assert (tmp_path / ".out.lock").read_text().split()[0].isdigit()
    assert list(tmp_path.iterdir()) == []
