"""Pages of the viewer beside the report, for the cases that it shows."""

import logging
from dataclasses import replace
from pathlib import Path

from equireg import disk
from equireg.comparing.sources import Sources
from equireg.comparing.trust import MOST, Predictions
from equireg.config import ViewConfig
from equireg.errors import EquiregError
from equireg.viewing.view import render

_logger = logging.getLogger("equireg")
_PAGE_MB = 25.0


def with_views(found: Sources, folder: Path) -> Sources:
    """Write a page for each of the first predictions into `views/` of a folder; return the sources that lead to them.

    A page that cannot be made is left out with a warning: the report is worth more.
    """
    pages: dict[Path, Predictions] = {}
    for number, one in enumerate(found.predictions[:MOST], start=1):
        try:
            html = render(one.folder, one.in_viewer, ViewConfig(page_mb=_PAGE_MB), one.title)
        except EquiregError as error:
            _logger.warning("the report has no view of %s: %s", one.title, error)
            continue
        name = f"views/{number}.html"
        with disk.disk_errors(folder / name):
            (folder / name).parent.mkdir(exist_ok=True)
        disk.write_atomic(folder / name, html)
        pages[one.folder] = replace(one, page=name)
    evaluations = [
        replace(one, predictions=pages.get(one.predictions.folder)) if one.predictions else one
        for one in found.evaluations
    ]
    predictions = [pages.get(one.folder, one) for one in found.predictions]
    return found._replace(evaluations=tuple(evaluations), predictions=tuple(predictions))
