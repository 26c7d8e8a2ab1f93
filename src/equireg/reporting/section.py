"""A section of the page: its template with what it shows, and the tables that stand beside the page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup

from equireg.comparing.statistics import MEAN
from equireg.drawing.svg import MARKERS, marker, series_colour
from equireg.drawing.templating import template
from equireg.metrics import METRICS

NONE = "\N{EN DASH}"
"""Stands where there is no value."""
Rows = Sequence[Mapping[str, object]]


@dataclass(frozen=True)
class Section:
    """One section, of the whole page or of one cohort."""

    name: str
    """of its template, `sections/NAME.html.jinja`"""
    content: Mapping[str, Any] = field(default_factory=dict)
    """what the template shows; where it is empty, the page has no such section"""
    tables: Mapping[str, Rows] = field(default_factory=dict)
    """file name to rows; those of all cohorts are joined"""
    takeaway: str = ""
    """sentence for the top of the page"""

    def html(self, cohorts: int) -> Markup:
        """Return the section as a page with so many cohorts holds it."""
        functions = {"colour": series_colour, "glyph": _glyph, "number": number, "heading": _heading}
        page = template("equireg.reporting.sections", f"{self.name}.html.jinja", **functions)
        return Markup(page.render(self.content, cohorts=cohorts))  # its template has escaped what it prints


def number(value: float, metric: str) -> str:
    """Write a metric with its customary digits; a dash where it is missing."""
    return f"{value:.{METRICS[metric].digits}f}" if np.isfinite(value) else NONE


def signed(value: float, digits: int = 3) -> str:
    """Write a difference with its sign; a dash where it is missing."""
    return f"{value:+.{digits}f}".replace("-", "\N{MINUS SIGN}") if np.isfinite(value) else NONE


def counted(count: int, noun: str) -> str:
    """Write a count with its noun, in the plural where it is not one."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _glyph(index: int) -> str:
    """Return the character that looks like the arm's marker in the drawings."""
    return dict(zip(MARKERS, "●■▲◆▼✚✖★◀▶", strict=True))[marker(index)]


def _heading(region: str) -> str:
    """Return the words above a column."""
    return "mean" if region == MEAN else region
