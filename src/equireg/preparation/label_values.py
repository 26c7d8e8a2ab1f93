"""What the values of masks say where nobody declared labels: mixed kinds of masks, and values that are strays."""

import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np

from equireg.errors import EquiregError
from equireg.imaging.colours import RGB, hex_of
from equireg.imaging.labels import counted
from equireg.imaging.pictures import is_picture

log = logging.getLogger("equireg")

_WHITE = 255
_ONE_CLASS = {1, 254, _WHITE, 65535}
"""Values that stand for the only class: 1, and white."""
_STRAY_PART = 0.001
"""Part of the labelled voxels of a mask up to which a value that no other mask shows counts as a stray."""
_STRAY_VOXELS = 8
"""Voxels up to which it does in any mask."""
_SHOWN = 3
_MOST_LEVELS = 16
"""Values of pictures up to which nobody asks whether lossy compression made some of them."""
_FREQUENT = 0.01
"""Part of all pixels from which on a value of such masks is one that was meant."""
_BLUR, _APART = 16, 40
"""Distance of the others from it at most, and of two that were meant at least."""
_NEARLY_ALL = 0.9
"""Part of a border, and of the masks, that the background covers at least."""
_OBJECTS = 6
"""Labels of a mask from which on the values may number objects."""
_COUNTS = 3
"""Different numbers of labels among such masks, at least."""


def check_kinds(values: Mapping[Path, Collection[int]], background: int = 0) -> None:
    """Refuse masks of 0 and 1 among masks of 0 and 255; warn where 255 of pictures may be no class of its own.

    White of 8 and of 16 bits (255 and 65535), and what is nearly white, are such kinds too.

    Args:
        values: mask to its values.
        background: the value that is no label.

    Raises:
        EquiregError: names a mask of each kind.
    """
    labels = {path: set(several) - {background} for path, several in values.items()}
    kinds: defaultdict[int, list[Path]] = defaultdict(list)
    for path, several in labels.items():
        if len(several) == 1:
            kinds[min(several)].append(path)
    together = any(len(several) > 1 for several in labels.values())
    if len(kinds) > 1 and set(kinds) <= _ONE_CLASS and not together:
        (one, first), (other, second) = sorted(kinds.items())[:: len(kinds) - 1]
        raise EquiregError(
            f"{first[0]}: holds 0 and {one}, {second[0]} 0 and {other}, as {len(first)} and {len(second)} masks do; "
            "expected one kind, as they seem to mean the same. Save the masks alike, or declare the labels in a "
            "dataset.json."
        )
    white = [several - {_WHITE} for path, several in labels.items() if _WHITE in several and is_picture(path)]
    beside = sorted(set().union(*white))
    others = sorted(set().union(*labels.values()) - {_WHITE})
    if beside:
        log.warning(
            "the masks show 255 beside %s. If it marks pixels that nobody annotated, give --colours FILE with its row "
            "named ignore.",
            ", ".join(map(str, beside[:_SHOWN])),
        )
    elif white and others:
        log.warning(
            "%d of %d masks show 255 alone, and others show %s: each is a class of its own. If they mean the "
            "same, save the masks alike.",
            len(white),
            len(labels),
            ", ".join(map(str, others[:_SHOWN])),
        )


def tell_strays(voxels: Mapping[Path, Mapping[int, int]]) -> None:
    """Warn of values that one mask of several shows, in next to no voxels: each becomes a class of its own.

    Args:
        voxels: mask to the number of voxels of each of its values.
    """
    shown: dict[int, list[Path]] = {}
    for path, counts in voxels.items():
        for value in counts:
            shown.setdefault(value, []).append(path)
    strays = []
    for value, (path, *more) in sorted(shown.items()):
        labelled = sum(count for other, count in voxels[path].items() if other)
        few = voxels[path][value] <= max(_STRAY_VOXELS, _STRAY_PART * labelled)
        if value and not more and few and labelled > voxels[path][value] and len(voxels) > 2:
            strays.append(f"{value} ({path}, voxels: {voxels[path][value]})")
    if strays:
        log.warning(
            "one mask alone shows the %s %s%s. Each value is a class of its own: correct the mask if it is a mistake.",
            "value" if len(strays) == 1 else "values",
            ", ".join(strays[:_SHOWN]),
            ", ..." if len(strays) > _SHOWN else "",
        )


