"""What is special about folders of pictures: channels of colour, grey among coloured ones, several masks of a scan."""

import re
from collections.abc import Sequence
from pathlib import Path

from equireg.imaging.formats import read_header
from equireg.imaging.limits import ANY_SIZE
from equireg.imaging.pictures import CHANNELS, is_grey, is_picture
from equireg.layouts.base import FoundCase, channel_count
from equireg.layouts.files import stem_of

_COUNTED = re.compile(r"(?P<rest>.+?)(?:[_\-. ]?\d{1,2})?")
_SIDE = re.compile(r"left|right", re.IGNORECASE)
_COLOURS, _GREY = {*CHANNELS, "r", "g", "b"}, "image"


def channels_of(files: Sequence[Path]) -> tuple[str, ...]:
    """Return the channels of a folder of pictures: those of colour where one picture has them, else one."""
    return CHANNELS if any(channel_count(file) == len(CHANNELS) for file in files) else (_GREY,)


def picks_of(case: FoundCase, channels: Sequence[str]) -> tuple[int, ...] | None:
    """Return which channels of a case's one file make up its image, where it is a grey picture among coloured ones."""
    file = case.stacked
    if file is None or len(channels) != len(CHANNELS) or not is_picture(file):
        return None
    return (0,) * len(channels) if channel_count(file) == 1 else None


def picks_for(file: Path, wanted: Sequence[str]) -> tuple[int, ...] | None:
    """Return which channels of a picture a model takes; None where they fit as they are, or do not fit at all.

    A grey picture stands for all three colours, and one in colour that shows grey alone for a grey one.

    Raises:
        EquiregError: if the picture cannot be read.
    """
    count = read_header(file, ANY_SIZE).channels
    if count == 1 and len(wanted) == len(CHANNELS) and {name.lower() for name in wanted} <= _COLOURS:
        return (0,) * len(wanted)
    if count == len(CHANNELS) and len(wanted) == 1 and is_grey(file, ANY_SIZE):
        return (0,)
    return None


def are_parts(masks: Sequence[Path]) -> bool:
    """Whether pictures are parts of one mask: their names differ by a number alone (``c1_mask``, ``c1_mask_1``).

    Of one name in two folders they may be of two raters or classes, and are parts only of a left and a right side.
    """
    if len(masks) < 2 or not all(is_picture(mask) for mask in masks):
        return False
    stems = {stem_of(mask) for mask in masks}
    folders = {mask.parent for mask in masks}
    if len(folders) > 1:
        sides = {_SIDE.sub("", folder.name) for folder in folders}
        return len(stems) == len(sides) == 1 and len(masks) == len(folders) == 2
    matches = [_COUNTED.fullmatch(stem) for stem in stems]
    return len(stems) == len(masks) and len({match["rest"] for match in matches if match is not None}) == 1


def told_of_parts(cases: Sequence[FoundCase]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return notes and warnings on masks that were united.

    Parts of a mask differ in number from picture to picture. Where they do not, they may be those of raters or classes.
    """
    masks = [(case.label, *case.more) for case in cases if case.label is not None]
    united = [several for several in masks if len(several) > 1]
    if not united:
        return (), ()
    names = " + ".join(path.name if path and path.parent == united[0][0].parent else str(path) for path in united[0])
    line = f"the masks of {len(united)} pictures are united to one each, such as {names}"
    sides = all(len({path.parent for path in several}) > 1 for several in united)
    if sides or len(united) < 2 or len({len(several) for several in masks}) > 1:
        return (line,), ()
    return (), (f"{line}. If they are of several raters or classes, keep one, or save classes as values of one file",)
