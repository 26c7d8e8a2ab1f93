"""From folders to the page and its tables."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from equireg import disk, folders
from equireg.comparing.sources import Sources, read_sources
from equireg.comparing.trust import MOST, Predictions
from equireg.config import ReportConfig, ViewConfig
from equireg.config.parsing import options_from, to_plain
from equireg.errors import EquiregError
from equireg.reporting.page import make_page
from equireg.viewing.view import render

_logger = logging.getLogger("equireg")
_PAGE_MB = 25.0


def report(sources: Sequence[Path | str], out: Path | str, config: ReportConfig | None = None, **options: Any) -> Path:
    """Write a page that compares runs and evaluations, and its tables.

    Neither page nor tables hold a path. `out` gets `index.html`, `tables/*.csv`, `made_by.json` and, where predictions
    are at hand, `views/*.html`, in which one looks at the cases that the page shows; nothing of it is there unless all
    of it is.

    Args:
        sources: folders made by `equireg train` and `equireg evaluate`, in any order and number; of `equireg predict`
            too, to show its cases by doubt, and of `equireg prepare`, to show a case on its way from the raw scan.
        out: the folder to make.
        config: the options; or give them by name.
        options: those of ``ReportConfig``, laid over ``config``.

    Returns:
        The page, `out/index.html`: one file that needs no network, and no other file but for its links to the viewer.

    Raises:
        EquiregError: if a source is missing, of another verb or broken, or `out` exists.
    """
    config = options_from(ReportConfig, config, options)
    out = disk.refuse_existing(out)
    found = read_sources(sources)
    with disk.staged_folder(out) as staging:
        found = _with_views(found, staging) if config.views else found
        page = make_page(found)
        disk.write_atomic(staging / "index.html", page.html)
        (staging / "tables").mkdir()
        for name, table in page.tables.items():
            disk.write_atomic(staging / "tables" / name, table)
        titles = dict.fromkeys(source.title for source in (*found.runs, *found.evaluations, *found.predictions))
        folders.sign(staging, "report", to_plain(config), sources=list(titles))
    return out / "index.html"


def _with_views(found: Sources, folder: Path) -> Sources:
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
