"""The verb ``evaluate``: read, compare, summarise, draw."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from equireg.config import DicomOptions, EvaluateConfig
from equireg.config.parsing import options_from
from equireg.disk import refuse_existing, staged_folder
from equireg.errors import EquiregError, UsageError
from equireg.evaluation.comparing import score_case, table_of_values
from equireg.evaluation.jobs import choose_jobs
from equireg.evaluation.naming import one_error, some_of
from equireg.evaluation.pairing import Pair, choose_labels, not_listed, pair_up, warn_of_shear
from equireg.evaluation.palettes import check_palettes, with_colours_of
from equireg.evaluation.patients import scans_of_one_patient
from equireg.evaluation.pictures import Scans, check_asked, choose_cases, find_scans, make_picture
from equireg.evaluation.predictions import Predictions, read_predictions
from equireg.evaluation.references import PortalTable, read_reference
from equireg.evaluation.result import EvaluationResult
from equireg.evaluation.scores import Score, finite, joined, nothing_in_common, shown_regions, with_all_regions
from equireg.evaluation.summary import summarise
from equireg.evaluation.transformed import TransformedPair, find_transformed, score_transformed
from equireg.evaluation.trusted import trusted
from equireg.folders import evaluation as folder_format
from equireg.folders import lineage, made_by, sign
from equireg.folders.digests import digests_of
from equireg.folders.learnt import some_learnt
from equireg.folders.origin import SOURCE
from equireg.folders.quality import views_of
from equireg.folders.signature import LEARNT_CASES
from equireg.imaging.labels import LabelTable
from equireg.imaging.limits import Limits
from equireg.layouts.dicom.telling import may_name_a_patient
from equireg.metrics import METRICS, Metric
from equireg.processes.workers import Workers

log = logging.getLogger("equireg")

Item = TypeVar("Item", Pair, TransformedPair)


def evaluate(
    predictions: Path | str,
    reference: Path | str,
    out: Path | str,
    config: EvaluateConfig | None = None,
    **options: Any,
) -> EvaluationResult:
    """Compare predictions with reference masks: Dice, HD95, NSD and volumes of each case and region.

    Predictions that were made with ``--equivariance`` are compared with themselves under a transform too, also
    those without a mask. In place of masks the result file of BraTS' evaluation portal is read.

    Writes ``metrics.csv``, ``summary.json``, ``labels.json``, ``quality.csv`` of predictions that have a quality,
    ``pictures/CASE.npz`` of the best, the median and the worst case, and ``made_by.json``; all of them or nothing.

    Args:
        predictions: what ``equireg predict`` made, or any folder of label files named by case.
        reference: a folder of masks named by case (all of them are judged), a raw folder in any known layout
            or a prepared one (the cases that were predicted are judged); or the portal's CSV file.
        out: the folder to make.
        config: the options; or give them by name.
        options: those of ``EvaluateConfig``, laid over ``config``.

    Returns:
        The summary as ``summary.json`` holds it, with tables of all cases and regions.

    Raises:
        EquiregError: if a folder or prediction is missing, the output exists, no case is common, a prediction
            and its mask differ in shape or affine, a file holds an undeclared label value, or the portal's
            file is damaged or of other cases. Names all cases that cannot be judged.
    """
    config = options_from(EvaluateConfig, config, options)
    predictions, reference, out = Path(predictions), Path(reference), refuse_existing(out)
    predicted = _read(predictions, reference, config)
    pairs_transformed = find_transformed(predicted)
    judged = _judge(predicted, reference, config)
    score = partial(score_transformed, table=judged.table, metrics=_metrics("transform"))
    transformed = _score(score, pairs_transformed, config.jobs)
    table = judged.table or _found_labels([*judged.scores, *transformed])
    regions = list(table.judged_regions())
    scores = with_all_regions(judged.scores, regions, [metric.name for metric in _metrics("reference")])
    _warn_of_scores(predictions, judged, scores)
    everything = joined(scores, with_all_regions(transformed, regions, [m.name for m in _metrics("transform")]))
    result = EvaluationResult(summarise(everything, judged.not_predicted), _plain(everything))
    with staged_folder(out) as folder:
        folder_format.write_scores(folder, result.scores)
        folder_format.write_summary(folder, result.summary)
        folder_format.write_labels(folder, table)
        folder_format.write_quality(folder, trusted(predicted, scores))
        folder_format.write_pictures(folder, _pictures(replace(judged, scores=scores), table, config.pictures))
        sign(
            folder,
            folder_format.VERB,
            {name: getattr(config, name) for name in ("tolerance_mm", "record_paths")},
            source=predictions,
            **_facts(everything, predicted, reference, judged),
            digests=digests_of(folder, folder_format.SEALED),
        )
    return result


def _read(predictions: Path, reference: Path, config: EvaluateConfig) -> Predictions:
    origins = [signature for folder in (predictions, reference) for signature in reversed([*lineage(folder)])]
    limits = Limits.of(config, *origins)
    return read_predictions(predictions, limits, config.colours, origins, DicomOptions.of(config))


@dataclass(frozen=True)
class _Judged:
    """What the reference says of the predictions."""

    scores: list[Score]
    table: LabelTable | None
    pairs: Sequence[Pair] = ()
    """Predictions and masks, in the order of the scores; none where the portal judged."""
    scans: Scans | None = None
    not_predicted: int = 0
    """Masks that no prediction was compared with."""


def _judge(predictions: Predictions, given: Path, config: EvaluateConfig) -> _Judged:
    """Judge the predictions by masks, or by the portal's table."""
    if PortalTable.is_one(given):
        if config.pictures or config.scans is not None:
            raise UsageError(f"{given}: is a table of scores; --pictures and --scans need reference masks.")
        portal = PortalTable.read(given, predictions)
        return _Judged(portal.scores, portal.table)
    if made_by(given) == "predict":
        log.warning(
            "%s: was made by `equireg predict`, so predictions are compared with predictions. Masks are given second: "
            "equireg evaluate PREDICTIONS MASKS",
            given,
        )
    scans, tolerance_mm = None if config.scans is None else Path(config.scans), config.tolerance_mm
    reference = read_reference(given, predictions, config.verify, scans)
    predictions = with_colours_of(predictions, reference)
    pairs = pair_up(predictions, reference)
    check_palettes(predictions, reference, pairs)
    table, numbers = choose_labels(predictions, reference)
    warn_of_shear(pairs)
    pairs = [pair.by_names_of(table, numbers) for pair in pairs] if table is not None else pairs
    shown = find_scans(predictions, reference, scans)
    score = partial(score_case, table=table, tolerance_mm=tolerance_mm, metrics=_metrics("reference"))
    not_predicted = len(reference.not_predicted(predictions.cases))
    scores = _score(score, pairs, config.jobs)
    if table is not None and (warning := not_listed(pairs, table)):
        log.warning("%s", warning)
    return _Judged(scores, table, pairs, shown, not_predicted)


