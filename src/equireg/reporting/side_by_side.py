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

from equireg.disk import read_json, write_atomic
from equireg.errors import EquiregError
from equireg.imaging.labels import LabelTable
from equireg.reporting.comparison import Arms, Cohort, by_arm
from equireg.reporting.overlays import Panel, panels, region_colours
from equireg.reporting.pictures import Picture, read_pictures
from equireg.reporting.statistics import MEAN, case_values, nan_mean

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
    labels = LabelTable.from_dict(read_json(next(iter(evaluations.values())) / "labels.json"))
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


def in_a_row(pictures: Mapping[str, Picture], labels: LabelTable) -> list[Panel]:
    """Draw the scan and the reference of the first picture, then the prediction of each.

    Args:
        pictures: caption to picture, all of one case.
        labels: the data set's labels.
    """
    row: list[Panel] = []
    for caption, picture in pictures.items():
        *shared, prediction = panels(picture, labels)
        row = row or shared
        row.append(Panel(f"{caption}, Dice {picture.dice:.2f}", prediction.png, prediction.alt, prediction.aspect))
    return row


def typical_case(cohort: Cohort, arms: Arms) -> TypicalCase | None:
    """Find the case nearest the median of a cohort that several arms kept a picture of.

    Cases that more methods, then more arms, have pictured come first.

    Returns:
        None where no two arms have pictured the same case.
    """
    groups = by_arm(cohort, arms) if cohort.has("dice") else {}
    shown: dict[str, dict[str, Picture]] = {}
    for label, members in groups.items():
        for picture in (picture for member in members for picture in member.pictures):
            shown.setdefault(picture.case, {}).setdefault(label, picture)
    breadth = {case: _breadth(list(by_label), groups) for case, by_label in shown.items()}
    if not breadth or max(breadth.values())[1] < 2:
        return None
    values = nan_mean(np.stack([case_values(one, "dice", cohort.regions)[MEAN] for one in cohort.evaluations]), axis=0)
    median = float(np.nanmedian(values))
    dice = dict(zip(cohort.cases, values.tolist(), strict=True))
    widest = sorted(case for case, found in breadth.items() if found == max(breadth.values()))
    case = min(widest, key=lambda name: abs(dice.get(name, np.inf) - median))
    return TypicalCase(case, dice[case], median, shown[case])


def _breadth(labels: list[str], groups: Mapping) -> tuple[int, int]:
    """Count the methods and the arms of some groups."""
    return len({groups[label][0].facts.method for label in labels}), len(labels)


def _picture(folder: Path, case: str) -> Picture:
    for picture in read_pictures(folder / "pictures"):
        if picture.case == case:
            return picture
    raise EquiregError(f"{folder}: kept no picture of the case {case}. Evaluate with --pictures {case}.")
