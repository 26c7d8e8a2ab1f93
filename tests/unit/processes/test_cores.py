"""The cores that a process may use."""

import os
from pathlib import Path

import pytest

from equireg.processes.cores import usable_cores


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
