"""The verb ``evaluate``: read, compare, summarise, draw."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from equireg.disk import refuse_existing, staged_folder, write_atomic, write_json
from equireg.errors import EquiregError, UsageError
from equireg.evaluation.pairing import (
    LABELS,
    Pair,
    Predictions,
    choose_labels,
    pair_up,
    read_predictions,
    read_reference,
)
from equireg.evaluation.pictures import Scans, choose_cases, find_scans, write_picture
from equireg.evaluation.portal import portal_labels, read_portal
from equireg.evaluation.scores import Score, as_csv, joined, score_case, summarise, table_of_values, with_all_regions
from equireg.evaluation.transformed import BOTH_EMPTY, TransformedPair, find_transformed, score_transformed
from equireg.folders import sign
from equireg.imaging.labels import LabelTable
from equireg.processes.workers import Workers

Item = TypeVar("Item", Pair, TransformedPair)


def evaluate(
    predictions: Path,
    reference: Path,
    out: Path,
    *,
    tolerance_mm: float = 1.0,
    scans: Path | None = None,
    pictures: Sequence[str] = (),
    jobs: int = 1,
) -> dict[str, Any]:
    """Compare predictions with reference masks: Dice, HD95, NSD and volumes of each case and region.

    Predictions that were made with ``--equivariance`` are compared with themselves under a transform too, also
    those without a mask. In place of masks the result file of BraTS' evaluation portal is read.

    Writes ``metrics.csv``, ``summary.json``, ``labels.json``, ``pictures/CASE.npz`` of the best, the median
    and the worst case, and ``made_by.json``; all of them or nothing.

    Args:
        predictions: what ``equireg predict`` made, or any folder of label files named by case.
        reference: a folder of masks named by case (all of them are judged), a raw folder in any known layout
            or a prepared one (the cases that were predicted are judged); or the portal's CSV file.
        out: the folder to make.
        tolerance_mm: distance that NSD still counts as agreement, mm.
        scans: raw folder of the scans that the pictures show; found by itself where the reference holds them.
        pictures: cases to keep a picture of, beside the best, the median and the worst.
        jobs: processes that compare cases at the same time.

    Returns:
        The summary, as ``summary.json`` holds it.

    Raises:
        EquiregError: if a folder or prediction is missing, the output exists, no case is common, a prediction
            and its mask differ in shape or affine, a file holds an undeclared label value, or the portal's
            file is damaged or of other cases.
    """
    _check_options(tolerance_mm, jobs)
    refuse_existing(out)
    predicted = read_predictions(Path(predictions))
    pairs_transformed = find_transformed(predicted)
    if Path(reference).suffix.lower() == ".csv" and not Path(reference).is_dir():
        if pictures or scans is not None:
            raise UsageError(f"{reference}: is a table of scores; --pictures and --scans need reference masks.")
        judged = _Judged(read_portal(Path(reference), predicted), portal_labels(predicted))
    else:
        judged = _by_masks(predicted, Path(reference), scans, tolerance_mm, jobs)
    transformed = _map(partial(score_transformed, table=judged.table), pairs_transformed, jobs, "equivariance")
    table = judged.table or _found_labels([*judged.scores, *transformed])
    regions = list(table.judged_regions())
    scores = with_all_regions(judged.scores, regions)
    everything = joined(scores, with_all_regions(transformed, regions, BOTH_EMPTY))
    summary = summarise(everything)
    roles = _roles(pictures, scores) if judged.pairs or pictures else {}
    with staged_folder(out) as folder:
        write_atomic(folder / "metrics.csv", as_csv(everything))
        write_json(folder / "summary.json", summary)
        write_json(folder / LABELS, table.as_dict())
        _write_pictures(folder / "pictures", replace(judged, scores=scores), table, roles)
        sign(
            folder,
            "evaluate",
            {"tolerance_mm": tolerance_mm},
            source=predictions,
            reference=str(Path(reference).absolute()),
            run=dict(predicted.signature.get("run") or {}),
        )
    return summary


@dataclass(frozen=True)
class _Judged:
    """What the reference says of the predictions."""

    scores: list[Score]
    table: LabelTable | None
    pairs: Sequence[Pair] = ()
    """Predictions and masks, in the order of the scores; none where the portal judged."""
    scans: Scans | None = None


def _write_pictures(folder: Path, judged: _Judged, table: LabelTable, roles: Mapping[str, str]) -> None:
    """Write the picture of each case that has a role."""
    folder.mkdir()
    dice = {score.case: score.mean_dice for score in judged.scores}
    for pair in judged.pairs:
        if role := roles.get(pair.case):
            write_picture(folder, pair, role, dice[pair.case], table=table, scans=judged.scans)


def _by_masks(predictions: Predictions, reference: Path, scans: Path | None, tolerance_mm: float, jobs: int) -> _Judged:
    """Judge the predictions by masks."""
    masks = read_reference(reference, predictions)
    pairs = pair_up(predictions, masks)
    table = choose_labels(predictions, masks)
    shown = find_scans(predictions, masks, scans)
    scores = _map(partial(score_case, table=table, tolerance_mm=tolerance_mm), pairs, jobs, "evaluate")
    return _Judged(scores, table, pairs, shown)


def _roles(pictures: Sequence[str], scores: Sequence[Score]) -> dict[str, str]:
    """Return case to role of those to picture: the best, the median and the worst, and those asked for."""
    unknown = sorted(set(pictures) - {score.case for score in scores})
    if unknown:
        raise EquiregError(
            f"pictures of {', '.join(unknown)} are asked for; expected cases that have a prediction and a mask."
        )
    return {**dict.fromkeys(pictures, "chosen"), **choose_cases(scores)}


def _check_options(tolerance_mm: float, jobs: int) -> None:
    if not (math.isfinite(tolerance_mm) and tolerance_mm >= 0):
        raise UsageError(f"--tolerance_mm is {tolerance_mm}; expected a finite number of mm, 0 or more.")
    if jobs < 1:
        raise UsageError(f"--jobs is {jobs}; expected 1 or more.")


def _map(score: Callable[[Item], Score], items: Sequence[Item], jobs: int, what: str) -> list[Score]:
    """Score every item, in their order; the first error ends it.

    Raises:
        EquiregError: what ``score`` raises, or a process that died again and again.
    """
    scores: dict[str, Score] = {}
    with Workers(jobs) as workers:
        for case, result in workers.run(score, {item.case: (item,) for item in items}, what):
            if isinstance(result, EquiregError):
                raise result
            scores[case] = result
    return [scores[item.case] for item in items]


def _found_labels(scores: Sequence[Score]) -> LabelTable:
    """Return the table of all values that were found in the files.

    Raises:
        EquiregError: if there was nothing but background.
    """
    table = table_of_values(value for score in scores for value in score.values)
    if table.classes == 1:
        raise EquiregError(
            "evaluate: predictions and masks hold nothing but background, and no labels.json says what to "
            "expect. Give the folder of predictions a labels.json."
        )
    return table