def _warn_of_scores(predictions: Path, judged: _Judged, scores: Sequence[Score]) -> None:
    if warning := nothing_in_common(scores):
        log.warning("%s: %s", predictions, warning)
    if judged.pairs and (unjudged := [score.case for score in scores if not score.is_judged]):
        log.warning(
            "the masks of %d of %d cases are ignored in every voxel, or list no label, so they judge nothing and "
            "have no scores: %s",
            len(unjudged),
            len(scores),
            some_of(unjudged),
        )


def _metrics(of: str) -> list[Metric]:
    """Return the metrics that compare a prediction with a reference, or with itself under a transform."""
    # Where a package registered a metric under another name than its own, the registered one counts.
    return [replace(metric, name=name) for name, metric in METRICS.items() if metric.of == of]


def _score(score: Callable[[Item], Score], items: Sequence[Item], jobs: int) -> list[Score]:
    """Score every item, in their order.

    Raises:
        EquiregError: names every case that could not be scored.
    """
    scores: dict[str, Score] = {}
    problems: dict[str, EquiregError] = {}
    with Workers(choose_jobs(jobs, [item.geometry for item in items])) as workers:
        for case, result in workers.run(score, {item.case: (item,) for item in items}, folder_format.VERB):
            if isinstance(result, EquiregError):
                problems[case] = result
            else:
                scores[case] = result
        if problems:
            error = one_error(problems, len(items))
            workers.add_traces(error)
            raise error
    return finite([scores[item.case] for item in items])


