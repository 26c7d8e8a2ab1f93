"""Predicted against reference volume of each case."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from equireg.comparing.cohorts import Cohort
from equireg.comparing.compared import Evaluation
from equireg.drawing.svg import MUTED, draw
from equireg.reporting.drawing.figures import Drawing, cloud, log_ticks
from equireg.reporting.section import Section, signed

_BIASES = 4
"""Arms whose mean error of volume is written under a drawing; a list of more is read by nobody."""


def section(cohort: Cohort) -> Section:
    """Return a drawing of each region that has volumes."""
    drawings = [drawing for region in cohort.regions if (drawing := _volumes(cohort, region))]
    arms = list(dict.fromkeys(cohort.arms.of(evaluation) for evaluation in cohort.evaluations))
    return Section("volumes", {"arms": arms, "drawings": drawings} if drawings else {})


def _volumes(cohort: Cohort, region: str) -> Drawing | None:
    pairs = [(evaluation, pair) for evaluation in cohort.evaluations if len(pair := _pair(evaluation, region))]
    if not pairs:
        return None
    everything = np.concatenate([pair for _, pair in pairs])
    low, high = float(everything.min()), float(everything.max()) or 1.0
    logarithmic = low > 0 and high > 20 * low

    def plot(axes: Axes) -> None:
        limits = (low / 1.4, high * 1.4) if logarithmic else (-0.04 * high, 1.08 * high)
        if logarithmic:
            axes.set(xscale="log", yscale="log")
        axes.set(xlim=limits, ylim=limits, xlabel="reference, ml", ylabel="predicted, ml")
        for axis in (axes.xaxis, axes.yaxis):
            if logarithmic:
                log_ticks(axis)
            else:
                axis.set_major_locator(MaxNLocator(6))  # the same ticks on both axes
        axes.plot(limits, limits, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
        for evaluation, pair in pairs:
            axes.scatter(pair[:, 0], pair[:, 1], **cloud(cohort.arms.of(evaluation).index, 18))
        axes.set_aspect("equal")

    by_arm: dict[str, list[np.ndarray]] = {}
    for evaluation, pair in pairs:
        by_arm.setdefault(cohort.arms.of(evaluation).label, []).append(pair)
    biases = [
        f"{label}\N{NO-BREAK SPACE}{_bias(np.concatenate(parts))}\N{NO-BREAK SPACE}ml"
        for label, parts in by_arm.items()
    ]
    note = "Mean of predicted minus reference: " + "; ".join(biases) if len(biases) <= _BIASES else ""
    return Drawing(region, draw(plot, width=3.4, height=3.2, label=f"Predicted over reference volume, {region}"), note)


def _bias(pairs: np.ndarray) -> str:
    """Write the mean error of volumes [n, 2] with three significant digits."""
    mean = float((pairs[:, 1] - pairs[:, 0]).mean())
    if abs(mean) <= 1e-9 * float(pairs.max()):
        return "0"
    return signed(mean, max(0, 2 - math.floor(math.log10(abs(mean)))))


def _pair(evaluation: Evaluation, region: str) -> np.ndarray:
    """Return reference and predicted volume of each case that has both, ml, [n, 2]."""
    names = ("reference_volume_ml", "volume_ml")
    if any(name not in evaluation.values for name in names):
        return np.empty((0, 2))
    pairs = np.stack([evaluation.values[name][region] for name in names], axis=1)
    return pairs[np.isfinite(pairs).all(axis=1)]
