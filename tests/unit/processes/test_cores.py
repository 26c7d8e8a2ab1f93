"""The cores that a process may use."""

import os
from pathlib import Path

import pytest

from equireg.processes import cores
from equireg.processes.cores import take_lists_of_threads, threads_that_fit, usable_cores, wait_without_spinning


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
        ("\nnonsense\n0::/\n", {"cpu.max": "200000 100000\n"}, 2),
    ],
)
def test_a_containers_quota_counts(tmp_path: Path, groups: str, files: dict[str, str], expected: int) -> None:
    places = {f"sys/fs/cgroup/{name}": content for name, content in files.items()}
    write(tmp_path, {"proc/self/cgroup": groups, **places})
    assert usable_cores(tmp_path) == expected


def test_a_slurm_tasks_share_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for given, expected in (("6", 6), ("\N{SUPERSCRIPT TWO}", 64)):
        monkeypatch.setenv("SLURM_CPUS_PER_TASK", given)
        assert usable_cores(tmp_path) == expected


@pytest.mark.parametrize(("work", "expected"), [(100_000, 1), (300_000, 3), (10_000_000, 4)])
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


@pytest.mark.parametrize(
    ("running", "given", "expected"),
    [
        (1, {}, None),  # this thread alone
        (2, {}, "PASSIVE"),
        (2, {"GOMP_SPINCOUNT": "1000"}, None),
        (None, {}, None),  # the system does not tell
    ],
)
def test_threads_wait_asleep_where_other_programs_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, running: int | None, given: dict[str, str], expected: str | None
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setenv("OMP_WAIT_POLICY", "")  # so that what is written now is taken back after the test
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "proc").mkdir()
    if running is not None:
        (tmp_path / "proc" / "loadavg").write_text(f"0.20 0.18 0.12 {running}/80 11206\n")
    wait_without_spinning(tmp_path)
    assert os.environ.get("OMP_WAIT_POLICY") == expected


def test_programs_do_not_matter_on_cores_that_are_not_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 128)  # of which 64 are usable
    monkeypatch.setenv("OMP_WAIT_POLICY", "")
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "proc").mkdir()
    for running, expected in ((65, None), (66, "PASSIVE")):
        (tmp_path / "proc" / "loadavg").write_text(f"0.20 0.18 0.12 {running}/80 11206\n")
        wait_without_spinning(tmp_path)
        assert os.environ.get("OMP_WAIT_POLICY") == expected


@pytest.mark.parametrize(
    ("given", "expected"), [("4,2", "1"), ("many", "1"), ("\N{SUPERSCRIPT TWO}", "1"), ("4", None), ("", None)]
)
def test_what_numexpr_cannot_read_does_not_stop_the_start(
    monkeypatch: pytest.MonkeyPatch, given: str, expected: str | None
) -> None:
    monkeypatch.setenv("NUMEXPR_NUM_THREADS", "")
    monkeypatch.delenv("NUMEXPR_NUM_THREADS")
    monkeypatch.setenv("OMP_NUM_THREADS", given)
    take_lists_of_threads()
    assert os.environ.get("NUMEXPR_NUM_THREADS") == expected
