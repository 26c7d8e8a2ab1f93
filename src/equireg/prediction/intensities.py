"""Intensities that lie far from those of the training set: another unit, an offset, a conversion to 8 bits."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from equireg.model import ModelFacts
from equireg.preparation.case import WorkingScan

log = logging.getLogger("equireg")

_ABSOLUTE = ("ct", "none")
"""Normalisations that keep the unit of a scan's intensities."""
_MARGIN, _ABSOLUTE_MARGIN = 0.5, 0.25
"""Widths of a training scan's intensities that a percentile may lie outside the range of the training scans."""
_NARROWER = 4.0
"""Factor by which a scan's intensities may be narrower than those of any training scan."""


def warn_of(scan: WorkingScan, facts: ModelFacts, where: str) -> None:
    """Warn of what the user should know of a scan before its prediction is trusted; ``where`` names the scan."""
    far = far_from_training(scan.intensities, facts.intensities, facts.normalisation, facts.channels)
    for note in (*scan.notes, *(text for _, text in far)):
        log.warning("%s: %s", where, note)


def far_channels(scan: WorkingScan, facts: ModelFacts) -> list[str]:
    """Return the names of the channels whose intensities lie far from those of the training set."""
    return [
        name for name, _ in far_from_training(scan.intensities, facts.intensities, facts.normalisation, facts.channels)
    ]


def far_from_training(
    found: Sequence[Sequence[float]],
    known: Mapping[str, Any] | None,
    normalisation: Mapping[str, Any],
    channels: Sequence[str],
) -> Iterator[tuple[str, str]]:
    """Yield the name of, and a warning for, each channel whose intensities lie far from those of the training set.

    Two of three percentiles must lie far outside, because a single one moves with the field of view; or all lie close
    to each other, as after a conversion to fewer bits.

    Args:
        found: percentiles 0.5, 50 and 99.5 of the scan's raw intensities inside its foreground, [C][3].
        known: their least, median and greatest over the training scans, [C][3] each; None where the run is older.
        normalisation: what is done to intensities.
        channels: names of the channels.
    """
    if not known or len(found) != len(channels) or len(known["median"]) != len(channels):
        return
    part = _ABSOLUTE_MARGIN if normalisation.get("name") in _ABSOLUTE else _MARGIN
    for index, (name, scan) in enumerate(zip(channels, found, strict=True)):
        least, median, greatest = (known[key][index] for key in ("least", "median", "greatest"))
        width = median[2] - median[0]
        # The least percentiles bound the narrowest training scan: where those differ by orders of magnitude, as
        # MRI of several scanners do, a scan like it is as healthy as one like the median.
        narrowest = min(width, least[2] - least[0])
        outside = [
            max(low - value, value - high) > part * width
            for value, low, high in zip(scan, least, greatest, strict=True)
        ]
        if sum(outside) >= 2 or (scan[2] - scan[0]) * _NARROWER < narrowest:
            warning = (
                f"channel {name}: its intensities reach from {scan[0]:.4g} to {scan[2]:.4g} (median {scan[1]:.4g}), "
                f"those of the training scans from {least[0]:.4g} to {greatest[2]:.4g} (medians {least[1]:.4g} to "
                f"{greatest[1]:.4g}). Check its unit, an offset, and conversions to fewer bits; the prediction may be "
                "wrong"
            )
            yield name, warning
