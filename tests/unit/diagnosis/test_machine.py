"""Cores, memory and shared memory of machines that lack them."""

import os
import resource
from pathlib import Path

import pytest

from equireg.diagnosis import machine
from equireg.diagnosis.findings import GIB


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the root of a machine of 8 cores and 16 GiB, of which 12 are free."""
    (tmp_path / "proc").mkdir()
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 16777216 kB\nMemAvailable: 12582912 kB\n")
    (tmp_path / "proc/cpuinfo").write_text("processor: 0\nmodel name\t: Fine CPU\n")
    (tmp_path / "proc/self").mkdir()
    (tmp_path / "proc/self/cgroup").write_text("0::/\n")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)
    return tmp_path


def test_a_healthy_machine(root: Path) -> None:
    assert machine.check_cores(root).finding == "8 (Fine CPU)"
    assert machine.check_cores(root).state == "ok"
    assert machine.check_memory(root).finding == "12.0 GiB may be taken"
    assert machine.check_memory(root).state == "ok"


def test_a_container_with_less(root: Path) -> None:
    (root / "sys/fs/cgroup/cpu.max").write_text("200000 100000\n")
    assert machine.check_cores(root).finding == "2 of the machine's 8 may be used (Fine CPU)"
    (root / "sys/fs/cgroup/memory.max").write_text(f"{3 * GIB}\n")
    (root / "sys/fs/cgroup/memory.current").write_text(f"{GIB}\n")
    assert machine.check_memory(root).state == "warning"
    (root / "sys/fs/cgroup/memory.current").write_text(f"{int(2.5 * GIB)}\n")
    finding = machine.check_memory(root)
    assert finding.state == "failure"
    assert finding.finding.startswith("0.5 GiB")


def test_a_limit_of_the_shell(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (GIB // 2, GIB // 2))
    assert machine.check_memory(root).state == "failure"
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY,) * 2)
    assert machine.check_memory(root).state == "ok"


@pytest.mark.parametrize(
    ("threads", "state", "words"),
    [("64", "warning", "wait"), ("1", "warning", "Unset"), ("8", "ok", ""), ("\N{SUPERSCRIPT TWO}", "ok", "")],
)
def test_threads_that_do_not_fit(
    root: Path, monkeypatch: pytest.MonkeyPatch, threads: str, state: str, words: str
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    finding = machine.check_cores(root)
    assert finding.state == state
    assert words in finding.remedy


def test_shared_memory(tmp_path: Path) -> None:
    small = machine.check_shared_memory(tmp_path, lambda _: (2**26, 0, 2**26))
    assert small.state == "warning"
    assert "--shm-size" in small.remedy
    full = machine.check_shared_memory(tmp_path, lambda _: (8 * GIB, 8 * GIB - 1, 1))
    assert full.state == "warning"
    assert machine.check_shared_memory(tmp_path, lambda _: (8 * GIB, 0, 8 * GIB)).state == "ok"
    assert machine.check_shared_memory(tmp_path / "missing").finding == "not used by this system"
