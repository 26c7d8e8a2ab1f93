"""Intensities that lie far from those of other scans: another unit, an offset, a conversion to 8 bits."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from equireg.folders.prepared import CaseRecord
from equireg.preparation.normalise import scheme_of

_ABSOLUTE = ("ct", "none")
"""Normalisations that keep the unit of a scan's intensities."""
_MARGIN, _ABSOLUTE_MARGIN = 0.5, 0.25
"""Widths of a training scan's intensities that a percentile may lie outside the range of the training scans."""
_NARROWER = 4.0
"""Factor by which a scan's intensities may be narrower than those of any training scan."""
_AIR = (-1100.0, -700.0)
"""Hounsfield units about air."""
_FEWEST = 5
"""Scans from which each is compared with the others."""


def ranges_of(found: np.ndarray) -> dict[str, Any]:
    """Return the least, median and greatest percentiles of scans [N, C, 3], [C][3] each."""
    values = {"least": found.min(axis=0), "median": np.median(found, axis=0), "greatest": found.max(axis=0)}
    return {name: value.tolist() for name, value in values.items()}


def odd_scans(cases: Sequence[CaseRecord], normalisation: Mapping[str, Any], channels: Sequence[str]) -> Iterator[str]:
    """Yield a sentence on each CT scan that lies far from all others of its data set."""
    of_ct = {name for index, name in enumerate(channels) if scheme_of(normalisation, index) == "ct"}
    if not of_ct or len(cases) < _FEWEST:
        return
    found = np.array([case.intensities for case in cases])
    for index, case in enumerate(cases):
        known = ranges_of(np.delete(found, index, axis=0))
        for name, text in far_from_training(case.intensities, known, normalisation, channels, "all other scans"):
            if name in of_ct:
                yield f"{case.name}: {text}"


def looks_like_ct(
    cases: Sequence[CaseRecord], normalisation: Mapping[str, Any], channels: Sequence[str]
) -> Iterator[str]:
    """Yield a sentence on each channel that holds air in Hounsfield units in most scans, where no name says CT."""
    if not cases:
        return
    lowest = np.array([case.intensities for case in cases])[:, :, 0]
    low, high = _AIR
    for index, name in enumerate(channels):
        found = lowest[:, index]
        if scheme_of(normalisation, index) == "zscore" and np.mean((low <= found) & (found <= high)) > 0.5:
            yield (
                f"the intensities of the channel {name} begin at {np.median(found):.0f} as those of CT do, and each "
                "scan is normalised by itself, as MRI is. If it is CT, prepare with --normalise ct"
            )


def far_from_training(
    found: Sequence[Sequence[float]],
    known: Mapping[str, Any] | None,
    normalisation: Mapping[str, Any],
    channels: Sequence[str],
    others: str = "the training scans",
) -> Iterator[tuple[str, str]]:
    """Yield the name of, and a warning for, each channel whose intensities lie far from those of the training set.

    Two of three percentiles must lie far outside, because a single one moves with the field of view; or all lie close
    to each other, as after a conversion to fewer bits.

    Args:
        found: percentiles 0.5, 50 and 99.5 of the scan's raw intensities inside its foreground, [C][3].
        known: their least, median and greatest over the training scans, [C][3] each; None where the run is older.
        normalisation: what is done to intensities.
        channels: names of the channels.
        others: what they are compared with, in words.
    """
    if not known or len(found) != len(channels) or len(known["median"]) != len(channels):
        return
    for index, (name, scan) in enumerate(zip(channels, found, strict=True)):
        least, median, greatest = (known[key][index] for key in ("least", "median", "greatest"))
        part = _ABSOLUTE_MARGIN if scheme_of(normalisation, index) in _ABSOLUTE else _MARGIN
        width = median[2] - median[0]
        # The least and greatest percentiles bound the narrowest and the widest training scan: where those differ by
        # orders of magnitude, as MRI of several scanners do, a scan like them is as healthy as one like the median.
        narrowest, widest = min(width, least[2] - least[0]), max(width, greatest[2] - greatest[0])
        outside = [
            low - value > part * width or value - high > part * widest
            for value, low, high in zip(scan, least, greatest, strict=True)
        ]
        if sum(outside) >= 2 or (scan[2] - scan[0]) * _NARROWER < narrowest:
            warning = (
                f"channel {name}: its intensities reach from {scan[0]:.4g} to {scan[2]:.4g} (median {scan[1]:.4g}), "
                f"those of {others} from {least[0]:.4g} to {greatest[2]:.4g} (medians {least[1]:.4g} to "
                f"{greatest[1]:.4g}). Check its unit, an offset, and conversions to fewer bits"
            )
            yield name, warning
