"""What the page says and in which order; how it looks is the template's business."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from equireg._version import __version__
from equireg.reporting.bars import MOST_APART, bridging_bars, equivariance_bars, equivariance_sets, region_fills
from equireg.reporting.bridging import BridgingTable, bridging, bridging_table, sentence
from equireg.reporting.comparison import BASELINE, Arm, Arms, Cohort, baseline_of, by_arm, cohorts
from equireg.reporting.differences import differences
from equireg.reporting.efficiency import Key, dice_by_labels, runs_by_seed, seed_keys, series_keys
from equireg.reporting.figures import Drawing, dice_by_case, learning_curves, volume_agreement
from equireg.reporting.made import as_yaml, libraries, what_was_run
from equireg.reporting.overlays import Panel, panels, raw_panels, region_colours, step_panels
from equireg.reporting.pictures import Picture
from equireg.reporting.preparation import Example
from equireg.reporting.series import means
from equireg.reporting.side_by_side import TypicalCase, in_a_row, typical_case
from equireg.reporting.sources import Evaluation, Run, Sources
from equireg.reporting.statistics import MEAN
from equireg.reporting.svg import MARKERS, marker, on_page, series_colour
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
from equireg.reporting.templating import template

_OPEN_OVERLAYS = 4
"""Evaluations whose pictures are unfolded; more are folded."""

_MOST_OVERLAYS = 8
"""Evaluations whose pictures the page holds, each about a megabyte; of more, it takes
the median case of one run an arm."""


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
class BridgingView:
    """The bridging coefficients of one cohort."""

    table: BridgingTable
    bars: list[Drawing]
    fills: dict[str, str]
    """region to colour, where bars are regions"""
    keys: list[Key]
    """legend, where bars are methods"""


@dataclass(frozen=True)
class BesideView:
    """One case as several arms saw it."""

    found: TypicalCase
    panels: list[Panel]
    regions: dict[str, str]
    """region to colour"""


@dataclass(frozen=True)
class EquivarianceView:
    """Equivariance Dice of all cohorts."""

    bars: list[Drawing]
    keys: list[Key]
    sets: str


@dataclass(frozen=True)
class ExampleView:
    """The case that shows the steps of preparation."""

    example: Example
    raw: list[Panel]
    steps: list[list[Panel]]
    regions: dict[str, str]
    """region to colour"""


@dataclass(frozen=True)
class CohortView:
    """Everything that the page shows of one cohort."""

    title: str
    cases: int
    judged: int
    """cases with a mask"""
    arms: list[Arm]
    metrics: list[MetricTable]
    seeds: list[MetricTable]
    differences: DifferenceTable | None
    methods: list[Key]
    efficiency: list[Drawing]
    every_run: list[Drawing]
    seed_keys: list[Key]
    bridging: BridgingView | None
    strips: list[Drawing]
    volumes: list[Drawing]
    by_case: CaseTable | None
    beside: BesideView | None
    overlays: list[OverlayView] = field(default_factory=list)


def render(sources: Sources) -> str:
    """Return the page as HTML that needs no other file."""
    runs, evaluations = sources.runs, sources.evaluations
    arms = Arms([*runs, *evaluations])
    gathered = cohorts(evaluations, arms)
    page = template("index.html.jinja", colour=series_colour, glyph=_glyph, number=number, heading=_heading)
    return page.render(
        title=_title(sources),
        compared=_compared(runs, evaluations),
        takeaways=_takeaways(gathered, arms) or [_without_evaluation(runs)],
        date=datetime.date.today().isoformat(),
        version=__version__,
        cohorts=[_cohort_view(cohort, arms) for cohort in gathered],
        equivariance=_equivariance(gathered, arms),
        examples=[_example_view(example) for example in sources.examples],
        curves=learning_curves(runs, arms),
        curve_arms=list(dict.fromkeys(arms.of(run) for run in runs)),
        made=what_was_run(runs, evaluations, arms),
        configurations=[
            (verb, source.title, as_yaml(source))
            for verb, sources in (("train", runs), ("evaluate", evaluations))
            for source in sources
        ],
        libraries=libraries(runs, evaluations),
    )


def _takeaways(gathered: Sequence[Cohort], arms: Arms) -> list[str]:
    said = [part for cohort in gathered for part in (takeaway(cohort, arms), sentence(bridging(cohort, arms)))]
    return [part for part in said if part]


def takeaway(cohort: Cohort, arms: Arms) -> str:
    """Say in one sentence what the cohort's numbers say: the best arm, against the supervised one."""
    metric, words = ("dice", "mean Dice") if cohort.judged else ("equivariance_dice", "mean equivariance Dice")
    groups = by_arm(cohort, arms)
    dice = {label: _mean(members, cohort, metric) for label, members in groups.items()}
    best = max(dice, key=lambda label: -1.0 if np.isnan(dice[label]) else dice[label])
    count = len(cohort.judged or cohort.cases)
    cases = f"{count} case{'s' if count != 1 else ''}"
    runs = len(groups[best])
    over = f"{cases} and {runs} runs" if runs > 1 else cases
    digits = 2 if _tells_apart(list(dice.values()), 2) else 3
    said = f"{best}: {words} {dice[best]:.{digits}f} over {over}"
    baseline = baseline_of(best, groups)
    others = [baseline] if baseline else [label for label in groups if label != best][:3]
    said += "".join(f"; {label}: {dice[label]:.{digits}f}" for label in others)
    if baseline and cohort.judged:
        found = differences(cohort, arms)[best, baseline][MEAN]
        if np.isfinite(found.low):
            interval = f"{signed(found.low)} to {signed(found.high)}"
            said += f" (difference {signed(found.difference)}, 95\N{NO-BREAK SPACE}% interval {interval})"
    unmentioned = len(groups) - 1 - len(others)
    return said + (f"; {unmentioned} more below." if unmentioned else ".")


