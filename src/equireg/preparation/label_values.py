"""What the values of masks say where nobody declared labels: mixed kinds of masks, and values that are strays."""

import logging
from collections.abc import Collection, Mapping
from pathlib import Path

from equireg.errors import EquiregError
from equireg.imaging.pictures import is_picture

log = logging.getLogger("equireg")

_WHITE = 255
_STRAY_PART = 0.001
"""Part of the labelled voxels of a mask up to which a value that no other mask shows counts as a stray."""
_STRAY_VOXELS = 8
"""Voxels up to which it does in any mask."""
_SHOWN = 3


def check_kinds(values: Mapping[Path, Collection[int]]) -> None:
    """Refuse masks of 0 and 1 among masks of 0 and 255; warn where 255 of pictures may mean that nobody annotated.

    Args:
        values: mask to its values.

    Raises:
        EquiregError: names a mask of each kind.
    """
    ones = [path for path, several in values.items() if set(several) in ({1}, {0, 1})]
    whites = [path for path, several in values.items() if set(several) in ({_WHITE}, {0, _WHITE})]
    others = sorted({value for several in values.values() for value in several} - {0, _WHITE})
    both = any({1, _WHITE} <= set(several) for several in values.values())
    if ones and whites and others == [1] and not both:
        raise EquiregError(
            f"{ones[0]}: holds 0 and 1, {whites[0]} 0 and 255, as {len(ones)} and {len(whites)} masks do; expected one "
            "kind, as they seem to mean the same. Save the masks alike, or declare the labels in a dataset.json."
        )
    if others and any(_WHITE in several for path, several in values.items() if is_picture(path)):
        log.warning(
            "the masks show 255 beside %s. If it marks pixels that nobody annotated, give --colours FILE with its row "
            "named ignore.",
            ", ".join(map(str, others[:3])),
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
