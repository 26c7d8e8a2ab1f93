"""Freed memory stays with the process, and so costs no page faults when it is asked for again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from equireg.processes.memory import free_memory

FAULTS = """
import resource, sys
import numpy as np
from equireg.processes.memory import keep_freed_memory, own_process
if sys.argv[1] != "a notebook":
    own_process()
took = keep_freed_memory() if sys.argv[1] != "given back" else None
np.ones(4 * 2**20, dtype=np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(int(sys.argv[2])):
    blocks = [np.ones(16 * 2**20, dtype=np.uint8) for _ in range(4)]
    del blocks
print(took, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(kind: str, rounds: int = 0, **environment: str) -> tuple[str, int]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", FAULTS, kind, str(rounds)]
    done = subprocess.run(command, env={**clean, **environment}, capture_output=True, text=True, check=True)
    took, count = done.stdout.split()
    return took, int(count)


@pytest.mark.skipif(sys.platform != "linux", reason="a setting of glibc")
def test_freed_blocks_cost_no_faults_the_second_time() -> None:
    took, kept = faults("kept", 40)  # the first time costs faults too, so there are many
    assert took == "True"
    assert kept < 0.1 * faults("given back", 40)[1]


def test_the_users_own_settings_stay() -> None:
    assert faults("kept", MALLOC_ARENA_MAX="2")[0] == "False"


def test_a_notebooks_process_is_left_alone() -> None:
    assert faults("a notebook")[0] == "False"


SHORT = """
import resource
from equireg.processes.memory import room_for_a_thread
room_for_a_thread()
lines = open("/proc/self/status").read().splitlines()
used = next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmData"))
resource.setrlimit(resource.RLIMIT_DATA, (used + 2**20, used + 2**20))
try:
    room_for_a_thread()
except MemoryError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits what a process may take")
def test_no_thread_begins_where_python_would_wait_for_it_for_ever() -> None:
    done = subprocess.run([sys.executable, "-c", SHORT], capture_output=True, text=True, check=True)
    assert done.stdout == "there is no room for a further thread\n"


@pytest.mark.parametrize(
    ("groups", "files", "expected"),
    [
        ("0::/\n", {"memory.max": "max", "memory.current": "5"}, 8192),
        ("0::/\n", {"memory.max": "3000", "memory.current": "1000"}, 2000),
        ("0::/\n", {"memory.max": "3000", "memory.current": "5000"}, 0),
        ("0::/\n", {"memory.max": "3000", "memory.current": "2900", "memory.stat": "file 9\ninactive_file 800\n"}, 900),
        ("0::/slurm/job_7\n", {"slurm/job_7/memory.max": "4000", "slurm/job_7/memory.current": "1000"}, 3000),
        (
            "4:memory:/job\n",
            {
                "memory/job/memory.limit_in_bytes": "5000",
                "memory/job/memory.usage_in_bytes": "2000",
                "memory/job/memory.stat": "total_inactive_file 500\n",
            },
            3500,
        ),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712"}, 8192),
    ],
)
def test_a_containers_limit_counts_less_what_is_only_kept_of_files(
    tmp_path: Path, groups: str, files: dict[str, str], expected: int
) -> None:
    written = {f"sys/fs/cgroup/{name}": content for name, content in files.items()}
    written |= {"proc/self/cgroup": groups, "proc/meminfo": "MemTotal: 16 kB\nMemAvailable: 8 kB\n"}
    for name, content in written.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    assert free_memory(tmp_path) == expected
