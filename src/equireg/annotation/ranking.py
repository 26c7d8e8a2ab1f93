"""From a prepared folder to the scans whose annotation helps most."""

from collections.abc import Mapping, Sequence

import numpy as np

from equireg.annotation.covering import Choice, choose
from equireg.annotation.features import describe, embed
from equireg.folders.prepared import PreparedSet
from equireg.folders.suggestions import Suggestion
from equireg.processes.progress import track

_HALF_TRUST = 5
"""Annotated patients from which on a model's doubt counts as much as how typical a scan is."""


def points_of(data: PreparedSet, names: Sequence[str]) -> np.ndarray:
    """Place scans such that those that are alike lie near each other, [N, F]; reads each image once."""
    described = []
    for name in track(names, len(names), "features"):
        record = data.by_name[name]
        image = np.asarray(data.image(name)[:], dtype=np.float32)
        described.append(describe(image, record.background, record.spacing_mm))
    return embed(described)


def rank_scans(
    data: PreparedSet,
    candidates: Sequence[str],
    known: Sequence[str],
    count: int,
    doubts: Mapping[str, float] | None = None,
) -> list[Suggestion]:
    """Choose the scans that stand for most others, the best first.

    Args:
        data: the prepared folder.
        candidates: names of the cases that may be annotated.
        known: names of those that are.
        count: how many to choose.
        doubts: how little a model's prediction for a candidate is to be trusted, 0 to 1. A scan then has the more
            need of an annotated one nearby, the more the model doubts it.
    """
    names = [*known, *candidates]
    patients = [data.by_name[name].patient for name in names]
    need = None
    if doubts is not None:
        weights = tempered(doubts, len(set(patients[: len(known)])))
        need = np.array([weights.get(name, 0.0) for name in names])
    annotated = range(len(known))
    places = range(len(known), len(names))
    chosen = choose(points_of(data, names), places, count, known=annotated, weights=need, patients=patients)
    reasons = [_reason(one, names, doubts, first=not known and one is chosen[0]) for one in chosen]
    return [
        Suggestion(place, names[one.index], patients[one.index], one.gain, why)
        for place, (one, why) in enumerate(zip(chosen, reasons, strict=True), start=1)
    ]


def tempered(doubts: Mapping[str, float], annotated: int) -> dict[str, float]:
    """Mix a model's doubts with equal need of all scans, the more so the fewer patients it was trained on.

    A model of one patient doubts at random. Both parts have the mean 1.

    Args:
        doubts: scan to doubt, 0 to 1.
        annotated: patients with a mask.
    """
    trust = annotated / (annotated + _HALF_TRUST)
    mean = sum(doubts.values()) / len(doubts)
    return {name: 1 - trust + trust * (doubt / mean if mean > 0 else 1) for name, doubt in doubts.items()}


def how_sure(doubt: float, doubts: Sequence[float]) -> str:
    """Say how sure a model is of a scan among all; it finds nothing in several scans, and doubts them alike."""
    more, alike = sum(other > doubt for other in doubts), sum(other == doubt for other in doubts)
    if more:
        return f"less sure of {more} of {len(doubts)}"
    return f"the least sure of it{f' and {alike - 1} others' if alike > 1 else ''}, of {len(doubts)}"


def _reason(choice: Choice, names: Sequence[str], doubts: Mapping[str, float] | None, *, first: bool) -> str:
    """Say in words why a scan was chosen; ``first``: nothing is annotated or chosen yet."""
    among = f"the closest chosen scan for {choice.stands_for} of {len(names)}"
    if doubts is not None:
        return f"{among}; the model is {how_sure(doubts.get(names[choice.index], 0.0), list(doubts.values()))}"
    return f"the most typical scan; {among}" if first else f"unlike what is annotated or chosen so far; {among}"
