"""Equivariance Dice: the prediction of a transformed scan against the transformed prediction."""

from collections.abc import Sequence
from dataclasses import dataclass

from equireg.errors import EquiregError
from equireg.evaluation.comparing import check_values, compare, table_of_values
from equireg.evaluation.naming import one_error
from equireg.evaluation.predictions import Predictions
from equireg.evaluation.scores import Score, Side
from equireg.evaluation.voxels import LabelVoxels
from equireg.folders.predictions import Files
from equireg.imaging.labels import LabelTable
from equireg.imaging.limits import LIMITS, Limits
from equireg.imaging.masks import MaskFiles
from equireg.imaging.volume import Geometry, read_geometry
from equireg.metrics import Metric


@dataclass(frozen=True)
class TransformedPair:
    """The two predictions of one case under its fixed transform, on one voxel grid."""

    case: str
    files: Files
    geometry: Geometry
    limits: Limits = LIMITS
    """what the files may claim"""


def find_transformed(predictions: Predictions) -> list[TransformedPair]:
    """Return the pair of each case that was predicted, sorted by name; none where transforms were not asked for.

    Raises:
        EquiregError: if a file is absent or no image; names all.
    """
    if not predictions.has_transformed:
        return []
    pairs, problems = [], {}
    for case in predictions.cases:
        try:
            pairs.append(_find(predictions, case))
        except EquiregError as error:
            problems[case] = error
    if problems:
        raise one_error(problems, len(predictions.cases))
    return pairs


def score_transformed(pair: TransformedPair, table: LabelTable | None, metrics: Sequence[Metric]) -> Score:
    """Compare the two predictions of a case, region by region.

    Args:
        pair: where both are.
        table: what the label values mean; None: each value found is a region, named by its value.
        metrics: what to compute.

    Raises:
        EquiregError: if a file cannot be read, differs in geometry, or holds a value that the table does not know.
    """
    paths = (pair.files.predicted_transform, pair.files.transformed_prediction)
    first, second = (LabelVoxels.read(MaskFiles(path, limits=pair.limits), pair.geometry) for path in paths)
    values = first.values | second.values
    table = table or table_of_values(values)
    for path, voxels in zip(paths, (first, second), strict=True):
        check_values(voxels.values, table.values, path)
    regions, shown = {}, {}
    for name, members in table.judged_regions().items():
        compared = compare(first, second, members, pair.geometry)
        regions[name] = {metric.name: metric.value(compared) for metric in metrics}
        sides: tuple[Side, ...] = ("transform",) if compared.predicted_voxels or compared.reference_voxels else ()
        shown[name] = frozenset(sides)
    return Score(pair.case, regions, values, shown)


def _find(predictions: Predictions, case: str) -> TransformedPair:
    files = Files.of(predictions.root, case)
    for path in (files.predicted_transform, files.transformed_prediction):
        if not path.is_file():
            raise EquiregError(
                f"{path}: no such file; expected the prediction of case {case} under its transform, as of the other "
                "cases. Predict again with --equivariance, or remove that folder."
            )
    geometry, _ = read_geometry(files.predicted_transform, predictions.limits)
    return TransformedPair(case, files, geometry, predictions.limits)
