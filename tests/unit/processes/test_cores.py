"""The cores that a process may use."""

import os
from pathlib import Path

import pytest

from equireg.processes import cores
from equireg.processes.cores import threads_that_fit, usable_cores, wait_without_spinning


@pytest.fixture(autouse=True)
def _many_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    monkeypatch.delenv("SLURM_CPUS_PER_TASK", raising=False)


def write(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


def test_the_affinity_counts_and_not_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert usable_cores(tmp_path) == 64
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {5})
    assert usable_cores(tmp_path) == 1


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {"cpu.max": "200000 100000\n"}, 2),
        ("0::/\n", {"cpu.max": "max 100000\n"}, 64),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/a/b\n", {"a/cpu.max": "300000 100000\n", "a/b/cpu.max": "max 100000\n"}, 3),
        ("0::/../host\n", {"cpu.max": "400000 100000\n"}, 4),
        (
            "4:cpu,cpuacct:/j\n",
            {"cpu,cpuacct/j/cpu.cfs_quota_us": "800000", "cpu,cpuacct/j/cpu.cfs_period_us": "1000"},
            64,
        ),
        ("4:cpu,cpuacct:/j\n", {"cpu/cpu.cfs_quota_us": "8000", "cpu/cpu.cfs_period_us": "1000"}, 8),
        ("4:cpu:/j\n", {"cpu/j/cpu.cfs_quota_us": "-1", "cpu/j/cpu.cfs_period_us": "1000"}, 64),
        ("3:memory:/j\n", {"memory/j/cpu.cfs_quota_us": "1000", "memory/j/cpu.cfs_period_us": "1000"}, 64),
        ("0::/\n", {"cpu.max": "not a number\n"}, 64),
    ],
)
def test_a_containers_quota_counts(tmp_path: Path, groups: str, files: dict[str, str], expected: int) -> None:
    places = {f"sys/fs/cgroup/{name}": content for name, content in files.items()}
    write(tmp_path, {"proc/self/cgroup": groups, **places})
    assert usable_cores(tmp_path) == expected


def test_a_slurm_tasks_share_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "6")
    assert usable_cores(tmp_path) == 6


@pytest.mark.parametrize(("work", "expected"), [(60_000, 1), (150_000, 3), (10_000_000, 4)])
def test_small_steps_have_few_threads(monkeypatch: pytest.MonkeyPatch, work: float, expected: int) -> None:
    import torch

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(cores, "usable_cores", lambda: 4)
    before = torch.get_num_threads()
    torch.set_num_threads(8)
    try:
        with threads_that_fit(work):
            assert torch.get_num_threads() == expected
        assert torch.get_num_threads() == 8
    finally:
        torch.set_num_threads(before)


def test_threads_of_the_command_wait_asleep_unless_the_user_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOMP_SPINCOUNT", "1000")
    wait_without_spinning()
    assert "OMP_WAIT_POLICY" not in os.environ
    monkeypatch.delenv("GOMP_SPINCOUNT")
    monkeypatch.setenv("OMP_WAIT_POLICY", "")  # so that what is written now is taken back after the test
    monkeypatch.delenv("OMP_WAIT_POLICY")
    wait_without_spinning()
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"
