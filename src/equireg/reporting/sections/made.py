"""What was run: how the sources were made, from which options, with which versions."""

from collections.abc import Mapping
from typing import Any

import yaml

from equireg.comparing.cohorts import Results
from equireg.comparing.compared import Evaluation, Run
from equireg.comparing.predicting import predicted_otherwise
from equireg.reporting.section import Section


def section(results: Results) -> Section:
    """Return a row a source, the options of each, and the versions of all libraries."""
    sources = [*results.sources.runs, *results.sources.evaluations]
    otherwise = predicted_otherwise(results.sources.evaluations)
    content = {
        "rows": [_row(source, results, otherwise) for source in sources],
        "configurations": [(_verb(source), source.title, _as_yaml(source)) for source in sources],
        "libraries": _libraries(sources),
        "folds": any(source.facts.fold for source in sources),
        "biased": any((source.facts.foreground_bias or "none") != "none" for source in sources),
        "otherwise": bool(otherwise),
        "processed": any((source.facts.post_process or "none") != "none" for source in sources),
    }
    return Section("made", content if sources else {})


def _row(source: Run | Evaluation, results: Results, otherwise: Mapping[str, str]) -> dict[str, object]:
    """Return what a source was trained on, how far, with which code."""
    run = isinstance(source, Run)
    return {
        "title": source.title,
        "arm": results.arms.of(source),
        "verb": _verb(source),
        "facts": source.facts,
        "predicted_with": None if run else otherwise.get(source.title),
        "steps": source.last_step if run else None,
        "best": _chosen(source) if run else None,
        "seconds": _duration(source.provenance.seconds),
        "equireg": source.provenance.versions.get("equireg"),
        "commit": source.provenance.commit,
        "finished": source.finished if run else True,
    }


def _verb(source: Run | Evaluation) -> str:
    return "train" if isinstance(source, Run) else "evaluate"


def _chosen(run: Run) -> str | None:
    """Return the validation Dice at the step of the best checkpoint, by the score that chose it; None without any."""
    score = "val/loss" if run.provenance.config.get("monitor") == "loss" else "val/dice"
    if score not in run.scalars or "val/dice" not in run.scalars:
        return None
    sign = -1 if score == "val/loss" else 1
    best, _ = max(run.scalars[score].tolist(), key=lambda point: sign * point[1])
    dice = dict(run.scalars["val/dice"].tolist())
    return f"{dice[best]:.3f} at step {best:.0f}" if best in dice else None


def _duration(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min" if minutes else f"{seconds:.0f} s"


def _as_yaml(source: Run | Evaluation) -> str:
    """Write a source's options, which hold no path."""
    config: dict[str, Any] = dict(source.provenance.config)
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True)


def _libraries(sources: list[Run | Evaluation]) -> dict[str, str]:
    """Return library to its version, or to its versions where the sources differ."""
    versions: dict[str, set[str]] = {}
    for source in sources:
        for library, version in source.provenance.versions.items():
            versions.setdefault(library, set()).add(version)
    return {library: ", ".join(sorted(found)) for library, found in versions.items()}