def _plain(scores: Sequence[Score]) -> dict[tuple[str, str, str], float]:
    """Return (case, region, metric) to value, NaN where missing."""
    return {
        (score.case, region, metric): math.nan if value is None else value
        for score in scores
        for region, metrics in score.regions.items()
        for metric, value in metrics.items()
    }


def _told(reference: Path, judged: _Judged, predicted: Predictions) -> Path:
    """Return the reference as it may be recorded: not where its name may tell who a patient is."""
    if predicted.options.keep_names or not judged.pairs:  # the portal's table is called as the portal does
        return reference
    cases = {} if judged.scans is None else judged.scans.cases
    sources = [origin.get(SOURCE) for origin in predicted.origins if origin.get("verb") in ("prepare", "predict")]
    untold = not cases and None in sources
    named = [cases[score.case] for score in judged.scores if score.case in cases]
    return Path("data") if untold or may_name_a_patient(reference, named) else reference


def _origin(signature: Mapping[str, Any], reference: Path) -> dict[str, Any]:
    """Return what predictions were compared with, and what is known of the run and of the options behind them."""
    options = signature.get("config") or {}
    return {
        "reference": str(reference.absolute()),
        "run": dict(signature.get("run") or {}),
        folder_format.VIEWS: {**views_of(options), "checkpoint": options.get("checkpoint")},
    }


def _facts(everything: Sequence[Score], predicted: Predictions, reference: Path, judged: _Judged) -> dict[str, Any]:
    """Return what the signature holds of what was judged by what, and of the cases."""
    return {
        **_origin(predicted.signature, _told(reference, judged, predicted)),
        **_same_patient(everything, predicted, reference, judged),
        **_learnt(predicted, judged),
    }


def _same_patient(
    scores: Sequence[Score], predictions: Predictions, reference: Path, judged: _Judged
) -> dict[str, Any]:
    """Return what the signature holds of patients who have several scans; nothing where none has."""
    scans = {} if judged.scans is None else judged.scans.cases
    several = scans_of_one_patient([score.case for score in scores], predictions, reference, scans)
    return {folder_format.SAME_PATIENT: several} if several else {}


def _learnt(predictions: Predictions, judged: _Judged) -> dict[str, Any]:
    """Return what the signature holds of cases that the model learnt from, and warn of them."""
    known = {*predictions.signature.get(LEARNT_CASES, ())}
    found = [score.case for score in judged.scores if score.case in known]
    if found:
        log.warning(
            "%s: the model has %s. Their scores say nothing of new scans.",
            predictions.root,
            some_learnt(found, len(judged.scores)),
        )
    return {LEARNT_CASES: found} if found else {}


def _roles(pictures: Sequence[str], judged: _Judged, scores: Sequence[Score]) -> dict[str, str]:
    """Return case to role of those to picture: the best, the median and the worst, and those asked for."""
    if not (judged.pairs or pictures):
        return {}
    check_asked(pictures, [score.case for score in scores])
    ranked = [score for score in scores if score.is_judged] or scores
    return {**dict.fromkeys(pictures, "chosen"), **choose_cases(ranked)}


def _pictures(judged: _Judged, table: LabelTable, asked: Sequence[str]) -> list[folder_format.Picture]:
    """Draw each case that has a role, those that are asked for by name among them."""
    roles = _roles(asked, judged, judged.scores)
    regions = shown_regions(judged.scores, "dice")
    dice = {score.case: score.mean_dice(regions) for score in judged.scores}
    drawn = [pair for pair in judged.pairs if pair.case in roles]
    return [make_picture(pair, roles[pair.case], dice[pair.case], table, judged.scans) for pair in drawn]


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
