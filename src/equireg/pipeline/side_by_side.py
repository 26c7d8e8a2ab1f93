"""One case as several evaluations saw it, in one picture."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import Patch

from equireg.disk import write_atomic
from equireg.drawing.scans import region_colours
from equireg.errors import EquiregError
from equireg.folders.evaluation import Picture, read_labels, read_pictures
from equireg.reporting.drawing.panels import in_a_row

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
