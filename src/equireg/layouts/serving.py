"""Which masks serve which scans: by the sets that folders are called after, and where one mask fits several scans."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from equireg.layouts.folder_words import alike, scan_part_beside_masks, set_of
from equireg.layouts.grouping import Group

Case = tuple[Group, list[Path], bool]
"""Files of a case, masks that may be its own, and whether it is held out."""


def parts_that_serve(below: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Yield the parts of a data set whose masks serve a folder of scans, the likeliest first, and its place below them.

    Masks of one set serve no other: ``train_masks`` has none of ``test``, which masks of no set may have.

    Args:
        below: names of the folder and of those above it, from the folder on that holds those of masks.
    """
    part = scan_part_beside_masks(below[0]) if below else ""
    called = None if part else next(filter(None, map(set_of, below)), None)
    rest = below if part is None else below[1:]
    for other in alike(part or called or ""):
        yield other, Path(*(name for name in rest if not (called and other and set_of(name))))
    if called and "" not in alike(called):
        yield "", Path(*rest)


def settle_shared(
    cases: Sequence[Case], is_near: Callable[[Path, Path], bool]
) -> tuple[list[Case], dict[Path, tuple[str, str]], tuple[str, ...]]:
    """Leave each mask to the scans of one folder: names that count anew in each folder do not say whose it is.

    It stays with the scans in whose place it lies; else with those of no set that is held out or unlabelled.

    Args:
        cases: the files of each, masks that may be its own, and whether it is held out.
        is_near: whether a mask lies in the very place that belongs to a folder of scans.

    Returns:
        The cases, each mask that remains unclear with the reason and how to mend it, and warnings.
    """
    owners: defaultdict[Path, list[tuple[Path, bool]]] = defaultdict(list)
    for group, masks, held_out in cases:
        for mask in masks:
            owners[mask].append((group.scan, held_out))
    lost: set[tuple[Path, Path]] = set()
    unclear: dict[Path, tuple[str, str]] = {}
    for mask, several in owners.items():
        scans = [scan for scan, _ in several]
        if len({scan.parent for scan in scans}) == 1:
            continue
        near = [scan for scan in scans if is_near(scan.parent, mask)]
        kept = near or [scan for scan, held_out in several if not held_out and not is_unlabelled(scan)]
        if len({scan.parent for scan in kept}) == 1:
            lost |= {(scan, mask) for scan in scans if scan not in kept}
        else:
            unclear[mask] = _told_of_unclear(mask, scans)
    left = [
        (group, [mask for mask in masks if (group.scan, mask) not in lost], held_out)
        for group, masks, held_out in cases
    ]
    bare = {group.scan for group, masks, _ in left if not masks}
    return left, unclear, _told_of_lost(sorted({scan: mask for scan, mask in sorted(lost) if scan in bare}.items()))


def is_unlabelled(scan: Path) -> bool:
    """Whether a folder above a scan says that it has no mask."""
    return any((set_of(folder.name) or "").startswith("un") for folder in scan.parents)


def _told_of_unclear(mask: Path, scans: Sequence[Path]) -> tuple[str, str]:
    return (
        f"{mask}: may be the mask of {scans[0]} and of {scans[1]}; expected one scan of its name.",
        "Put each mask into a folder masks/ inside the folder of its scan. If the scans are channels of one case, name "
        "them CASE_0000, CASE_0001; if they are the same scan, keep one folder.",
    )


def _told_of_lost(lost: Sequence[tuple[Path, Path]]) -> tuple[str, ...]:
    if not lost:
        return ()
    scan, mask = lost[0]
    return (
        f"left without a mask: {len(lost)} scans such as {scan}, because {mask}, the mask of that name, is rather that "
        f"of a scan in another folder. If they have masks, put them into {scan.parent / 'masks'}.",
    )
