"""Which cases a run learnt from with their masks, as its facts keep them: not by name, which may tell who a patient is.

A case is known by a digest of the data set's name and its own, and by the shape of its scan: names such as `case_001`
come twice.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

from equireg.folders.prepared import Manifest
from equireg.folders.run_facts import digest_of_values

Shape = tuple[int, int, int]
_SHOWN = 5


def learnt_from(manifest: Manifest, names: Collection[str]) -> dict[str, Shape]:
    """Return what a run keeps of the cases that it learns from: digest to the shape of the scan."""
    cases = [case for case in manifest.cases if case.name in names]
    return {_digest(manifest.dataset, case.name): case.working_grid().native.shape for case in cases}


def learnt_among(
    names: Sequence[str], dataset: str, shape_of: Callable[[str], Shape | None], learnt: Mapping[str, Shape]
) -> list[str]:
    """Return those of some cases that a run learnt from.

    Args:
        names: the cases.
        dataset: name of their data set.
        shape_of: returns the shape of a case's scan, where it can be read; asked of few.
        learnt: what the run keeps.
    """
    shapes = {name: learnt.get(_digest(dataset, name)) for name in names} if learnt else {}
    return [name for name, shape in shapes.items() if shape is not None and shape_of(name) == shape]


def some_learnt(found: Sequence[str], count: int) -> str:
    """Say how many of how many cases were learnt from, and name some."""
    named = f"{', '.join(found[:_SHOWN])}{', ...' if len(found) > _SHOWN else ''}"
    return f"learnt from {len(found)} of these {count} cases with their masks ({named})"


def _digest(dataset: str, name: str) -> str:
    return digest_of_values([dataset, name])
