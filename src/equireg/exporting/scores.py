"""What is known of how good a model is: its validation while it trained, and evaluations of its predictions."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from equireg.errors import EquiregError
from equireg.folders import evaluation, made_by
from equireg.folders.packed import is_packed, read_packed
from equireg.folders.run import RunFolder
from equireg.folders.run_facts import RUN_FACTS
from equireg.prediction.trained import Trained


@dataclass(frozen=True)
class Evaluated:
    """One evaluation of a model's predictions."""

    split: str | None
    """of the prepared folder, where the scans were one"""
    summary: Mapping[str, Any]


def validation_scores(trained: Trained) -> tuple[Mapping[str, float], ...]:
    """Return for each member the scores on its validation cases at the step of its checkpoint; empty where unknown."""
    if is_packed(trained.root):
        return tuple(member.scores for member in read_packed(trained.root).members)
    if made_by(trained.root) != "train":  # an ensemble's folder holds checkpoints alone
        return tuple({} for _ in trained.models)
    rows = RunFolder(trained.root).read_metrics()
    return tuple(
        {
            name: value
            for row in rows
            if row.get("step") == model.step
            for name, value in row.items()
            if name.startswith("val/") and math.isfinite(value)
        }
        for model in trained.models
    )


def read_evaluations(given: Sequence[str], trained: Trained) -> tuple[Evaluated, ...]:
    """Read evaluations of a model's predictions.

    Raises:
        EquiregError: if one is damaged, or of another model.
    """
    found = []
    for folder in map(Path, given):
        facts = evaluation.read_signature(folder).get(RUN_FACTS)
        facts = facts if isinstance(facts, Mapping) else {}
        if facts.get("checkpoint_digest") != trained.digest:
            raise EquiregError(
                f"{folder}: is an evaluation of another model's predictions ({str(facts.get('name'))[:80]}). Give one "
                f"of {trained.name}, or leave it out."
            )
        split = facts.get("split")
        found.append(Evaluated(split if isinstance(split, str) else None, evaluation.read_summary(folder)))
    return tuple(found)
