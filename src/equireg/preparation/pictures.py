"""Folders of pictures: what the colours of their masks mean, and how the masks are stored."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from equireg.config import PrepareConfig
from equireg.errors import EquiregError, UsageError
from equireg.folders.label_tables import read_colour_labels
from equireg.imaging.colours import RGB, hex_of, read_colours
from equireg.imaging.formats import readable
from equireg.imaging.labels import LabelTable
from equireg.imaging.limits import Limits
from equireg.imaging.picture_masks import is_black, look_of
from equireg.imaging.pictures import is_picture, open_picture
from equireg.layouts import RawCase, RawDataset, Refusal

log = logging.getLogger("equireg")

_WHITE = 255
_ORIENTATION, _UPRIGHT, _SAME_SIZE = 0x0112, 1, (2, 3, 4)
"""EXIF's tag, its value of a picture that is not turned, and those that keep rows and columns."""


def with_colours(dataset: RawDataset, config: PrepareConfig, limits: Limits) -> tuple[RawDataset, Limits]:
    """Return the data set with the labels of ``--colours``, and limits by which its masks are read.

    Raises:
        UsageError: if the options of pictures are given for volumes.
        EquiregError: if the file is no table of colours.
    """
    for name in ("colours", "pixel_mm"):
        if getattr(config, name) is not None and not dataset.pictures:
            raise UsageError(f"--{name} is for pictures; {dataset.root} holds volumes. Leave it out.")
    if config.colours is None:
        return dataset, limits
    table, _ = read_colours(Path(config.colours))
    labels = read_colour_labels(Path(config.colours))
    return replace(dataset, labels=labels), replace(limits, colours=table)


def facts_of(dataset: RawDataset, cases: Sequence[RawCase], labels: LabelTable) -> dict[str, Any] | None:
    """Return what the manifest says of pictures; None where the scans are volumes."""
    if not dataset.pictures:
        return None
    masks = [(case.label, case.limits) for case in cases if case.label is not None and is_picture(case.label)]
    look = look_of(*masks[0]).look if masks and labels.colours else "grey"
    return {"masks": look, "pixel_mm": float(cases[0].limits.pixel_mm)}


def tell_turned(cases: Iterable[RawCase]) -> None:
    """Warn of scans that EXIF turns where a mask of the stored pixels would have the same size, and says nothing."""
    masked = [case for case in cases if case.label is not None]
    turned = [case for case in masked if _is_turned(case.images[0], case.limits)]
    silent = [case for case in turned if case.label is not None and not _is_turned(case.label, case.limits)]
    if silent:
        log.warning(
            "%d scans are turned by EXIF and their masks are not, such as %s. Masks must be of the picture as it is "
            "seen. If these are of the pixels as they are stored, turn them, or remove the tag from the scans.",
            len(silent),
            silent[0].images[0],
        )


def _is_turned(path: Path, limits: Limits) -> bool:
    """Whether EXIF turns a picture, but not from upright to wide, which its size tells; of PNG it is not looked for."""
    if not is_picture(path) or path.suffix.lower() == ".png":  # whose tags may lie behind the pixels
        return False
    with suppress(EquiregError), readable(path), open_picture(path, limits) as picture:
        turn = picture.getexif().get(_ORIENTATION, _UPRIGHT)
        return turn in _SAME_SIZE or (turn != _UPRIGHT and picture.width == picture.height)
    return False


MEANINGS_GIVEN = "Give --colours FILE, which says what each colour means."
"""The remedy where a palette does not say it."""


def palette_of(mask: Path, values: Sequence[int], limits: Limits) -> dict[int, RGB]:
    """Return the colours of some label values of a mask that is a picture with a palette; empty for all others."""
    if limits.colours is not None:
        return {}
    palette = whole_palette(mask, limits)
    return {value: palette[value] for value in values if value < len(palette)}


def whole_palette(mask: Path, limits: Limits) -> tuple[RGB, ...]:
    """Return the colours of a mask that is a picture with a palette, by index; empty for all others."""
    if not is_picture(mask):
        return ()
    with readable(mask):
        return look_of(mask, limits).palette


def why_no_background(path: Path, shown: Mapping[int, RGB]) -> str | None:
    """Say that black is among the colours that a mask shows, and not its index 0; None where that is not so.

    Where two values have one colour, such as in a palette of zeros, colours say nothing.
    """
    told_apart = len(set(shown.values())) == len(shown)
    if 0 not in shown or is_black(shown[0]) or not any(map(is_black, shown.values())) or not told_apart:
        return None
    return f"{path}: has a palette with black, which is not its index 0, so its background is not known."


def common_palette(
    masks: Mapping[str, Path], colours: Mapping[str, Mapping[int, RGB]]
) -> tuple[dict[int, RGB], list[Refusal]]:
    """Return the colour of each label value, and the cases whose palette means something else by a value.

    Args:
        masks: case name to its mask, in order.
        colours: case name to the colours of the values that its mask shows.
    """
    found: dict[int, RGB] = {}
    refused = []
    for name, path in masks.items():
        own = colours[name]
        differ = [value for value, colour in own.items() if found.get(value, colour) != colour]
        if reason := why_no_background(path, own):
            refused.append(Refusal(name, reason, MEANINGS_GIVEN))
        elif differ:
            mine, theirs = hex_of(own[differ[0]]), hex_of(found[differ[0]])
            reason = f"{path}: its palette gives the value {differ[0]} the colour {mine}, others give it {theirs}."
            refused.append(Refusal(name, reason, "Give --colours FILE, so that masks are read by their colours."))
        else:
            found |= own
    return dict(sorted(found.items())), refused


def named(labels: LabelTable) -> LabelTable:
    """Return labels with a better name than its value for what is white in masks of black and white."""
    return replace(labels, names=("background", "foreground")) if labels.values == (0, _WHITE) else labels


def flips_of(flips: str, dataset: RawDataset) -> str:
    """Return the axes along which scans may be mirrored; pictures have two."""
    return flips.replace("z", "") if dataset.pictures else flips
