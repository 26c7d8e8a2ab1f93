"""Masks and predictions that are pictures with a palette: one colour a label value in all of them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from equireg.errors import EquiregError
from equireg.evaluation.pairing import Pair
from equireg.evaluation.predictions import Predictions
from equireg.evaluation.references.masks import Reference
from equireg.imaging.colours import RGB
from equireg.imaging.formats import readable
from equireg.imaging.labels import distinct
from equireg.imaging.limits import Limits
from equireg.imaging.masks import read_label_values
from equireg.imaging.picture_masks import is_black, look_of
from equireg.imaging.pictures import is_picture
from equireg.preparation.pictures import common_palette, palette_of


def with_colours_of(predictions: Predictions, reference: Reference) -> Predictions:
    """Return predictions that, with their masks, are read by the reference's colours, where they declare no labels."""
    if predictions.table is not None or reference.table is None:
        return predictions
    return replace(predictions, limits=replace(predictions.limits, colours=reference.table.colour_table()))


def check_palettes(predictions: Predictions, reference: Reference, pairs: Sequence[Pair]) -> None:
    """Refuse palettes that differ, where nothing says what their colours or indices mean.

    Raises:
        EquiregError: names the files whose palette gives a label value another colour than those before them.
    """
    limits = predictions.limits
    if limits.colours is not None or None not in (predictions.table, reference.table):
        return
    files = [file for pair in pairs for mask in (pair.reference, pair.prediction) for file in mask.files]
    palettes = {file: palette for file in files if is_picture(file) and (palette := _palette(file, limits))}
    if len({*palettes.values()}) < 2 and all(is_black(palette[0]) for palette in palettes.values()):
        return
    masks = {str(file): file for file in palettes}
    values = {name: distinct(read_label_values(file, limits)[0]) for name, file in masks.items()}
    shown = {name: palette_of(file, values[name], limits) for name, file in masks.items()}
    _, refused = common_palette(masks, shown)
    if refused:
        others = f" So it is with {len(refused) - 1} more, such as {refused[1].case}." if len(refused) > 1 else ""
        raise EquiregError(f"{refused[0].reason} {refused[0].remedy}{others}")


def _palette(file: Path, limits: Limits) -> tuple[RGB, ...]:
    with readable(file):
        return look_of(file, limits).palette
