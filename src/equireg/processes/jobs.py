"""How many processes work at once."""

from equireg.processes.cores import usable_cores
from equireg.processes.memory import free_memory


def jobs_that_fit(bytes_each: float, most: int, free_bytes: float | None = None) -> int:
    """Return how many processes may work at once: as many as cores and memory allow, and never none.

    Args:
        bytes_each: memory that one of them needs.
        most: processes that there is work for.
        free_bytes: memory that is free; None to ask the system.
    """
    free = free_memory() if free_bytes is None else free_bytes
    return max(1, min(usable_cores(), most, int(free // bytes_each)))
