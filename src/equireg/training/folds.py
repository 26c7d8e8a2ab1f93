"""A run that is one fold of a cross-validation: its folds, and the prepared folder as that fold splits it."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from equireg.batches.folds import draw_folds, folds_of, splits_in
from equireg.config import TrainConfig
from equireg.config.checks import parse_fold
from equireg.errors import EquiregError
from equireg.folders.folds import SPLITS, FoldCases, folds_digest, read_folds
from equireg.folders.prepared import PreparedSet
from equireg.warm_start import record_digest


def folds_of_run(begun: Path | None, data: PreparedSet, config: TrainConfig) -> list[FoldCases]:
    """Return the folds that a run is one of; none where it has the split of the prepared folder.

    Args:
        begun: the run's folder, where it is resumed.
        data: the prepared folder.
        config: the run's options.

    Raises:
        EquiregError: as ``agreed_folds``.
    """
    place = parse_fold(config.fold)
    return [] if place is None else agreed_folds(begun, data, place[1], config.folds_file)


def agreed_folds(begun: Path | None, data: PreparedSet, count: int, file: str | None) -> list[FoldCases]:
    """Return the folds of what is trained.

    They come from ``splits_final.json`` of what is resumed, else from the file that the options name, else from
    ``splits_final.json`` in the prepared folder, else they are drawn.

    Args:
        begun: the folder that is resumed, if one is.
        data: the prepared folder.
        count: number of folds.
        file: the option ``folds_file``: a file, or what a run keeps of it.

    Raises:
        EquiregError: if there are fewer patients than folds, a file does not fit, or the options ask for other folds.
    """
    kept = None if begun is None or not (begun / SPLITS).is_file() else begun / SPLITS
    path = None if file is None or _is_record(file) else Path(file)
    folds = folds_of(data, count, kept or path)
    if kept is not None and path is not None and folds_digest(folds) != digest_named(file):
        raise EquiregError(
            f"{path}: holds other folds than those of {kept}, with which this was begun. Leave out --folds_file to "
            "resume it, or choose another --out."
        )
    if path is None and digest_named(file) not in (None, folds_digest(folds)):
        raise EquiregError(
            f"--folds_file is {file}, the name and digest by which a run keeps its folds, and those of {data.root} are "
            f"others. Give --folds_file with {SPLITS} of that run, or --folds_file null to train on other folds."
        )
    return folds


def folds_record(file: str | None, folds: Sequence[FoldCases], data: PreparedSet) -> str | None:
    """Return what a run keeps of the option ``folds_file``: no path, but the name and a digest of the folds.

    None where the prepared folder leads to the same folds without the file.
    """
    if file is None or _is_record(file):
        return file
    digest = folds_digest(folds)
    if not (data.root / SPLITS).is_file():
        with suppress(EquiregError):  # too few patients
            if folds_digest(draw_folds(data.manifest.cases, len(folds))) == digest:
                return None
    return f"{Path(file).name}@{digest}"


def digest_named(file: str | None) -> str | None:
    """Return the digest of the folds that the option ``folds_file`` names; None where it is not given.

    Raises:
        EquiregError: if the file cannot be read.
    """
    if file is None:
        return None
    return record_digest(file) if _is_record(file) else folds_digest(read_folds(Path(file)))


def _is_record(file: str) -> bool:
    return record_digest(file) is not None and not Path(file).exists()


def in_fold(data: PreparedSet, folds: Sequence[FoldCases], config: TrainConfig) -> PreparedSet:
    """Return the prepared folder with the splits of the run's fold, or as it is where there is none."""
    place = parse_fold(config.fold)
    return data if place is None else data.split_as(splits_in(folds[place[0]], data.manifest.cases))
