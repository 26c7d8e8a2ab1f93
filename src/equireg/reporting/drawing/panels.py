"""Pictures of cases: the scan, and both masks as outlines on it, as PNG inside the page."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure

from equireg.drawing.png import png_uri
from equireg.drawing.scans import bright, foreground, in_colour, region_colours, shown_channels, window
from equireg.folders.evaluation import Picture
from equireg.folders.examples import Example
from equireg.imaging.boxes import Box, bounding_box, with_margin
from equireg.imaging.labels import LabelTable
from equireg.viewing.case_volumes import DISAGREEMENT, PREDICTION, REFERENCE, SCAN, CaseVolumes
from equireg.viewing.packing import DOUBT_COLOURS

_PANEL_PIXELS = 420
_STEP_PIXELS = 260
"""Steps of preparation are many and distinguished at a glance."""
_DPI = 100


@dataclass(frozen=True)
class Panel:
    """One view of a slice."""

    caption: str
    png: str
    """data URI"""
    alt: str
    aspect: float
    """width over height"""


def panels(picture: Picture, labels: LabelTable) -> list[Panel]:
    """Draw up to two channels of a slice, then the reference and the prediction on the first of them."""
    rows, columns = _content(picture)
    if in_colour(picture.channels):
        scans, captions = [bright(lambda channel: picture.scan[channel], picture.channels)[rows, columns]], ["scan"]
    else:
        shown = shown_channels(picture.channels, picture.scan.shape[0])
        scans = [window(picture.scan[channel])[rows, columns] for channel in shown]
        names = [picture.channels[channel] if picture.channels else f"channel {channel + 1}" for channel in shown]
        captions = names if picture.channels or picture.scan.shape[0] > 1 else ["scan"]
    reference, prediction = picture.reference[rows, columns], picture.prediction[rows, columns]
    spacing_mm = picture.spacing_mm

    def panel(caption: str, scan: np.ndarray, mask: np.ndarray | None, beside: np.ndarray | None = None) -> Panel:
        png, aspect = _png(scan, spacing_mm, lambda axes: _outline(axes, mask, beside, labels, spacing_mm))
        return Panel(caption, png, f"{caption} of case {picture.case}", aspect)

    plain = [panel(caption, scan, None) for caption, scan in zip(captions, scans, strict=True) if scan.any()]
    return [*plain, panel("reference", scans[0], reference), panel("prediction", scans[0], prediction, reference)]


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


def doubt_panels(case: CaseVolumes) -> list[Panel]:
    """Draw the slice with most of the doubt, or of the prediction: the scan, the prediction, where views contradict it.

    The truth is a thin dashed line on the prediction, where it is known.
    """
    doubt, prediction = case.volumes.get(DISAGREEMENT), case.volumes[PREDICTION]
    spread = (prediction != 0) if doubt is None else doubt
    place = int(spread.sum(axis=(1, 2)).argmax()) if spread.any() else len(prediction) // 2
    # As radiologists see it: the patient's right on the left, front or top up.
    seen = {kind: volume[place, ::-1, ::-1] for kind, volume in case.volumes.items()}
    # The brightness is that of the whole scan: in a slice without tissue noise would look like some.
    whole = window(case.volumes[SCAN]) if SCAN in seen else np.zeros_like(case.volumes[PREDICTION], np.float32)
    scan: np.ndarray = whole[place, ::-1, ::-1]
    rows, columns = np.linalg.norm(case.affine[:3, 1:3], axis=0).tolist()
    heat = ListedColormap(DOUBT_COLOURS)

    def over(axes: Axes) -> None:
        height, width = scan.shape[0] * rows, scan.shape[1] * columns
        shown = np.ma.masked_less_equal(seen[DISAGREEMENT], 0)
        axes.imshow(shown, cmap=heat, vmin=0, vmax=1, alpha=0.6, extent=(0, width, height, 0), interpolation="nearest")

    drawings: dict[str, Callable[[Axes], None]] = {
        "scan": lambda axes: None,
        "prediction": lambda axes: _outline(axes, seen[PREDICTION], seen.get(REFERENCE), case.labels, (rows, columns)),
    }
    if doubt is not None:
        drawings["where views disagree (dark: all)"] = over
    drawn = {name: _png(scan, (rows, columns), decorate) for name, decorate in drawings.items()}
    return [Panel(name, png, f"{name} of case {case.case}", aspect) for name, (png, aspect) in drawn.items()]


def raw_panels(example: Example) -> list[Panel]:
    """Draw every contrast of a raw scan, each with its mask."""
    raw, spacing_mm = example.steps[0], example.spacing_mm
    drawn = []
    for name, channel in zip(example.channels, raw.scan, strict=True):
        png, aspect = _png(
            window(channel), spacing_mm, lambda axes: _outline(axes, raw.label, None, example.labels, spacing_mm)
        )
        drawn.append(Panel(name, png, f"{name} of case {example.case} with its mask", aspect))
    return drawn


def step_panels(example: Example) -> list[list[Panel]]:
    """Draw every contrast before and after each step of preparation: a list a contrast, a panel a step."""
    table = []
    for place, name in enumerate(example.channels):
        row = []
        for step in example.steps:
            png, aspect = _png(window(step.scan[place]), example.spacing_mm, lambda axes: None, _STEP_PIXELS)
            row.append(Panel(f"{name}, {step.name}", png, f"{name} of case {example.case}, {step.name}", aspect))
        table.append(row)
    return table


def _content(picture: Picture) -> Box:
    """Return the rows and columns that hold the scan or a mask, with a narrow margin."""
    tissue = np.any([foreground(channel) for channel in picture.scan], axis=0)
    inside = tissue | (picture.reference != 0) | (picture.prediction != 0)
    box = bounding_box(inside)
    if box is None:
        return slice(None), slice(None)
    sides = zip(box, inside.shape, strict=True)
    return tuple(with_margin((span,), (size,), max(1, size // 40))[0] for span, size in sides)


def _outline(
    axes: Axes, mask: np.ndarray | None, beside: np.ndarray | None, labels: LabelTable, spacing_mm: tuple[float, float]
) -> None:
    """Draw each region's outline and a veil of its colour; ``beside`` as a thin dashed white line."""
    if mask is None:
        return
    colours = region_colours(labels)
    # Large unions first, so that a region inside another stays visible.
    regions = sorted(labels.judged_regions().items(), key=lambda item: -len(item[1]))
    veil = np.zeros((*mask.shape, 4))
    for name, values in regions:
        veil[np.isin(mask, values)] = (*to_rgb(colours[name]), 0.22)
    height, width = mask.shape[0] * spacing_mm[0], mask.shape[1] * spacing_mm[1]
    axes.imshow(veil, extent=(0, width, height, 0), interpolation="nearest")
    for name, values in regions:
        # Wider where another region lies inside: outlines that run together show as stripes.
        inside = sum(set(other) < set(values) for _, other in regions)
        _contour(axes, np.isin(mask, values), spacing_mm, colors=colours[name], linewidths=1.1 + 0.9 * inside)
    if beside is not None:
        judged = np.isin(beside, [value for _, values in regions for value in values])
        _contour(axes, judged, spacing_mm, colors="black", linewidths=2.0)
        _contour(axes, judged, spacing_mm, colors="white", linewidths=1.2, linestyles=[(0, (3, 2))])


