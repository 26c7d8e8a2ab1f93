"""What the page says and in which order; how it looks is the template's business."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from equireg._version import __version__
from equireg.reporting.comparison import BASELINE, Arm, Arms, Cohort, baseline_of, by_arm, cohorts
from equireg.reporting.figures import Drawing, dice_by_case, dice_by_labels, learning_curves, volume_agreement
from equireg.reporting.overlays import Panel, panels, region_colours
from equireg.reporting.pictures import Picture
from equireg.reporting.sources import Evaluation, Run
from equireg.reporting.statistics import MEAN, differences, summarise
from equireg.reporting.svg import marker, series_colour
from equireg.reporting.tables import (
    CaseTable,
    DifferenceTable,
    MetricTable,
    case_table,
    difference_table,
    metric_tables,
    number,
    seed_tables,
    signed,
)

_OPEN_OVERLAYS = 4
"""Evaluations whose pictures are unfolded from the start; those of a large sweep are folded."""


@dataclass(frozen=True)
class CaseView:
    """The pictures of one case."""

    picture: Picture
    panels: list[Panel]

    @property
    def dice(self) -> str:
        """Mean Dice of the case."""
        return number(self.picture.dice, "dice")


@dataclass(frozen=True)
class OverlayView:
    """The pictures of one evaluation."""

    title: str
    arm: Arm
    regions: dict[str, str]
    """region to colour"""
    cases: list[CaseView]
    unfolded: bool


@dataclass(frozen=True)
class CohortView:
    """Everything that the page shows of one cohort."""

    title: str
    cases: int
    arms: list[Arm]
    metrics: list[MetricTable]
    seeds: list[MetricTable]
    differences: DifferenceTable | None
    efficiency: Drawing | None
    strips: list[Drawing]
    volumes: list[Drawing]
    by_case: CaseTable
    overlays: list[OverlayView] = field(default_factory=list)


def render(runs: Sequence[Run], evaluations: Sequence[Evaluation]) -> str:
    """Return the page as HTML that needs no other file."""
    arms = Arms([*runs, *evaluations])
    gathered = cohorts(evaluations, arms)
    environment = Environment(
        loader=PackageLoader("equireg.reporting", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(colour=series_colour, glyph=_glyph, number=number, heading=_heading)
    return environment.get_template("index.html.jinja").render(
        title=_title(runs, evaluations),
        compared=_compared(runs, evaluations),
        takeaways=[takeaway(cohort, arms) for cohort in gathered] or [_without_evaluation(runs)],
        date=datetime.date.today().isoformat(),
        version=__version__,
        cohorts=[_cohort_view(cohort, arms) for cohort in gathered],
        curves=learning_curves(runs, arms),
        curve_arms=list(dict.fromkeys(arms.of(run) for run in runs)),
        made=_what_was_run(runs, evaluations, arms),
        configurations=[
            (verb, source.title, _as_yaml(source))
            for verb, sources in (("train", runs), ("evaluate", evaluations))
            for source in sources
        ],
        libraries=_libraries(runs, evaluations),
    )


def takeaway(cohort: Cohort, arms: Arms) -> str:
    """Say in one sentence what the cohort's numbers say: the best arm, against the supervised one."""
    groups = by_arm(cohort, arms)
    dice = {label: _mean_dice(members, cohort) for label, members in groups.items()}
    best = max(dice, key=lambda label: -1.0 if np.isnan(dice[label]) else dice[label])
    cases = f"{len(cohort.cases)} case{'s' if len(cohort.cases) != 1 else ''}"
    seeds = len(groups[best])
    over = f"{cases} and {seeds} seeds" if seeds > 1 else cases
    digits = 2 if _tells_apart(list(dice.values()), 2) else 3
    said = f"{best}: mean Dice {dice[best]:.{digits}f} over {over}"
    baseline = baseline_of(best, groups)
    others = [baseline] if baseline else [label for label in groups if label != best][:3]
    said += "".join(f"; {label}: {dice[label]:.{digits}f}" for label in others)
    if baseline:
        found = differences(cohort, arms)[best, baseline][MEAN]
        if np.isfinite(found.low):
            interval = f"{signed(found.low)} to {signed(found.high)}"
            said += f" (difference {signed(found.difference)}, 95\N{NO-BREAK SPACE}% interval {interval})"
    unmentioned = len(groups) - 1 - len(others)
    return said + (f"; {unmentioned} more below." if unmentioned else ".")


