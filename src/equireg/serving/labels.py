"""Label values in the words of clients: 3D Slicer numbers segments as they stand in its list."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from equireg.errors import EquiregError
from equireg.imaging.labels import LabelTable


def label_names(labels: LabelTable, present: Sequence[int]) -> dict[str, int]:
    """Return the names of those labels that a mask shows, with their values, in the order of the values.

    Slicer gives the values that a mask shows, in their order, to the names in their order.
    """
    return {name: value for value, name in sorted(zip(labels.values, labels.names, strict=True)) if value in present}


def segment_names(params: Any) -> list[str]:
    """Return the names of a client's segments from the parameters of its mask; empty where they are not told."""
    info = params.get("label_info") if isinstance(params, dict) else None
    if not isinstance(info, list) or not all(isinstance(one, dict) and "name" in one for one in info):
        return []
    return [str(one["name"]) for one in info]


def in_own_values(values: np.ndarray, names: Sequence[str], labels: LabelTable) -> np.ndarray:
    """Turn the numbers of a client's segments into label values.

    Args:
        values: the mask as it was sent, [X, Y, Z]; n stands for the n-th segment.
        names: names of the segments in their order; with none, the mask holds label values already.
        labels: the data set's labels; where it knows none so far, the mask stays.

    Raises:
        EquiregError: if a segment that the mask shows is none of the data set's labels.
    """
    if not names or labels.classes < 2:
        return values
    known = dict(zip(labels.names, labels.values, strict=True))
    shown = [int(value) for value in np.unique(values)]
    turned = np.zeros(values.shape, dtype=np.int64)
    for value in shown:
        if value == 0:
            continue
        name = names[value - 1] if value <= len(names) else f"number {value}"
        if name not in known:
            raise EquiregError(
                f"the mask shows the segment {name[:80]!r}; expected some of {', '.join(labels.names[1:])}. Rename or "
                "remove the segment."
            )
        turned[values == value] = known[name]
    return turned
