"""Which labels new masks may bring along."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from equireg.folders.prepared import PreparedSet
from equireg.folders.prepared.adopted import adopted_names, read_history
from equireg.imaging.labels import LabelTable
from equireg.imaging.segments import is_named, plain
from equireg.preparation.label_values import check_kinds

log = logging.getLogger("equireg")


def are_open(data: PreparedSet) -> bool:
    """Whether masks may bring labels: nobody has declared any, so that all there are come from adopted masks.

    Raises:
        EquiregError: if the record of adopted masks is damaged.
    """
    labels, masked = data.manifest.labels, [case for case in data.manifest.cases if case.labelled]
    if labels.classes < 2:
        return True
    told = labels.regions or labels.ignore is not None or labels.colours
    if told or not {case.name for case in masked} <= read_history(data.root).keys():
        return False
    names = adopted_names(data.root)
    shown = [value for index, value in enumerate(labels.values) if any(case.class_voxels[index] for case in masked)]
    return all(
        plain(name) == plain(names.get(value, f"label {value}")) and (value in names or value in shown)
        for value, name in zip(labels.values[1:], labels.names[1:], strict=True)
    )


def are_open_by_name(data: PreparedSet) -> bool:
    """Whether a segment that no label is called as is a new label; not where the labels have no names themselves.

    Raises:
        EquiregError: if the record of adopted masks is damaged.
    """
    return are_open(data) and all(map(is_named, data.manifest.labels.names))


def grown(data: PreparedSet, names: Mapping[int, str], shown: Mapping[Path, set[int]]) -> LabelTable:
    """Return the data set's labels with those that new masks bring behind them, so that no class index changes.

    Args:
        data: the prepared folder, whose labels are open.
        names: label value to name, of all that the masks name.
        shown: mask to the label values that it shows.

    Raises:
        EquiregError: if the masks seem to mean the same by other values than the earlier ones.
    """
    labels = data.manifest.labels
    fresh = sorted({*names}.union(*shown.values()) - {*labels.values})
    called = [names.get(value, f"label {value}") for value in fresh]
    if fresh and labels.classes > 1:
        earlier = {
            data.folder(case.name): {v for v, count in zip(labels.values, case.class_voxels, strict=True) if count}
            for case in data.manifest.cases
            if case.labelled
        }
        check_kinds(earlier | {path: values for path, values in shown.items() if values})
        log.warning("masks bring labels that no earlier one had: %s", ", ".join(called))
    return replace(labels, values=(*labels.values, *fresh), names=(*labels.names, *called))
