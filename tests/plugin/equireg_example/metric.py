"""A metric: the part of the reference that the prediction found."""

from equireg.metrics import Comparison, Metric


def recall(comparison: Comparison) -> float:
    """Return the part of the reference's voxels that are predicted."""
    return comparison.common_voxels / comparison.reference_voxels


RECALL = Metric(
    "recall", title="Recall", short="Recall", compute=recall, better="higher", both_empty=1.0, one_empty=0.0
)
