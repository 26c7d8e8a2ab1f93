"""Matplotlib drawings as inline SVG that takes its ink from the page, in light and in dark."""

import hashlib
import io
import re
import warnings
from collections.abc import Callable
from typing import Any

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Colours that no drawing uses otherwise; each becomes a variable of the page's style sheet.
INK = "#010203"
MUTED = "#020304"
RULE = "#030405"
PAPER = "#040506"
_VARIABLES = {INK: "var(--ink)", MUTED: "var(--muted)", RULE: "var(--rule)", PAPER: "var(--card)"}

SERIES = (
    *("#3b7dd8", "#e07b39", "#2a9d7f", "#c65b9c", "#c9a227"),
    *("#7d6fd1", "#4fb0c6", "#b5523b", "#8a9a3a", "#8c8c94"),
)
"""Colours of arms, legible on white and on near-black, apart for the colour-blind in their first five; beyond
these the marker distinguishes them."""
MARKERS: tuple[str, ...] = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",  # text stays text: the page's font, selectable
    "svg.hashsalt": "equireg",  # the same drawing gives the same bytes
    "text.parse_math": False,  # a name may hold a dollar sign
    "font.size": 8.0,
    "text.color": INK,
    "axes.edgecolor": RULE,
    "axes.labelcolor": MUTED,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    **{f"{axis}tick.color": RULE for axis in "xy"},
    **{f"{axis}tick.labelcolor": MUTED for axis in "xy"},
    **{f"{axis}tick.{kind}.size": 0.0 for axis in "xy" for kind in ("major", "minor")},
}


def series_colour(index: int) -> str:
    """Return the colour of the arm with this index; they come round after the last."""
    return SERIES[index % len(SERIES)]


def marker(index: int) -> str:
    """Return the marker of the arm with this index, so that colour is never the only difference.

    They are shifted by one in every further round of colours: no two of a hundred arms look alike.
    """
    return MARKERS[(index + index // len(SERIES)) % len(MARKERS)]


def draw(plot: Callable[[Axes], None], *, width: float, height: float, label: str) -> Markup:
    """Draw on fresh axes and return the SVG element.

    Args:
        plot: fills the axes.
        width: inches at 72 points each; the page scales it to its column.
        height: inches likewise.
        label: what the drawing shows, for those who cannot see it.
    """
    with rc_context(_STYLE), warnings.catch_warnings():
        # The page's own font shows these characters; matplotlib only measures them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=(width, height), layout="constrained", facecolor="none")
        axes = figure.add_subplot(facecolor="none")
        plot(axes)
        buffer = io.StringIO()
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", metadata=nothing)
    return _inline(buffer.getvalue(), label)


def _inline(svg: str, label: str) -> Markup:
    body = svg[svg.index("<svg") :]
    unique = "f" + hashlib.sha256(body.encode()).hexdigest()[:8] + "-"
    body = re.sub(r'\bid="', f'id="{unique}', body)
    body = body.replace("url(#", f"url(#{unique}").replace('href="#', f'href="#{unique}')
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, variable)
    view = re.search(r'viewBox="([^"]+)"', body)
    box = view.group(1) if view else ""
    content = body[body.index(">") + 1 :]
    opening = Markup('<svg viewBox="{}" role="img" aria-label="{}" xmlns:xlink="http://www.w3.org/1999/xlink">')
    return opening.format(box, label) + Markup(content)
