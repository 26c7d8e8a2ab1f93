"""How many cases are compared at once."""

from collections.abc import Sequence
from math import prod

from equireg.imaging.volume import Geometry
from equireg.processes.jobs import jobs_that_fit

BYTES_A_VOXEL = 10
"""What a process needs of memory for its case, at most, where masks have 256 values or fewer."""
_PROCESS_BYTES = 250 * 2**20
"""What a process needs without any case."""
_WORTH_VOXELS = 2**24
"""Voxels that take about as long as it takes to start a process."""


def choose_jobs(asked: int, geometries: Sequence[Geometry], memory_bytes: int | None = None) -> int:
    """Return how many processes compare cases: as asked, or for 0 as many as cores, memory and work allow.

    Args:
        asked: what the user wants; 0 leaves it to us.
        geometries: those of the cases.
        memory_bytes: memory that is free; None to ask the system.
    """
    if asked or not geometries:
        return asked or 1
    voxels = [prod(geometry.shape) for geometry in geometries]
    by_work = 1 + sum(voxels) // _WORTH_VOXELS
    return jobs_that_fit(_PROCESS_BYTES + BYTES_A_VOXEL * max(voxels), min(len(voxels), by_work), memory_bytes)
