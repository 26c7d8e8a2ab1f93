"""Folds of a cross-validation: which cases of a prepared folder validate in each, by patient."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from equireg.config.checks import require
from equireg.errors import EquiregError, some_of
from equireg.folders.folds import SPLITS, FoldCases, read_folds
from equireg.folders.prepared import CaseRecord, PreparedSet, Split
from equireg.layouts.channels import NUMBERED
from equireg.layouts.files import stem_of

log = logging.getLogger("equireg")

_SEED = 12345
"""nnU-Net's: with one scan a patient, the folds are those that nnU-Net draws."""


def draw_folds(cases: Sequence[CaseRecord], count: int) -> list[FoldCases]:
    """Divide the patients with a mask that do not test into folds of equal size, one more in the first where needed.

    The same for all runs on a prepared folder, and for every choice of labelled cases.

    Args:
        cases: records of the prepared folder; its train and val are drawn from.
        count: number of folds.

    Raises:
        EquiregError: if there are fewer patients than folds, or less than two folds.
    """
    expected = "INDEX/COUNT with 2 folds or more, such as 0/5, or a file of one fold as --folds_file"
    require(count >= 2, "fold", f"0/{count}", expected)
    masked = sorted((case.name, case.patient) for case in cases if case.labelled and case.split != "test")
    patients = list(dict.fromkeys(patient for _, patient in masked))
    if len(patients) < count:
        raise EquiregError(
            f"{count} folds are asked for, but only {len(patients)} patients have a mask and do not test; expected at "
            "least a patient a fold. Ask for fewer folds, or add masks."
        )
    order = np.arange(len(patients))
    np.random.RandomState(_SEED).shuffle(order)  # the legacy generator, because nnU-Net's folds come from it
    fold_of = {patients[place]: fold for fold, part in enumerate(np.array_split(order, count)) for place in part}
    return [
        FoldCases(
            tuple(name for name, patient in masked if fold_of[patient] != fold),
            tuple(name for name, patient in masked if fold_of[patient] == fold),
        )
        for fold in range(count)
    ]


def folds_of(data: PreparedSet, count: int, file: Path | None = None) -> list[FoldCases]:
    """Return the folds of a prepared folder: from a file, else from ``splits_final.json`` in the folder, else drawn.

    Raises:
        EquiregError: if the file has another number of folds or does not fit the folder, or patients are too few.
    """
    own = data.root / SPLITS
    path = file if file is not None else own if own.is_file() else None
    if path is None:
        return draw_folds(data.manifest.cases, count)
    folds = read_folds(path)
    if len(folds) != count:
        remedy = "Ask for as many as it holds." if len(folds) > 1 else "Give --fold 0/1, without --folds."
        raise EquiregError(f"{path}: holds {len(folds)} folds; {count} are asked for. {remedy}")
    for index, fold in enumerate(folds):
        _check(path, index, fold, data.by_name)
    log.info("folds from %s", path)
    _tell_left_out(path, folds, data.manifest.cases)
    return folds


def check_validated_once(folds: Sequence[FoldCases]) -> None:
    """Refuse a case that validates in two folds, where the predictions of all folds are gathered.

    Raises:
        EquiregError: if there is one.
    """
    first: dict[str, int] = {}
    for index, fold in enumerate(folds):
        for name in fold.val:
            if first.setdefault(name, index) != index:
                raise EquiregError(
                    f"the case {name!r} validates in fold {first[name]} and in fold {index}; expected one, because "
                    f"one run predicts each held-out case. Correct the folds, or train each alone: --fold {index}/"
                    f"{len(folds)}."
                )


def _tell_left_out(path: Path, folds: Sequence[FoldCases], cases: Sequence[CaseRecord]) -> None:
    """Warn of masks that no fold uses, as where they came after the file."""
    named = {name for fold in folds for name in (*fold.train, *fold.val)}
    left = [case.name for case in cases if case.labelled and case.split != "test" and case.name not in named]
    if left:
        log.warning(
            "%d case%s with a mask %s in no fold of %s and left out: %s. Add them to the file, or leave it "
            "out to have the folds drawn.",
            len(left),
            "s" * (len(left) != 1),
            "are" if len(left) > 1 else "is",
            path,
            some_of(left),
        )


def _check(path: Path, index: int, fold: FoldCases, records: Mapping[str, CaseRecord]) -> None:
    """Refuse cases that are not there, that test or have no mask, and patients on both sides."""
    for name in (*fold.train, *fold.val):
        record = records.get(name)
        if record is None:
            raise EquiregError(
                f"{path}: fold {index} names {name[:80]!r}, which the prepared folder does not hold; expected "
                f"{_meant(name, records)}. Correct the file."
            )
        if record.split == "test" or not record.labelled:
            what = "tests" if record.split == "test" else "has no mask"
            raise EquiregError(f"{path}: fold {index} names {name!r}, which {what} in the prepared folder.")
    torn = {records[name].patient for name in fold.train} & {records[name].patient for name in fold.val}
    if torn:
        raise EquiregError(
            f"{path}: fold {index} has scans of patient {min(torn)!r} both in train and in val; a patient's scans must "
            "stay together."
        )


def _meant(name: str, records: Mapping[str, CaseRecord]) -> str:
    """Say which case a name means: the same without an ending and a channel's number, else give an example."""
    stem = stem_of(Path(name))
    match = NUMBERED.fullmatch(stem)
    case = next((plain for plain in (stem, match[1] if match else stem) if plain in records), None)
    return f"the name of a case, such as {min(records)}" if case is None else repr(case)


def splits_in(fold: FoldCases, cases: Sequence[CaseRecord]) -> dict[str, Split]:
    """Return case name to its split in a fold.

    Scans without a mask train, unless their patient validates. A masked case that the fold does not name is left out,
    as in nnU-Net: it is neither trained nor validated on.
    """
    patients = {case.patient for case in cases if case.name in fold.val}

    def split(case: CaseRecord) -> Split:
        if case.split == "test" or case.name in fold.val:
            return "test" if case.split == "test" else "val"
        if case.labelled:
            return "train" if case.name in fold.train else "test"
        return "val" if case.patient in patients else "train"

    return {case.name: split(case) for case in cases}
