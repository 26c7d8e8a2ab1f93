"""Equivariance Dice: the prediction of a transformed scan against the transformed prediction."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from equireg.errors import EquiregError
from equireg.evaluation.pairing import Predictions
from equireg.evaluation.scores import Score, check_values, found_values, table_of_values
from equireg.imaging.labels import LabelTable
from equireg.imaging.volume import Geometry, read_geometry, read_label
from equireg.metrics import dice
from equireg.prediction.equivariance import Files

METRIC = "equivariance_dice"
BOTH_EMPTY: Mapping[str, float] = {METRIC: 1.0}


@dataclass(frozen=True)
class TransformedPair:
    """The two predictions of one case under its fixed transform, on one voxel grid."""

    case: str
    files: Files
    geometry: Geometry


def find_transformed(predictions: Predictions) -> list[TransformedPair]:
    """Return the pair of each case that was predicted, sorted by name; none where transforms were not asked for.

    Raises:
        EquiregError: if a file is absent.
    """
    if not predictions.has_transformed:
        return []
    pairs = []
    for case in predictions.cases:
        files = Files.of(predictions.root, case)
        for path in (files.predicted_transform, files.transformed_prediction):
            _expect(path, case)
        pairs.append(TransformedPair(case, files, read_geometry(files.predicted_transform)[0]))
    return pairs


def score_transformed(pair: TransformedPair, table: LabelTable | None) -> Score:
    """Compare the two predictions of a case, region by region.

    Args:
        pair: where both are.
        table: what the label values mean; None: each value found is a region, named by its value.

    Raises:
        EquiregError: if a file cannot be read, differs in geometry, or holds a value that the table does not know.
    """
    paths = (pair.files.predicted_transform, pair.files.transformed_prediction)
    first, second = (read_label(path, pair.geometry) for path in paths)
    values = found_values(first) | found_values(second)
    table = table or table_of_values(values)
    for path, labels in zip(paths, (first, second), strict=True):
        check_values(found_values(labels), table.values, path)
    regions = table.judged_regions()
    scores = {name: {METRIC: dice(np.isin(first, some), np.isin(second, some))} for name, some in regions.items()}
    return Score(pair.case, scores, frozenset(values))


def _expect(path: Path, case: str) -> None:
    if not path.is_file():
        raise EquiregError(
            f"{path}: no such file; expected the prediction of case {case} under its transform, as of the other "
            "cases. Predict again with --equivariance, or remove that folder."
        )
