"""One case, several evaluations: the scan, the truth and each prediction in a row."""

import base64
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import Patch

from equireg.disk import write_atomic
from equireg.drawing.scans import region_colours
from equireg.errors import EquiregError
from equireg.folders.evaluation import Picture, read_labels, read_pictures
from equireg.reporting.drawing.panels import in_a_row
from equireg.reporting.results.cohorts import Cohort
from equireg.reporting.results.statistics import MEAN, nan_mean
from equireg.reporting.section import Section

_PANEL_INCHES = 2.4


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


def side_by_side(evaluations: Mapping[str, Path], case: str, out: Path) -> Path:
    """Draw a case as each evaluation saw it, as one PNG.

    Args:
        evaluations: caption to the output of `equireg evaluate`; each must have kept a picture of the case.
        case: its name.
        out: the PNG.

    Returns:
        The PNG.

    Raises:
        EquiregError: if an evaluation kept no picture of the case.
    """
    pictures = {caption: _picture(folder, case) for caption, folder in evaluations.items()}
    labels = read_labels(next(iter(evaluations.values())))
    columns = in_a_row(pictures, labels)
    figure = Figure(figsize=(_PANEL_INCHES * len(columns), _PANEL_INCHES * 1.3), dpi=120, facecolor="white")
    for index, panel in enumerate(columns):
        axes = figure.add_subplot(1, len(columns), index + 1)
        axes.imshow(imread(io.BytesIO(base64.b64decode(panel.png.split(",", 1)[1])), format="png"))
        axes.set_title(panel.caption, fontsize=9)
        axes.set_axis_off()
    handles = [Patch(color=colour, label=name) for name, colour in region_colours(labels).items()]
    figure.legend(handles=handles, loc="lower center", ncols=len(handles), frameon=False, fontsize=9)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.9, bottom=0.12, wspace=0.03)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    write_atomic(out, buffer.getvalue())
    return out


def _picture(folder: Path, case: str) -> Picture:
    for picture in read_pictures(folder):
        if picture.case == case:
            return picture
    raise EquiregError(f"{folder}: kept no picture of the case {case}. Evaluate with --pictures {case}.")
