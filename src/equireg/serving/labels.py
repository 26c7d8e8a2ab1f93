"""Label values in the words of clients: 3D Slicer numbers segments as they stand in its list."""

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from equireg.annotation.labels import are_open_by_name
from equireg.errors import EquiregError
from equireg.folders.prepared import CaseRecord, PreparedSet
from equireg.imaging.alignment import warn_once
from equireg.imaging.labels import LabelTable, distinct
from equireg.imaging.segments import (
    IGNORE,
    are_distinct,
    common_numbers,
    held_apart,
    is_made_up,
    is_named,
    label_of,
    plain,
)
from equireg.imaging.volume import read_label, write_label

log = logging.getLogger("equireg")


def label_names(labels: LabelTable, present: Sequence[int]) -> dict[str, int]:
    """Return the names of those labels that a mask shows, with their values, in the order of the values.

    Slicer gives the values that a mask shows, in their order, to the names in their order.
    """
    return {name: value for value, name in sorted(zip(labels.values, labels.names, strict=True)) if value in present}


def segment_names(params: Any, shown: Collection[int] = ()) -> dict[int, str]:
    """Return number to name of a client's segments from the parameters of its mask; empty where they are not told.

    Slicer's ``idx`` counts segments that it removed from the mask too, so where it rises, the place in the list counts.

    Args:
        params: as they were sent.
        shown: numbers that the mask shows, without the background.
    """
    info = params.get("label_info") if isinstance(params, dict) else None
    if not isinstance(info, list) or not all(isinstance(one, dict) and "name" in one for one in info):
        return {}
    found = [(one.get("idx"), " ".join(str(one["name"]).split())) for one in info if one.get("idx") != 0]
    told = {idx: name for idx, name in found if type(idx) is int and idx > 0}
    beyond = max(shown, default=0) > len(found) and set(shown) <= told.keys()
    if len(told) == len(found) and (list(told) != sorted(told) or beyond):
        return told
    return {place: name for place, (_, name) in enumerate(found, 1)}


def in_own_values(
    values: np.ndarray, names: Mapping[int, str], labels: LabelTable, *, open_: bool = False
) -> tuple[np.ndarray, dict[int, str]]:
    """Turn the numbers of a client's segments into label values.

    Args:
        values: the mask as it was sent, [X, Y, Z].
        names: number to name of the segments; with none, the mask holds label values already.
        labels: the data set's labels; where it knows none so far, the mask stays.
        open_: whether masks may bring further labels.

    Returns:
        The mask in label values, and value to name of the labels that the data set lacks.

    Raises:
        EquiregError: if a segment that the mask shows is none of the data set's labels.
    """
    fit = are_distinct(names.values()) and "".join(names.values()).isprintable()
    if not names or labels.classes < 2:
        return values, dict(names) if fit else {}
    known = dict(zip(labels.names[1:], labels.values[1:], strict=True))
    named = known if labels.ignore is None else {**known, IGNORE: labels.ignore}
    apart = held_apart([names.values()])
    meant = {number: named[label] for number, name in names.items() if (label := label_of(name, named, apart))}
    shown = [value for value in distinct(values) if value]
    odd = {number: names.get(number, f"number {number}") for number in shown if number not in meant}
    brought: dict[int, str] = {}
    fit = fit and odd.keys() <= names.keys() and not any(map(is_made_up, odd.values()))
    if odd and open_ and fit:
        numbers = common_numbers([{value: name for name, value in known.items()}, odd])
        brought = {numbers[plain(name)]: name for name in odd.values()}
        meant |= {number: numbers[plain(name)] for number, name in odd.items()}
    elif odd:
        only = next(iter(known))
        if len(known) > 1 or len(odd) > 1 or known[only] in meant.values() or not odd.keys() <= names.keys():
            raise EquiregError(
                f"the mask shows the segment {next(iter(odd.values()))[:80]!r}; expected some of {', '.join(named)}. "
                "Rename or remove the segment."
            )
        warn_once(f"masks call a segment {names[min(odd)][:80]!r}, the only label is {only!r}, which it is taken for.")
        meant[min(odd)] = known[only]
    turned = np.zeros(values.shape, dtype=np.int64)
    for value in shown:
        turned[values == value] = meant[value]
    return turned, brought


def rewritten(path: Path, record: CaseRecord, params: Any, data: PreparedSet) -> tuple[Path, dict[int, str]]:
    """Write a mask that was sent again, in label values; return its file, and the names of the labels that it brings.

    Args:
        path: the mask, whose file names no segment.
        record: of its case.
        params: what the client says of it.
        data: the prepared folder.

    Raises:
        EquiregError: if the mask does not fit.
    """
    geometry = record.working_grid().native
    values = read_label(path, geometry, data.limits)
    names = segment_names(params, {*distinct(values)} - {0})
    values, brought = in_own_values(values, names, data.manifest.labels, open_=are_open_by_name(data))
    made = path.parent.parent / f"{record.name}.nii.gz"
    write_label(made, values, geometry)
    return made, brought


def tell_other_labels(run: Path, drawn: LabelTable, data: PreparedSet) -> None:
    """Warn where a model draws labels that a prepared folder does not have, or means something else by their values."""
    known = dict(zip(data.manifest.labels.values, data.manifest.labels.names, strict=True))
    pairs = list(zip(drawn.values, drawn.names, strict=True))[1:]
    other = [f"{name} = {value}" for value, name in pairs if not _is_same(name, known.get(value))]
    if other and len(known) > 1:  # a folder without any mask takes over those of the first
        log.warning(
            "%s draws labels that %s does not have: %s; expected some of %s. Give --prepared with the folder that the "
            "model was trained on, or another model.",
            *(run, data.root, ", ".join(other), ", ".join(f"{name} = {value}" for value, name in known.items())),
        )


def _is_same(name: str, known: str | None) -> bool:
    if known is None:
        return False
    return plain(name) == plain(known) or not (is_named(name) and is_named(known))
