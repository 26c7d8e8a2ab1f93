"""The verb ``view``: one case slice by slice, as a page that needs no other file and no network."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from equireg._version import __version__
from equireg.config import ViewConfig
from equireg.config.parsing import options_from
from equireg.disk import disk_errors, write_atomic
from equireg.drawing.scans import foreground, region_colours, window
from equireg.drawing.templating import content_policy, template
from equireg.errors import EquiregError, UsageError
from equireg.folders import lineage
from equireg.imaging.labels import LabelTable
from equireg.imaging.limits import Limits
from equireg.viewing.case_volumes import CaseVolumes, read_case
from equireg.viewing.sprites import ScanSheets, colour_sheet, scan_sheets

_DIFFERENCE = "#ff3ea5"
"""Unlike the colours of all regions."""
_MARGIN = 3


@dataclass(frozen=True)
class _Panel:
    """One picture of the page: a scan under colours."""

    title: str
    scan: str | None
    """which scan lies below: scan or transformed"""
    indices: np.ndarray
    """places of colours [D, h, w], 0 for none"""
    difference: bool = False


def view(predictions: Path | str, out: Path | str, config: ViewConfig | None = None, **options: Any) -> Path:
    """Write a page on which one looks at a case slice by slice, with a slider and the arrow keys.

    It shows the prediction and, where they are still there, the reference, the prediction of the transformed scan
    beside the transformed prediction, and where these two differ. It holds no path and no name but the case's.

    Args:
        predictions: output of `equireg predict`.
        out: the page to write.
        config: the options; or give them by name.
        options: those of ``ViewConfig``, laid over ``config``; ``case`` must be given.

    Returns:
        The page.

    Raises:
        EquiregError: if there is no such prediction, or the page is there already.
        UsageError: if no case is named, or the scan has no such channel.
    """
    config, predictions, out = options_from(ViewConfig, config, options), Path(predictions), Path(out)
    if not config.case:
        raise UsageError("no case is named; expected the name of a predicted case as --case.")
    if out.exists():
        raise EquiregError(
            f"{out}: exists already; expected the name of a new page. Choose another --out or remove it."
        )
    scans, limits = None if config.scans is None else Path(config.scans), Limits.of(config, *lineage(predictions))
    volumes = _cropped(read_case(predictions, config.case, config.channel, scans, limits))
    page = _render(volumes)
    with disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(out, page)
    return out


def colour_indices(labels: LabelTable, values: np.ndarray) -> np.ndarray:
    """Return 1 + place of the smallest judged region that holds each label value; 0 where none does."""
    regions = list(labels.judged_regions().values())
    found = np.zeros(values.shape, np.uint8)
    # Large unions first, so that a region inside another has the last word.
    for members in sorted(regions, key=len, reverse=True):
        found[np.isin(values, members)] = 1 + regions.index(members)
    return found


def _cropped(volumes: CaseVolumes) -> CaseVolumes:
    """Cut the rows and columns away that are empty in all slices; a page is heavy enough."""
    scans = [foreground(scan) for scan in (volumes.scan, volumes.transformed_scan) if scan is not None]
    masks = (volumes.prediction, volumes.reference, volumes.predicted_transform, volumes.transformed_prediction)
    held = np.any([*scans, *[mask != 0 for mask in masks if mask is not None]], axis=(0, 1))
    if not held.any():
        return volumes
    spans = []
    for axis in (1, 0):
        places = np.flatnonzero(held.any(axis=axis))
        spans.append(slice(max(0, int(places[0]) - _MARGIN), int(places[-1]) + 1 + _MARGIN))
    rows, columns = spans
    cut = {name: value[:, rows, columns] for name, value in vars(volumes).items() if isinstance(value, np.ndarray)}
    return replace(volumes, **cut)


def _panels(volumes: CaseVolumes) -> list[_Panel]:
    """Choose the pictures of the page by what there is."""
    labels, scan = volumes.labels, "scan" if volumes.scan is not None else None
    moved = "transformed" if volumes.transformed_scan is not None else None
    panels = [_Panel("Prediction", scan, colour_indices(labels, volumes.prediction))]
    if volumes.reference is not None:
        panels.append(_Panel("Reference", scan, colour_indices(labels, volumes.reference)))
    one, other = volumes.predicted_transform, volumes.transformed_prediction
    if one is not None and other is not None:
        panels += [
            _Panel("Prediction of the transformed scan, f(T x)", moved, colour_indices(labels, one)),
            _Panel("Transformed prediction, T f(x)", moved, colour_indices(labels, other)),
            _Panel("Where the two differ", moved, np.where(one != other, len(region_colours(labels)) + 1, 0), True),
        ]
    return panels


def _render(volumes: CaseVolumes) -> str:
    panels = _panels(volumes)
    regions = region_colours(volumes.labels)
    colours = dict(enumerate([*regions.values(), _DIFFERENCE], start=1))
    scans = {"scan": volumes.scan, "transformed": volumes.transformed_scan}
    there = {name: window(scan) for name, scan in scans.items() if scan is not None}
    drawn = scan_sheets(list(there.values()))
    depth, height, width = volumes.prediction.shape
    content = {
        "slices": depth,
        "first": _first(volumes),
        "height": height,
        "width": width,
        "stride": drawn.stride,
        "scans": {name: vars(sheet) for name, sheet in zip(there, drawn.sheets, strict=True)},
        "panels": [
            {"scan": panel.scan, "difference": panel.difference, **vars(colour_sheet(panel.indices, colours))}
            for panel in panels
        ],
    }
    script = Markup(Path(__file__).with_name("viewer.js").read_text(encoding="utf-8"))
    return template("equireg.viewing", "viewer.html.jinja").render(
        policy=content_policy(script),
        script=script,
        case=volumes.case,
        channel=volumes.channel if there else None,
        titles=[panel.title for panel in panels],
        aspect=(width * volumes.spacing_mm[1]) / (height * volumes.spacing_mm[0]),
        slices=depth,
        regions=regions,
        difference=_DIFFERENCE if any(panel.difference for panel in panels) else None,
        reduced=_reduced(drawn),
        content=_script_json(content),
        version=__version__,
    )


def _first(volumes: CaseVolumes) -> int:
    """Return the slice to open on: where most of the reference is, else of the prediction, else the middle."""
    for mask in (volumes.reference, volumes.prediction):
        if mask is not None and mask.any():
            return int((mask != 0).sum(axis=(1, 2)).argmax())
    return len(volumes.prediction) // 2


def _reduced(drawn: ScanSheets) -> str:
    """Say what the scans lost to the page's size."""
    lost = [f"{drawn.shades} shades of grey"] if drawn.shades < 256 else []
    lost += [f"every {drawn.stride}. pixel"] if drawn.stride > 1 else []
    return f"To keep this page small, scans are shown with {' and '.join(lost)}; masks are whole." if lost else ""


def _script_json(content: dict[str, Any]) -> Markup:
    """Write JSON that may stand inside a script element."""
    return Markup(json.dumps(content).replace("<", "\\u003c"))