def _cohort_view(cohort: Cohort, arms: Arms) -> CohortView:
    shown = _pictured(cohort, arms)
    return CohortView(
        title=cohort.title,
        cases=len(cohort.cases),
        judged=len(cohort.judged),
        arms=list(dict.fromkeys(arms.of(evaluation) for evaluation in cohort.evaluations)),
        metrics=metric_tables(cohort, arms),
        seeds=seed_tables(cohort, arms),
        differences=difference_table(cohort, arms),
        methods=series_keys(cohort, arms),
        efficiency=dice_by_labels(cohort, arms),
        every_run=runs_by_seed(cohort, arms),
        seed_keys=seed_keys(cohort),
        bridging=_bridging_view(cohort, arms),
        strips=dice_by_case(cohort, arms),
        volumes=volume_agreement(cohort, arms),
        by_case=case_table(cohort, arms),
        beside=_beside(cohort, arms),
        overlays=[_overlays(evaluation, arms, len(shown) <= _OPEN_OVERLAYS) for evaluation in shown],
    )


def _pictured(cohort: Cohort, arms: Arms) -> list[Evaluation]:
    """Choose the evaluations whose pictures are shown: all, or of the first run of each arm the median case."""
    pictured = [evaluation for evaluation in cohort.evaluations if evaluation.pictures]
    if len(pictured) <= _MOST_OVERLAYS:
        return pictured
    firsts: dict[Arm, Evaluation] = {}
    for evaluation in pictured:
        median = [picture for picture in evaluation.pictures if "median" in picture.role]
        firsts.setdefault(arms.of(evaluation), replace(evaluation, pictures=tuple(median or evaluation.pictures)))
    return list(firsts.values())


def _bridging_view(cohort: Cohort, arms: Arms) -> BridgingView | None:
    found = bridging(cohort, arms)
    table = bridging_table(found)
    if table is None:
        return None
    keys = [key for key in series_keys(cohort, arms) if any(one.series == key.label for one in found)]
    if len(keys) > MOST_APART:
        return BridgingView(table, bridging_bars(found), {}, keys)
    fills = {name: on_page(fill) for name, fill in region_fills(table.columns).items()}
    return BridgingView(table, bridging_bars(found), fills, [])


def _beside(cohort: Cohort, arms: Arms) -> BesideView | None:
    found = typical_case(cohort, arms)
    if found is None:
        return None
    labels = cohort.evaluations[0].labels
    return BesideView(found, in_a_row(found.pictures, labels), region_colours(labels))


def _equivariance(gathered: Sequence[Cohort], arms: Arms) -> EquivarianceView | None:
    bars = equivariance_bars(gathered, arms)
    keys = [key for cohort in gathered if cohort.has("equivariance_dice") for key in series_keys(cohort, arms)]
    return EquivarianceView(bars, list(dict.fromkeys(keys)), equivariance_sets(gathered)) if bars else None


def _example_view(example: Example) -> ExampleView:
    return ExampleView(example, raw_panels(example), step_panels(example), region_colours(example.labels))


def _overlays(evaluation: Evaluation, arms: Arms, unfolded: bool) -> OverlayView:
    views = [CaseView(picture, panels(picture, evaluation.labels)) for picture in evaluation.pictures]
    return OverlayView(evaluation.title, arms.of(evaluation), region_colours(evaluation.labels), views, unfolded)


def _mean(members: Sequence[Evaluation], cohort: Cohort, metric: str) -> float:
    return float(np.mean(means(members, cohort, metric, MEAN)))


def _tells_apart(values: Sequence[float], digits: int) -> bool:
    return len({f"{value:.{digits}f}" for value in values}) == len(values)


def _title(sources: Sources) -> str:
    named = [source.facts.dataset for source in (*sources.evaluations, *sources.runs) if source.facts.dataset]
    named += [example.dataset for example in sources.examples]
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


def _glyph(index: int) -> str:
    """Return the character that looks like the arm's marker in the drawings."""
    return dict(zip(MARKERS, "●■▲◆▼✚✖★◀▶", strict=True))[marker(index)]


def _heading(region: str) -> str:
    """Return the words above a column."""
    return "mean" if region == MEAN else region
