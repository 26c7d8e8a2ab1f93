"""What the page says of how its sources were made."""

from collections.abc import Sequence

import yaml

from equireg.reporting.comparison import Arms
from equireg.reporting.sources import Evaluation, Run


def what_was_run(runs: Sequence[Run], evaluations: Sequence[Evaluation], arms: Arms) -> list[dict[str, object]]:
    """Return a row a source: what it was trained on, how far, with which code."""
    rows = []
    for source in (*runs, *evaluations):
        facts, made = source.facts, source.provenance
        row: dict[str, object] = {
            "title": source.title,
            "arm": arms.of(source),
            "verb": "evaluate",
            "facts": facts,
            "steps": None,
            "best": None,
            "seconds": _duration(made.seconds),
            "equireg": made.versions.get("equireg"),
            "commit": made.commit,
            "finished": True,
        }
        if isinstance(source, Run):
            row |= {"verb": "train", "finished": source.finished, "steps": source.last_step}
            row["best"] = _chosen(source)
        rows.append(row)
    return rows


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


def as_yaml(source: Run | Evaluation) -> str:
    """Write a source's options, which hold no path."""
    return yaml.safe_dump(dict(source.provenance.config), sort_keys=False, allow_unicode=True)


def libraries(runs: Sequence[Run], evaluations: Sequence[Evaluation]) -> dict[str, str]:
    """Return library to its version, or to its versions where the sources differ."""
    versions: dict[str, set[str]] = {}
    for source in (*runs, *evaluations):
        for library, version in source.provenance.versions.items():
            versions.setdefault(library, set()).add(version)
    return {library: ", ".join(sorted(found)) for library, found in versions.items()}
