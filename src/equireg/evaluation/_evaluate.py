"""The verb ``evaluate``: read, compare, summarise, draw."""

import math
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from equireg.data.labels import LabelTable
from equireg.errors import EquiregError, UsageError
from equireg.evaluation._pairing import LABELS, Pair, choose_labels, pair_up, read_predictions, read_reference
from equireg.evaluation._pictures import choose_cases, find_scans, write_picture
from equireg.evaluation._scores import Score, as_csv, score_case, summarise, table_of_values, with_all_regions
from equireg.folders import refuse_existing, sign, staged_folder, write_atomic, write_json


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

    Writes ``metrics.csv``, ``summary.json``, ``labels.json``, ``pictures/CASE.npz`` of the best, the median
    and the worst case, and ``made_by.json``; all of them or nothing.

    Args:
        predictions: what ``equireg predict`` made, or any folder of label files named by case.
        reference: a folder of masks named by case (all of them are judged), a raw folder in any known layout
            or a prepared one (the cases that were predicted are judged).
        out: the folder to make.
        tolerance_mm: distance that NSD still counts as agreement, mm.
        scans: raw folder of the scans that the pictures show; found by itself where the reference holds them.
        pictures: cases to keep a picture of, in place of the best, the median and the worst.
        jobs: processes that compare cases at the same time.

    Returns:
        The summary, as ``summary.json`` holds it.

    Raises:
        EquiregError: if a folder or prediction is missing, the output exists, no case is common, a prediction
            and its mask differ in shape or affine, or a file holds an undeclared label value.
    """
    _check_options(tolerance_mm, jobs)
    refuse_existing(out)
    predicted = read_predictions(Path(predictions))
    masks = read_reference(Path(reference), predicted)
    pairs = pair_up(predicted, masks)
    table = choose_labels(predicted, masks)
    shown = find_scans(predicted, masks, scans)

    scores = _score_all(pairs, table, tolerance_mm, jobs)
    if table is None:
        table = _found_labels(scores)
    scores = with_all_regions(scores, list(table.judged_regions()))
    summary = summarise(scores)
    roles = _roles(pictures, scores)
    with staged_folder(out) as folder:
        write_atomic(folder / "metrics.csv", as_csv(scores))
        write_json(folder / "summary.json", summary)
        write_json(folder / LABELS, table.as_dict())
        (folder / "pictures").mkdir()
        for pair, score in zip(pairs, scores, strict=True):
            if role := roles.get(pair.case):
                write_picture(folder / "pictures", pair, role, score.mean_dice, table=table, scans=shown)
        sign(
            folder,
            "evaluate",
            {"tolerance_mm": tolerance_mm},
            source=predictions,
            reference=str(Path(reference).absolute()),
            run=dict(predicted.signature.get("run") or {}),
        )
    return summary


def _roles(pictures: Sequence[str], scores: Sequence[Score]) -> dict[str, str]:
    """Return case to role of those to picture: the cases asked for, else the best, the median and the worst."""
    unknown = sorted(set(pictures) - {score.case for score in scores})
    if unknown:
        raise EquiregError(f"pictures of {', '.join(unknown)} are asked for, which no prediction and mask share.")
    return dict.fromkeys(pictures, "chosen") or choose_cases(scores)


def _check_options(tolerance_mm: float, jobs: int) -> None:
    if not (math.isfinite(tolerance_mm) and tolerance_mm >= 0):
        raise UsageError(f"--tolerance_mm is {tolerance_mm}; expected a finite number of mm, 0 or more.")
    if jobs < 1:
        raise UsageError(f"--jobs is {jobs}; expected 1 or more.")


def _score_all(pairs: Sequence[Pair], table: LabelTable | None, tolerance_mm: float, jobs: int) -> list[Score]:
    """Score every pair, in the pairs' order; the first error ends it.

    Raises:
        EquiregError: what ``score_case`` raises, or a process that died.
    """
    score = partial(score_case, table=table, tolerance_mm=tolerance_mm)
    progress = partial(tqdm, total=len(pairs), desc="evaluate", unit="case", disable=None)
    if jobs == 1 or len(pairs) == 1:
        return [score(pair) for pair in progress(pairs)]
    with _pool(min(jobs, len(pairs))) as pool:
        futures = {pool.submit(score, pair): index for index, pair in enumerate(pairs)}
        scores = {futures[future]: future.result() for future in progress(as_completed(futures))}
    return [scores[index] for index in range(len(pairs))]


@contextmanager
def _pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of processes that drops what is waiting as soon as something fails."""
    # Spawned, not forked: a fork of a process in which torch has started threads can hang.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield pool
    except BrokenProcessPool as error:
        raise EquiregError(
            "evaluate: a worker process died, often for want of memory. Try again with fewer --jobs."
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


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
