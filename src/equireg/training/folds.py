"""A run that is one fold of a cross-validation: its folds, and the prepared folder as that fold splits it."""

from collections.abc import Sequence
from pathlib import Path

from equireg.batches.folds import folds_of, splits_in
from equireg.config import TrainConfig
from equireg.config.checks import parse_fold
from equireg.folders.folds import FoldCases
from equireg.folders.prepared import PreparedSet
from equireg.folders.run import RunFolder


def folds_of_run(out: Path, data: PreparedSet, config: TrainConfig) -> list[FoldCases]:
    """Return the folds that a run is one of; none where it has the split of the prepared folder.

    They come from the file that the options name, else from the run itself where it is resumed, else from
    ``splits_final.json`` in the prepared folder, else they are drawn.

    Raises:
        EquiregError: if there are fewer patients than folds, or a file does not fit.
    """
    place = parse_fold(config.fold)
    if place is None:
        return []
    own = RunFolder(out).folds
    file = Path(config.folds_file) if config.folds_file is not None else own if own.is_file() else None
    return folds_of(data, place[1], file)


def in_fold(data: PreparedSet, folds: Sequence[FoldCases], config: TrainConfig) -> PreparedSet:
    """Return the prepared folder with the splits of the run's fold, or as it is where there is none."""
    place = parse_fold(config.fold)
    return data if place is None else data.split_as(splits_in(folds[place[0]], data.manifest.cases))
