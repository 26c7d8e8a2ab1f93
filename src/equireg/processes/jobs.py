"""How many processes work at once."""

from multiprocessing import current_process

from equireg.processes.cores import usable_cores
from equireg.processes.memory import free_memory

NO_OTHERS = "this is a daemonic process, such as a task of Celery or Airflow, which may start no others."
"""Why there can be no further processes where ``may_start_others`` is false."""


def may_start_others() -> bool:
    """Whether Python lets this process start others."""
    return not current_process().daemon


def jobs_that_fit(bytes_each: float, most: int, free_bytes: float | None = None) -> int:
    """Return how many processes may work at once: as many as cores and memory allow, and never none.

    In a process that may start no others it is one.

    Args:
        bytes_each: memory that one of them needs.
        most: processes that there is work for.
        free_bytes: memory that is free; None to ask the system.
    """
    if not may_start_others():
        return 1
    free = free_memory() if free_bytes is None else free_bytes
    return max(1, min(usable_cores(), most, int(free // bytes_each)))
