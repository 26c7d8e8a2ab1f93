"""From a prepared folder to the scans whose annotation helps most, without a model."""

from collections.abc import Mapping, Sequence

import numpy as np

from equireg.annotation.covering import Choice, choose
from equireg.annotation.features import describe, embed
from equireg.folders.prepared import PreparedSet
from equireg.folders.suggestions import Suggestion
from equireg.processes.progress import track


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
    need = None if doubts is None else np.array([doubts.get(name, 0.0) for name in names])
    annotated = range(len(known))
    places = range(len(known), len(names))
    chosen = choose(points_of(data, names), places, count, known=annotated, weights=need, patients=patients)
    return [
        Suggestion(
            place, names[one.index], patients[one.index], one.gain, _reason(one, names, doubts, first=place == 1)
        )
        for place, one in enumerate(chosen, start=1)
    ]


def _reason(choice: Choice, names: Sequence[str], doubts: Mapping[str, float] | None, *, first: bool) -> str:
    """Say in words why a scan was chosen."""
    among = f"nearest of the chosen ones to {choice.stands_for} of {len(names)} scans"
    if doubts is not None:
        doubt = doubts.get(names[choice.index], 0.0)
        doubted = sum(other > doubt for other in doubts.values())
        return f"{among}; the model doubts {doubted} of {len(doubts)} scans more"
    return f"the most typical scan; {among}" if first else f"unlike what is chosen so far; {among}"
