"""What the values of masks say where nobody declared labels: mixed kinds of masks, and values that are strays."""

import logging
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path

from equireg.errors import EquiregError
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


def check_kinds(values: Mapping[Path, Collection[int]]) -> None:
    """Refuse masks of 0 and 1 among masks of 0 and 255; warn where 255 of pictures may be no class of its own.

    White of 8 and of 16 bits (255 and 65535), and what is nearly white, are such kinds too.

    Args:
        values: mask to its values.

    Raises:
        EquiregError: names a mask of each kind.
    """
    labels = {path: set(several) - {0} for path, several in values.items()}
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
