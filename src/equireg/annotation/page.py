"""The page of suggestions: three planes of each suggested scan, and why it was chosen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from equireg._version import __version__
from equireg.drawing.png import picture_uri
from equireg.drawing.scans import bright
from equireg.drawing.templating import content_policy, template
from equireg.folders.prepared import PreparedSet
from equireg.folders.suggestions import Suggestion

_PLANES = ("across", "along the rows", "along the columns")


@dataclass(frozen=True)
class Plane:
    """One plane through the middle of a scan."""

    png: str
    """data URI"""
    aspect: float
    """width over height, as the scan lies in space"""
    alt: str


def render(data: PreparedSet, suggestions: Sequence[Suggestion], candidates: int, *, drafted: bool) -> str:
    """Return the page; ``drafted``: drafts of a model lie ready to be corrected."""
    return template("equireg.annotation", "suggestions.html.jinja").render(
        policy=content_policy(),
        dataset=data.manifest.dataset,
        candidates=candidates,
        drafted=drafted,
        entries=[(one, planes(data, one.case)) for one in suggestions],
        version=__version__,
    )


def planes(data: PreparedSet, case: str) -> list[Plane]:
    """Draw the three planes through the middle of a prepared scan, anterior or superior up where rows run that way."""
    record = data.by_name[case]
    channels = data.manifest.channels
    return three_planes(bright(lambda index: np.asarray(data.image(case)[index]), channels), record.spacing_mm, case)


def three_planes(
    shown: np.ndarray, spacing_mm: Sequence[float], name: str, places: Sequence[int] | None = None
) -> list[Plane]:
    """Draw three planes through a volume.

    Args:
        shown: grey values [D, H, W] or colours [D, H, W, 3], 0 to 1.
        spacing_mm: of its voxels, mm.
        name: of the scan.
        places: index of the plane across each axis; the middle by default.
    """
    drawn = []
    for axis, way in enumerate(_PLANES):
        plane = shown.take(shown.shape[axis] // 2 if places is None else places[axis], axis)[::-1]
        plane = plane[:, ::-1] if shown.shape[0] == 1 else plane  # a picture stays as it is, and is not mirrored
        rows, columns = (step for other, step in enumerate(spacing_mm) if other != axis)
        aspect = plane.shape[1] * columns / (plane.shape[0] * rows)
        if min(plane.shape[:2]) > 1:
            picture = Image.fromarray(np.rint(plane * 255).astype(np.uint8))
            drawn.append(Plane(picture_uri(picture), aspect, f"{name}, {way} of its slices"))
    return drawn