def _cohort_view(cohort: Cohort, arms: Arms) -> CohortView:
    shown = [evaluation for evaluation in cohort.evaluations if evaluation.pictures]
    return CohortView(
        title=cohort.title,
        cases=len(cohort.cases),
        arms=list(dict.fromkeys(arms.of(evaluation) for evaluation in cohort.evaluations)),
        metrics=metric_tables(cohort, arms),
        seeds=seed_tables(cohort, arms),
        differences=difference_table(cohort, arms),
        efficiency=dice_by_labels(cohort, arms),
        strips=dice_by_case(cohort, arms),
        volumes=volume_agreement(cohort, arms),
        by_case=case_table(cohort, arms),
        overlays=[_overlays(e, arms, place < _OPEN_OVERLAYS) for place, e in enumerate(shown)],
    )


def _overlays(evaluation: Evaluation, arms: Arms, unfolded: bool) -> OverlayView:
    views = [CaseView(picture, panels(picture, evaluation.labels)) for picture in evaluation.pictures]
    return OverlayView(evaluation.title, arms.of(evaluation), region_colours(evaluation.labels), views, unfolded)


def _mean_dice(members: Sequence[Evaluation], cohort: Cohort) -> float:
    return float(np.mean([summarise(member, cohort.regions)["dice", MEAN].mean for member in members]))


def _tells_apart(values: Sequence[float], digits: int) -> bool:
    return len({f"{value:.{digits}f}" for value in values}) == len(values)


def _title(runs: Sequence[Run], evaluations: Sequence[Evaluation]) -> str:
    named = [source.facts.dataset for source in (*evaluations, *runs) if source.facts.dataset]
    return ", ".join(dict.fromkeys(named)) or "Segmentation results"


def _compared(runs: Sequence[Run], evaluations: Sequence[Evaluation]) -> str:
    methods = dict.fromkeys(source.facts.method for source in (*runs, *evaluations) if source.facts.method)
    ordered = sorted(methods, key=lambda method: method != BASELINE)
    counted = [
        f"{count} {noun}{'' if count == 1 else 's'}"
        for count, noun in ((len(runs), "training run"), (len(evaluations), "evaluation"))
        if count
    ]
    return " · ".join([*([" against ".join(ordered)] if ordered else []), *counted])


def _without_evaluation(runs: Sequence[Run]) -> str:
    best = [(run.scalars["val/dice"][:, 1].max(), run.title) for run in runs if "val/dice" in run.scalars]
    if not best:
        return "No evaluation was given; below are the learning curves."
    dice, title = max(best)
    return f"No evaluation was given; best validation Dice while training: {dice:.3f} ({title})."


def _what_was_run(runs: Sequence[Run], evaluations: Sequence[Evaluation], arms: Arms) -> list[dict[str, object]]:
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
            if "val/dice" in source.scalars:
                step, dice = max(source.scalars["val/dice"].tolist(), key=lambda point: point[1])
                row["best"] = f"{dice:.3f} at step {step:.0f}"
        rows.append(row)
    return rows


def _duration(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min" if minutes else f"{seconds:.0f} s"


def _as_yaml(source: Run | Evaluation) -> str:
    return yaml.safe_dump(dict(source.provenance.config), sort_keys=False, allow_unicode=True)


def _libraries(runs: Sequence[Run], evaluations: Sequence[Evaluation]) -> dict[str, str]:
    """Return library to its version, or to its versions where the sources differ."""
    versions: dict[str, set[str]] = {}
    for source in (*runs, *evaluations):
        for library, version in source.provenance.versions.items():
            versions.setdefault(library, set()).add(version)
    return {library: ", ".join(sorted(found)) for library, found in versions.items()}


def _glyph(index: int) -> str:
    """Return the character that looks like the arm's marker in the drawings."""
    return {"o": "●", "s": "■", "^": "▲", "D": "◆", "v": "▼", "P": "✚", "X": "✖", "*": "★"}[marker(index)]


def _heading(region: str) -> str:
    """Return the words above a column."""
    return "mean" if region == MEAN else region
