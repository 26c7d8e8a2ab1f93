"""Intensities that lie far from those of the training set: another unit, an offset, a conversion to 8 bits."""

import logging

from equireg.model import ModelFacts
from equireg.preparation.case import WorkingScan
from equireg.preparation.intensities import far_from_training

log = logging.getLogger("equireg")


def warn_of(scan: WorkingScan, facts: ModelFacts, where: str) -> None:
    """Warn of what the user should know of a scan before its prediction is trusted; ``where`` names the scan."""
    far = far_from_training(scan.intensities, facts.intensities, facts.normalisation, facts.channels)
    for note in (*scan.notes, *(f"{text}; the prediction may be wrong" for _, text in far)):
        log.warning("%s: %s", where, note)


def far_channels(scan: WorkingScan, facts: ModelFacts) -> list[str]:
    """Return the names of the channels whose intensities lie far from those of the training set."""
    return [
        name for name, _ in far_from_training(scan.intensities, facts.intensities, facts.normalisation, facts.channels)
    ]
