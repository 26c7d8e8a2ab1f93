"""The page and its tables, from the sections."""

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from equireg._version import __version__
from equireg.comparing.arms import BASELINE
from equireg.comparing.cohorts import Cohort, Results
from equireg.comparing.sources import Sources
from equireg.drawing.templating import content_policy, template
from equireg.folders.tables import table_text
from equireg.reporting.section import Section, counted
from equireg.reporting.sections import (
    beside,
    bridging,
    cases,
    curves,
    differences,
    equivariance,
    labels,
    made,
    overlays,
    preparation,
    quality,
    results,
    volumes,
)

OF_A_COHORT: tuple[Callable[[Cohort], Section], ...] = (
    results.section,
    differences.section,
    labels.section,
    bridging.section,
    cases.section,
    volumes.section,
    beside.section,
    overlays.section,
)
"""Sections that each cohort has, in the order of the page."""
OF_THE_PAGE: tuple[Callable[[Results], Section], ...] = (
    quality.section,
    equivariance.section,
    preparation.section,
    curves.section,
    made.section,
)
"""Sections that follow, once a page."""


class Page(NamedTuple):
    """The page, and the tables that stand beside it."""

    html: str
    """needs no other file"""
    tables: dict[str, str]
    """file name to CSV text"""


def make_page(sources: Sources) -> Page:
    """Return the page and the tables of all sections; each number behind them is found once."""
    found = Results.of(sources)
    groups = [[make(cohort) for make in OF_A_COHORT] for cohort in found.cohorts]
    groups += [[make(found)] for make in OF_THE_PAGE]
    everything = [section for group in groups for section in group]
    html = template("equireg.reporting", "page.html.jinja").render(
        policy=content_policy(),
        title=_title(sources),
        compared=_compared(sources),
        takeaways=[section.takeaway for section in everything if section.takeaway] or [_without_evaluation(sources)],
        date=datetime.date.today().isoformat(),
        version=__version__,
        groups=[[section.html(len(found.cohorts)) for section in group if section.content] for group in groups],
    )
    return Page(html, _tables(everything))


def _tables(sections: Sequence[Section]) -> dict[str, str]:
    rows: dict[str, list[Mapping[str, object]]] = {}
    for name, more in ((name, more) for section in sections for name, more in section.tables.items()):
        if more:
            rows.setdefault(name, []).extend(more)
    return {name: table_text(list(table[0]), [list(row.values()) for row in table]) for name, table in rows.items()}


def _title(sources: Sources) -> str:
    named = [source.facts.dataset for source in (*sources.evaluations, *sources.runs) if source.facts.dataset]
    named += [example.dataset for example in sources.examples]
    return ", ".join(dict.fromkeys(named)) or "Segmentation results"


def _compared(sources: Sources) -> str:
    runs, evaluations = sources.runs, sources.evaluations
    methods = dict.fromkeys(source.facts.method for source in (*runs, *evaluations) if source.facts.method)
    ordered = sorted(methods, key=lambda method: method != BASELINE)
    counts = ((len(runs), "training run"), (len(evaluations), "evaluation"))
    parts = [counted(count, noun) for count, noun in counts if count]
    return " · ".join([*([" against ".join(ordered)] if ordered else []), *parts])


def _without_evaluation(sources: Sources) -> str:
    if not sources.runs and sources.predictions:
        return "No evaluation was given; below are the predicted cases, the least trusted first."
    best = [(run.scalars["val/dice"][:, 1].max(), run.title) for run in sources.runs if "val/dice" in run.scalars]
    if not best:
        return "No evaluation was given; below are the learning curves."
    dice, title = max(best)
    return f"No evaluation was given; best validation Dice while training: {dice:.3f} ({title})."
