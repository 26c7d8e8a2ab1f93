"""One case, several evaluations: the scan, the truth and each prediction in a row."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import Patch

from equireg.data.labels import LabelTable
from equireg.errors import EquiregError
from equireg.folders import read_json, write_atomic
from equireg.reporting.overlays import panels, region_colours
from equireg.reporting.pictures import Picture, read_pictures

_PANEL_INCHES = 2.4


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
    columns: list[tuple[str, str]] = []
    for caption, picture in pictures.items():
        drawn = panels(picture, labels)
        if not columns:
            columns = [(panel.caption, panel.png) for panel in drawn[:-1]]
        columns.append((f"{caption}, Dice {picture.dice:.2f}", drawn[-1].png))
    figure = Figure(figsize=(_PANEL_INCHES * len(columns), _PANEL_INCHES * 1.3), dpi=120, facecolor="white")
    for index, (caption, png) in enumerate(columns):
        axes = figure.add_subplot(1, len(columns), index + 1)
        axes.imshow(imread(io.BytesIO(base64.b64decode(png.split(",", 1)[1])), format="png"))
        axes.set_title(caption, fontsize=9)
        axes.set_axis_off()
    handles = [Patch(color=colour, label=name) for name, colour in region_colours(labels).items()]
    figure.legend(handles=handles, loc="lower center", ncols=len(handles), frameon=False, fontsize=9)
    figure.subplots_adjust(left=0.01, right=0.99, top=0.9, bottom=0.12, wspace=0.03)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    write_atomic(out, buffer.getvalue())
    return out


def _picture(folder: Path, case: str) -> Picture:
    for picture in read_pictures(folder / "pictures"):
        if picture.case == case:
            return picture
    raise EquiregError(f"{folder}: kept no picture of the case {case}. Evaluate with --pictures {case}.")
