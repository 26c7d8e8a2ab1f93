"""Two masks of one case compared, region by region."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from equireg.errors import EquiregError
from equireg.evaluation.pairing import Pair
from equireg.evaluation.scores import Score, Side
from equireg.evaluation.voxels import LabelVoxels
from equireg.imaging.boxes import union, with_margin
from equireg.imaging.geometry import Geometry
from equireg.imaging.labels import LabelTable
from equireg.metrics import Comparison, Metric


def score_case(pair: Pair, table: LabelTable | None, tolerance_mm: float, metrics: Sequence[Metric]) -> Score:
    """Read a prediction and its reference and compare them, region by region.

    A region that a DICOM reference does not list has no values: nobody knows whether it is there.

    Memory: a byte a voxel for each of the two files, one more while a file is turned, and some four bytes a voxel of
    the box around one region.

    Args:
        pair: where both files are, and the geometry that they share.
        table: what the label values mean; None: each value found is a region, named by its value.
        tolerance_mm: NSD's tolerance, mm.
        metrics: what to compute.

    Raises:
        EquiregError: if a file cannot be read or holds a value that the table does not know.
    """
    prediction = LabelVoxels.read(pair.prediction, pair.geometry)
    reference = LabelVoxels.read(pair.reference, pair.geometry)
    values = prediction.values | reference.values
    table = table or table_of_values(values)
    check_values(prediction.values, table.values, pair.prediction.path)
    declared = table.values if table.ignore is None else (*table.values, table.ignore)
    check_values(reference.values, declared, pair.reference.path)
    regions, shown = {}, {}
    nothing = dict.fromkeys([metric.name for metric in metrics])
    if table.ignore is not None and reference.holds_only(table.ignore):
        return Score(pair.case, dict.fromkeys(table.judged_regions(), nothing), values, {})
    for name, members in table.judged_regions().items():
        if not pair.reference.lists(members):
            regions[name] = nothing
            continue
        compared = compare(prediction, reference, members, pair.geometry, tolerance_mm, table.ignore)
        regions[name] = {metric.name: metric.value(compared) for metric in metrics}
        shown[name] = _sides(compared)
    return Score(pair.case, regions, values, shown)


def compare(
    prediction: LabelVoxels,
    reference: LabelVoxels,
    members: Sequence[int],
    geometry: Geometry,
    tolerance_mm: float = 1.0,
    ignore: int | None = None,
) -> Comparison:
    """Return both masks of one region, cut to the box around them.

    Args:
        prediction: label values [X, Y, Z].
        reference: label values of the same shape.
        members: the label values that make up the region.
        geometry: of the files that both come from.
        tolerance_mm: surface distance that counts as agreement.
        ignore: label value of the reference where nothing is compared.
    """
    box = union([box for voxels in (prediction, reference) if (box := voxels.box(members)) is not None])
    if box is None:
        nothing = np.zeros((1, 1, 1), dtype=bool)
        return Comparison(nothing, nothing, geometry.spacing_mm, tolerance_mm, geometry.voxel_mm3)
    # The margin keeps apart a region of one slice and an image of one slice, which has another surface.
    box = with_margin(box, reference.codes.shape)
    predicted, referred = prediction.mask(members, box), reference.mask(members, box)
    known = None
    if ignore is not None and ignore in reference.values:
        known = ~reference.mask((ignore,), box)
        predicted &= known
        referred &= known
    return Comparison(predicted, referred, geometry.spacing_mm, tolerance_mm, geometry.voxel_mm3, known)


def table_of_values(values: Iterable[int]) -> LabelTable:
    """Make a label table of nothing but values, each named as ``equireg prepare`` would name it."""
    ordered = sorted({0, *values})
    return LabelTable(tuple(ordered), ("background", *(f"label {value}" for value in ordered[1:])))


def check_values(found: Iterable[int], known: Sequence[int], path: Path) -> None:
    """Refuse a label value that the labels do not declare: its voxels would silently count as background."""
    unknown = sorted(set(found) - set(known))
    if unknown:
        raise EquiregError(
            f"{path}: has the label values {unknown}; expected some of {sorted(known)}. "
            "Give predictions and masks of the same labels, or correct labels.json."
        )


def _sides(compared: Comparison) -> frozenset[Side]:
    sides: set[Side] = set()
    if compared.predicted_voxels:
        sides.add("prediction")
    if compared.reference_voxels:
        sides.add("reference")
    return frozenset(sides)
