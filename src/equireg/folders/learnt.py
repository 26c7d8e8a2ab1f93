"""Which cases a run learnt from with their masks, as its facts keep them: not by name, which may tell who a patient is.

A case is known by the digest of its raw scan, and by the shape. Where no digest was kept, its name and that of the data
set stand in its place: names such as `case_001` come twice.
"""

from collections.abc import Callable, Collection, Mapping, Sequence

from equireg.errors import some_of
from equireg.folders.prepared import Manifest
from equireg.folders.run_facts import digest_of_values

Shape = tuple[int, int, int]


def learnt_from(manifest: Manifest, names: Collection[str], scans: Mapping[str, str]) -> dict[str, Shape]:
    """Return what a run keeps of the cases that it learns from: digest to the shape of the scan.

    Args:
        manifest: of the prepared folder.
        names: the cases.
        scans: case to the digest of its raw scan, where that is known.
    """
    cases = [case for case in manifest.cases if case.name in names]
    return {_keys(manifest.dataset, case.name, scans)[0]: case.working_grid().native.shape for case in cases}


def learnt_among(
    names: Sequence[str],
    dataset: str,
    shape_of: Callable[[str], Shape | None],
    learnt: Mapping[str, Shape],
    scans: Mapping[str, str],
) -> list[str]:
    """Return those of some cases that a run learnt from.

    Args:
        names: the cases.
        dataset: name of their data set.
        shape_of: returns the shape of a case's scan, where it can be read; asked of few.
        learnt: what the run keeps.
        scans: case to the digest of its raw scan, where that is known.
    """
    shapes = {name: {learnt.get(key) for key in _keys(dataset, name, scans)} - {None} for name in names if learnt}
    return [name for name, several in shapes.items() if several and shape_of(name) in several]


def some_learnt(found: Sequence[str], count: int) -> str:
    """Say how many of how many cases were learnt from, and name some."""
    return f"learnt from {len(found)} of these {count} cases with their masks ({some_of(found)})"


def _keys(dataset: str, name: str, scans: Mapping[str, str]) -> list[str]:
    """Return by what a case is kept: its scan if that is known, else its name."""
    scan = [digest_of_values([scans[name]])] if name in scans else []
    return [*scan, digest_of_values([dataset, name])]
