"""Masks and predictions that are pictures with a palette: one colour a label value in all of them."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from equireg.errors import EquiregError
from equireg.evaluation.pairing import Pair
from equireg.evaluation.predictions import Predictions
from equireg.evaluation.references.masks import Reference
from equireg.imaging.colours import RGB, hex_of
from equireg.imaging.labels import distinct
from equireg.imaging.masks import read_label_values
from equireg.imaging.picture_masks import is_black
from equireg.preparation.pictures import MEANINGS_GIVEN, whole_palette, why_no_background

log = logging.getLogger("equireg")


def with_colours_of(predictions: Predictions, reference: Reference) -> Predictions:
    """Return predictions that, with their masks, are read by the reference's colours, where they declare no labels."""
    if predictions.table is not None or reference.table is None:
        return predictions
    return replace(predictions, limits=replace(predictions.limits, colours=reference.table.colour_table()))


def check_palettes(predictions: Predictions, reference: Reference, pairs: Sequence[Pair]) -> None:
    """Refuse palettes in which a colour stands for two label values, where nothing says what colours or values mean.

    A warning tells of a label value that has two colours: masks and predictions of two programs may be so.

    Raises:
        EquiregError: names a file in which a colour has another label value than in one before it, or which has black
            elsewhere than at index 0.
    """
    limits = predictions.limits
    if limits.colours is not None or None not in (predictions.table, reference.table):
        return
    files = [file for pair in pairs for mask in (pair.reference, pair.prediction) for file in mask.files]
    palettes = {file: palette for file in files if (palette := whole_palette(file, limits))}
    if len({*palettes.values()}) < 2 and all(is_black(palette[0]) for palette in palettes.values()):
        return
    value_of: dict[RGB, tuple[int, Path]] = {}
    colour_of: dict[int, tuple[RGB, Path]] = {}
    two: dict[int, str] = {}
    for file, palette in palettes.items():
        values = distinct(read_label_values(file, limits)[0])
        shown = {value: palette[value] for value in values if value < len(palette)}
        if len(set(shown.values())) < len(shown):
            continue  # such as a palette of zeros
        _check_palette(file, shown, value_of)
        for value, colour in shown.items():
            first, other = colour_of.setdefault(value, (colour, file))
            if first != colour:
                two[value] = f"the label value {value} is {hex_of(first)} in {other} and {hex_of(colour)} in {file}"
            value_of.setdefault(colour, (value, file))
    if two:
        log.warning(
            "%s. They are compared by the value; if colours count, give --colours FILE.", next(iter(two.values()))
        )


def _check_palette(file: Path, shown: Mapping[int, RGB], value_of: Mapping[RGB, tuple[int, Path]]) -> None:
    if reason := why_no_background(file, shown):
        raise EquiregError(f"{reason} {MEANINGS_GIVEN}")
    for value, colour in shown.items():
        first, other = value_of.get(colour, (value, file))
        if first != value:
            raise EquiregError(
                f"{file}: its palette has the colour {hex_of(colour)} for the value {value}, {other} has it for "
                f"{first}. {MEANINGS_GIVEN}"
            )
