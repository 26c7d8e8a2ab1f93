"""How unequally compared arms were trained: in optimiser steps and in the number of labelled cases."""

from collections.abc import Mapping

from equireg.folders.run_facts import RunFacts

_UNLIKE = 1.1
"""Most steps by fewest from which on arms were not trained alike."""


def trained_unlike(facts: Mapping[str, RunFacts]) -> str:
    """Return a sentence with the steps and labels of arms where they differ; nothing where arms are trained alike.

    Steps of runs with a limit of time are not compared, nor is what a run does not tell.

    Args:
        facts: label of each arm to the facts of a run of it.
    """
    steps = {label: _steps(one) for label, one in facts.items()}
    labelled = {label: one.labelled_cases for label, one in facts.items() if one.labelled_cases is not None}
    known = {label: count for label, count in steps.items() if count}
    told = ""
    if known and max(known.values()) > _UNLIKE * min(known.values()):
        told += "; steps: " + _listed(known)
    if len({*labelled.values()}) > 1:
        told += "; labelled cases: " + _listed(labelled)
    return f"Not trained alike: {told[2:]}." if told else ""


def _steps(facts: RunFacts) -> int | None:
    told = None if facts.options.get("max_minutes") is not None else facts.options.get("max_steps")
    return told if isinstance(told, int) else None


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} of {label}" for label, count in counts.items())
