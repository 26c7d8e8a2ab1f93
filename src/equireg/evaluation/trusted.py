"""Quality beside Dice, of the predictions that are as the model made them."""

import logging
from collections.abc import Sequence
from contextlib import suppress

from equireg.errors import EquiregError, some_of
from equireg.evaluation.predictions import Predictions
from equireg.evaluation.scores import Score, shown_regions
from equireg.folders.digests import digest_of
from equireg.folders.quality import read_quality, read_record

log = logging.getLogger("equireg")


def trusted(predictions: Predictions, scores: Sequence[Score]) -> dict[str, tuple[float, float]]:
    """Return case to quality and mean Dice, of the cases that have a quality and a mask.

    Predictions that somebody corrected in place are left out, and a warning names them.
    """
    if predictions.is_unsigned:
        return {}
    qualities = {row.case: row.quality for row in read_quality(predictions.root) if row.quality is not None}
    regions = shown_regions(scores, "dice")
    judged = [one for one in scores if one.case in qualities and one.is_judged]
    corrected = [one.case for one in judged if _is_corrected(predictions, one.case)]
    if corrected:
        log.warning(
            "%s: %d of %d masks are no longer those that `equireg predict` wrote (%s). Their scores are not the "
            "model's. quality.csv, from which --calibration learns, leaves them out.",
            predictions.root,
            len(corrected),
            len(judged),
            some_of(corrected),
        )
    kept = [one for one in judged if one.case not in set(corrected)]
    return {one.case: (qualities[one.case], one.mean_dice(regions)) for one in kept}


def _is_corrected(predictions: Predictions, case: str) -> bool:
    """Whether a mask is another file than that of the model; no, where nobody knows."""
    path, digest = predictions.files.get(case), None
    with suppress(EquiregError):  # without its record nothing is known of it
        digest = read_record(predictions.root, case).mask_digest
    return path is not None and digest is not None and digest_of(path) != digest
