"""One case, several evaluations: the scan, the truth and each prediction in a row."""

from dataclasses import dataclass

import numpy as np

from equireg.comparing.cohorts import Cohort
from equireg.comparing.statistics import MEAN
from equireg.drawing.scans import region_colours
from equireg.folders.evaluation import Picture
from equireg.reporting.drawing.panels import in_a_row
from equireg.reporting.section import Section
from equireg.statistics import nan_mean


@dataclass(frozen=True)
class TypicalCase:
    """The case that stands for a cohort, as several arms saw it."""

    case: str
    dice: float
    """mean over regions and runs"""
    median: float
    """the same of the cohort's median case"""
    pictures: dict[str, Picture]
    """arm's label to the picture of one of its runs"""


def section(cohort: Cohort) -> Section:
    """Return the case nearest the median, where several arms have pictured the same."""
    found = typical_case(cohort)
    if found is None:
        return Section("beside")
    labels = cohort.evaluations[0].labels
    panels = in_a_row(found.pictures, labels)
    return Section("beside", {"found": found, "panels": panels, "regions": region_colours(labels)})


def typical_case(cohort: Cohort) -> TypicalCase | None:
    """Find the case nearest the median of a cohort that several arms kept a picture of.

    Cases that more methods, then more arms, have pictured come first.

    Returns:
        None where no two arms have pictured the same case.
    """
    groups = cohort.groups if cohort.has("dice") else {}
    shown: dict[str, dict[str, Picture]] = {}
    for label, members in groups.items():
        for picture in (picture for member in members for picture in member.pictures):
            if picture.case in cohort.cases:
                shown.setdefault(picture.case, {}).setdefault(label, picture)
    breadth = {
        case: (len({groups[label][0].facts.method for label in by_label}), len(by_label))
        for case, by_label in shown.items()
    }
    if not breadth or max(breadth.values())[1] < 2:
        return None
    values = nan_mean(np.stack([one.values["dice"][MEAN] for one in cohort.evaluations]), axis=0)
    median = float(np.nanmedian(values))
    dice = dict(zip(cohort.cases, values.tolist(), strict=True))
    widest = sorted(case for case, found in breadth.items() if found == max(breadth.values()))
    case = min(widest, key=lambda name: abs(dice[name] - median))
    return TypicalCase(case, dice[case], median, shown[case])