def tell_lossy(voxels: Mapping[Path, Mapping[int, int]]) -> None:
    """Warn of pictures most of whose values are rare and crowd about a few frequent ones: they were JPEG once.

    Args:
        voxels: mask to the number of voxels of each of its values.
    """
    counts: Counter[int] = Counter()
    for path, several in voxels.items():
        if is_picture(path):
            counts.update(several)
    frequent = sorted(value for value, count in counts.items() if count >= _FREQUENT * counts.total())
    apart = all(high - low >= _APART for low, high in pairwise(frequent))
    if len(counts) <= max(_MOST_LEVELS, 3 * len(frequent)) or len(frequent) < 3 or not apart:
        return
    if all(min(abs(value - other) for other in frequent) <= _BLUR for value in counts):
        log.warning(
            "the masks show %d values, all close to %s, as in pictures that were JPEG once. Each is a class of its "
            "own: export the masks again without lossy compression.",
            len(counts),
            ", ".join(map(str, frequent[:_MOST_LEVELS])),
        )


def edge_of(label: np.ndarray) -> int | None:
    """Return the value that covers nearly all of the border of a mask [X, Y, Z] in the plane; None where none does."""
    ring = np.concatenate([part.ravel() for part in (label[0], label[-1], label[:, 0], label[:, -1])])
    found = counted(ring)
    value = max(found, key=lambda value: found[value])
    return value if found[value] >= _NEARLY_ALL * ring.size else None


def tell_background(
    voxels: Mapping[Path, Mapping[int, int]], edges: Mapping[Path, int | None], colours: Mapping[int, RGB]
) -> int:
    """Warn where another value than 0 covers the borders of nearly all pictures, as a background does.

    Args:
        voxels: mask to the number of voxels of each of its values.
        edges: mask to the value that covers its border.
        colours: label value to its colour, where the pictures have a palette.

    Returns:
        That value, or 0.
    """
    masks = [path for path, several in voxels.items() if is_picture(path) and len(several) > 1]
    found = Counter(edges[path] for path in masks)
    value, count = found.most_common(1)[0] if found else (0, 0)
    total = sum((Counter(voxels[path]) for path in masks), Counter[int]())
    if not value or count < _NEARLY_ALL * len(masks) or total[value] <= total[0]:
        return 0
    order = [value, *sorted(total.keys() - {value})]
    rows = ", ".join(f'"{hex_of(colours.get(old, (old, old, old)))},{new}"' for new, old in enumerate(order))
    told = max(order) <= _WHITE and len(order) <= _MOST_LEVELS
    remedy = f"give --colours FILE with the rows {rows}" if told else "save the masks with 0 there"
    log.warning(
        "%d covers the border of %d of %d masks, as a background does; yet 0 counts as the background, and %d as a "
        "class. If %d is the background, %s.",
        value,
        count,
        len(masks),
        value,
        value,
        remedy,
    )
    return value


def tell_no_background(voxels: Mapping[Path, Mapping[int, int]]) -> None:
    """Warn where no mask shows 0 and all show 1: 1 may be the background, and becomes a class.

    Args:
        voxels: mask to the number of voxels of each of its values.
    """
    if not voxels or any(counts.get(0) or not counts.get(1) for counts in voxels.values()):
        return
    ones = sum(counts[1] for counts in voxels.values())
    log.warning(
        "no mask shows 0, which is the background; the value 1 covers %.0f%%. If 1 is the background, save the masks "
        "with 1 subtracted; else each value is a class of its own.",
        100 * ones / sum(sum(counts.values()) for counts in voxels.values()),
    )


def tell_objects(values: Mapping[Path, Collection[int]]) -> None:
    """Warn where the labels of each mask are 1 to a number that differs from mask to mask: they may number objects.

    Args:
        values: mask to its values.
    """
    labels = [set(several) - {0} for several in values.values()]
    counts = sorted({len(several) for several in labels if several})
    if len(counts) < _COUNTS or counts[-1] < _OBJECTS or any(max(one, default=0) != len(one) for one in labels):
        return
    log.warning(
        "the labels of each mask are 1 to a number that differs from mask to mask (up to %d), as where objects are "
        "numbered. Each value is a class of its own: if they are objects of one class, save the masks with 1 for all.",
        counts[-1],
    )
