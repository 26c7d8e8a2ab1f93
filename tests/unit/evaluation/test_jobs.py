"""How many cases are compared at once."""

import numpy as np
import pytest

from equireg.evaluation.jobs import choose_jobs
from equireg.imaging.volume import Geometry
from equireg.processes import jobs

LARGE = Geometry.from_array((512, 512, 200), np.eye(4))
SMALL = Geometry.from_array((12, 10, 6), np.eye(4))
PLENTY = 2**50


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch):
    monkeypatch.setattr(jobs, "usable_cores", lambda: 8)


@pytest.mark.parametrize(
    ("asked", "cases", "memory", "expected"),
    [
        (3, [SMALL] * 2, 0, 3),  # as asked, whatever we think of it
        (0, [LARGE] * 20, PLENTY, 8),  # cores
        (0, [LARGE] * 4, PLENTY, 4),  # cases
        (0, [SMALL] * 20, PLENTY, 1),  # to start a process would take longer
        (0, [LARGE] * 20, 2**31, 2),  # memory
        (0, [LARGE] * 20, 2**20, 1),  # never none
        (0, [], PLENTY, 1),
    ],
)
def test_cores_cases_memory_and_work_bound_the_processes(asked, cases, memory, expected):
    assert choose_jobs(asked, cases, memory) == expected


def test_the_system_says_how_much_memory_is_free(monkeypatch):
    monkeypatch.setattr(jobs, "free_memory", lambda: 2.0**31)
    assert choose_jobs(0, [LARGE] * 20) == 2
