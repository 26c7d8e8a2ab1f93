"""Pictures of the best, the median and the worst case of each evaluation."""

from collections.abc import Sequence
from typing import NamedTuple

from equireg.comparing.arms import Arm
from equireg.comparing.cohorts import Cohort
from equireg.comparing.compared import Evaluation
from equireg.drawing.scans import region_colours
from equireg.folders.evaluation import Picture
from equireg.reporting.drawing.panels import Panel, panels
from equireg.reporting.section import Section

_OPEN = 4
"""Evaluations whose pictures are unfolded; more are folded."""
_MOST = 8
"""Evaluations whose pictures the page holds, each about a megabyte; of more, it takes the median case of one run an
arm."""


class View(NamedTuple):
    """The pictures of one evaluation."""

    title: str
    arm: Arm
    regions: dict[str, str]
    """region to colour"""
    cases: list[tuple[Picture, list[Panel], str]]
    """each with where the viewer shows it"""


def section(cohort: Cohort) -> Section:
    """Return the pictures that the evaluations kept."""
    views = [_view(cohort, evaluation, pictures) for evaluation, pictures in pictured(cohort)]
    few, some = len(views) <= _OPEN, len(views) < len(cohort.evaluations)
    return Section("overlays", {"views": views, "unfolded": few, "some": some} if views else {})


def pictured(cohort: Cohort) -> list[tuple[Evaluation, Sequence[Picture]]]:
    """Choose the pictures that are shown: all, or of the first run of each arm the median case."""
    found = [evaluation for evaluation in cohort.evaluations if evaluation.pictures]
    if len(found) <= _MOST:
        return [(evaluation, evaluation.pictures) for evaluation in found]
    firsts: dict[Arm, Evaluation] = {}
    for evaluation in found:
        firsts.setdefault(cohort.arms.of(evaluation), evaluation)
    medians = {one: [picture for picture in one.pictures if "median" in picture.role] for one in firsts.values()}
    return [(evaluation, median or evaluation.pictures) for evaluation, median in medians.items()]


def _view(cohort: Cohort, evaluation: Evaluation, pictures: Sequence[Picture]) -> View:
    found = evaluation.predictions
    cases = [
        (picture, panels(picture, evaluation.labels), found.link(picture.case) if found else "") for picture in pictures
    ]
    return View(evaluation.title, cohort.arms.of(evaluation), region_colours(evaluation.labels), cases)
