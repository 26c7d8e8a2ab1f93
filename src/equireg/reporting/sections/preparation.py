"""One case on its way from the raw scan to what a network sees."""

from equireg.comparing.cohorts import Results
from equireg.drawing.scans import region_colours
from equireg.reporting.drawing.panels import raw_panels, step_panels
from equireg.reporting.section import Section


def section(results: Results) -> Section:
    """Return the example of every prepared folder."""
    views = [
        {
            "case": example.case,
            "dataset": example.dataset,
            "regions": region_colours(example.labels),
            "raw": raw_panels(example),
            "steps": step_panels(example),
        }
        for example in results.sources.examples
    ]
    return Section("preparation", {"views": views} if views else {})
