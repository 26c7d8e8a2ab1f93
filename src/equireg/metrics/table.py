"""The table of metrics: what each is called, how it is computed, and which way is better."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from equireg.metrics import masks
from equireg.metrics.comparison import Comparison
from equireg.registry import Table

COMPUTED = "computed"
"""In place of a value for an empty mask: the metric is computed as ever."""


@dataclass(frozen=True)
class Metric:
    """One metric of a case and region: evaluation computes it, the report shows it."""

    name: str
    """as in metrics.csv and summary.json, with its unit where it has one"""
    title: str
    """what people call it, without the unit"""
    short: str
    """the same for narrow places"""
    compute: Callable[[Comparison], float | None]
    """from both masks; importable by name, so that other processes find it. None: there is no value"""
    unit: str = ""
    """such as mm; empty for a fraction"""
    better: Literal["higher", "lower"] | None = None
    """which way is better; None for a plain fact, which is not averaged in summary.json and not ranked"""
    digits: int = 3
    """decimals to show"""
    both_empty: float | None = None
    """value where prediction and reference are empty; None counts as missing"""
    one_empty: float | Literal["computed"] | None = None
    """value where one of them is empty; None counts as missing"""
    of: Literal["reference", "transform"] = "reference"
    """what the prediction is compared with: the reference mask, or itself under a transform"""
    note: str = ""
    """a sentence for people, shown beside the table"""

    @property
    def label(self) -> str:
        """Title and unit."""
        return f"{self.title}, {self.unit}" if self.unit else self.title

    @property
    def averaged(self) -> bool:
        """Whether summary.json and the report's tables hold its mean."""
        return self.better is not None

    def best(self, values: Sequence[float]) -> float:
        """Return the best of some values.

        Raises:
            ValueError: if the metric has no better way.
        """
        if self.better is None:
            raise ValueError(f"{self.name} has no better way; expected a metric that can be ranked.")
        return min(values) if self.better == "lower" else max(values)

    def value(self, comparison: Comparison) -> float | None:
        """Return the metric of one region; where a mask is empty, as the table says."""
        empty = (not comparison.predicted_voxels) + (not comparison.reference_voxels)
        if empty == 2:
            return self.both_empty
        if empty == 1 and self.one_empty != COMPUTED:
            return self.one_empty
        found = self.compute(comparison)
        return None if found is None else float(found)


_OWN = (
    Metric(
        "dice",
        title="Dice",
        short="Dice",
        compute=masks.dice_of,
        better="higher",
        both_empty=1.0,
        one_empty=0.0,
    ),
    Metric(
        "hd95_mm",
        title="95th percentile Hausdorff distance (HD95)",
        short="HD95",
        compute=masks.hd95_of,
        unit="mm",
        better="lower",
        digits=1,
        both_empty=0.0,
        one_empty=None,
        note="Lower is better. Missing where one of prediction and reference is empty.",
    ),
    Metric(
        "nsd",
        title="Normalised surface Dice (NSD)",
        short="NSD",
        compute=masks.nsd_of,
        better="higher",
        both_empty=1.0,
        one_empty=0.0,
    ),
    Metric(
        "equivariance_dice",
        title="Equivariance Dice",
        short="Equivariance Dice",
        compute=masks.dice_of,
        better="higher",
        both_empty=1.0,
        one_empty=0.0,
        of="transform",
        note="Dice of the prediction of the transformed scan with the transformed prediction, under one fixed "
        "transform a slice, the same for all models. It needs no mask and says nothing about being right.",
    ),
    Metric(
        "volume_ml",
        title="Predicted volume",
        short="Volume",
        compute=masks.predicted_ml,
        unit="ml",
        digits=2,
        both_empty=0.0,
        one_empty=COMPUTED,
    ),
    Metric(
        "reference_volume_ml",
        title="Reference volume",
        short="Reference volume",
        compute=masks.reference_ml,
        unit="ml",
        digits=2,
        both_empty=0.0,
        one_empty=COMPUTED,
    ),
)

METRICS: Table[Metric] = Table("metric", {metric.name: metric for metric in _OWN})
"""Every metric by its name, in the order in which tables show them; ``equireg.register`` adds more."""