def _contour(axes: Axes, mask: np.ndarray, spacing_mm: tuple[float, float], **style: Any) -> None:
    """Draw the outline of a mask, if there is one."""
    if not mask.any():
        return
    padded = np.pad(mask, 1).astype(float)  # closes outlines at the border
    y = (np.arange(padded.shape[0]) - 0.5) * spacing_mm[0]
    x = (np.arange(padded.shape[1]) - 0.5) * spacing_mm[1]
    axes.contour(x, y, padded, levels=[0.5], **style)


def _png(
    image: np.ndarray, spacing_mm: tuple[float, float], decorate: Callable[[Axes], None], pixels: int = _PANEL_PIXELS
) -> tuple[str, float]:
    """Draw an image and what ``decorate`` adds, in mm; return its data URI and its width over height."""
    height, width = image.shape[0] * spacing_mm[0], image.shape[1] * spacing_mm[1]
    scale = pixels / max(height, width)
    size = max(16.0, width * scale) / _DPI, max(16.0, height * scale) / _DPI
    with rc_context({"savefig.pad_inches": 0}):
        figure = Figure(figsize=size, dpi=_DPI, facecolor="black")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.imshow(
            image, cmap="gray", vmin=0, vmax=1, extent=(0, width, height, 0), aspect="auto", interpolation="bicubic"
        )
        decorate(axes)
        axes.set(xlim=(0, width), ylim=(height, 0), aspect="auto")
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return png_uri(buffer.getvalue()), size[0] / size[1]
