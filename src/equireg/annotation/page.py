"""The page of suggestions: three planes of each suggested scan with the model's draft, and why it was chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from equireg._version import __version__
from equireg.drawing.png import picture_uri
from equireg.drawing.scans import bright, label_colour, under_mask
from equireg.drawing.templating import content_policy, template
from equireg.folders.prepared import PreparedSet
from equireg.folders.suggestions import Suggestion
from equireg.imaging.labels import LabelTable

_PLANES = ("across", "along the rows", "along the columns")


@dataclass(frozen=True)
class Plane:
    """One plane through the middle of a scan."""

    png: str
    """data URI"""
    aspect: float
    """width over height, as the scan lies in space"""
    alt: str


def render(
    data: PreparedSet,
    found: Sequence[Suggestion],
    candidates: int,
    drafts: Mapping[str, list[Plane]],
    labels: LabelTable,
) -> str:
    """Return the page.

    Args:
        data: the prepared folder.
        found: the suggestions.
        candidates: number of scans that they were chosen from.
        drafts: pictures of the drafts that lie ready to be corrected, by case; empty without a model.
        labels: of the drafts.
    """
    return template("equireg.annotation", "suggestions.html.jinja").render(
        policy=content_policy(),
        dataset=data.manifest.dataset,
        candidates=candidates,
        drafted=bool(drafts),
        colours={
            name: label_colour(labels, value) for name, value in zip(labels.names[1:], labels.values[1:], strict=True)
        },
        entries=[(one, drafts.get(one.case) or planes(data, one.case)) for one in found],
        version=__version__,
    )


def planes(
    data: PreparedSet, case: str, draft: np.ndarray | None = None, labels: LabelTable | None = None
) -> list[Plane]:
    """Draw three planes of a prepared scan, anterior or superior up where rows run that way.

    Args:
        data: the prepared folder.
        case: name of the scan.
        draft: label values in the scan's own grid, [X, Y, Z], to be drawn over it; the middle planes without one.
        labels: of the draft.
    """
    record = data.by_name[case]
    shown = bright(lambda index: np.asarray(data.image(case)[index]), data.manifest.channels)
    if draft is None or labels is None:
        return three_planes(shown, record.spacing_mm, case)
    return planes_with_mask(shown, record.working_grid().label_to_working(draft), labels, record.spacing_mm, case)


def planes_with_mask(
    shown: np.ndarray, mask: np.ndarray, labels: LabelTable, spacing_mm: Sequence[float], name: str
) -> list[Plane]:
    """Draw the planes on which most of a mask lies, the mask over the scan in colours.

    Args:
        shown: grey values [D, H, W] or colours [D, H, W, 3], 0 to 1.
        mask: label values, [D, H, W].
        labels: what the values mean.
        spacing_mm: of the voxels, mm.
        name: of the scan.
    """
    inside = mask != 0
    sums = [inside.sum(axis=tuple(other for other in range(3) if other != axis)) for axis in range(3)]
    places = [int(count.argmax()) if count.any() else len(count) // 2 for count in sums]
    return three_planes(under_mask(shown, mask, labels), spacing_mm, f"{name} with its mask", places)


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
