"""From folders to the page and its tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from equireg import disk, folders
from equireg.comparing.sources import read_sources
from equireg.config import ReportConfig
from equireg.config.parsing import options_from, to_plain
from equireg.reporting.page import make_page
from equireg.reporting.views import with_views


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
        found = with_views(found, staging) if config.views else found
        page = make_page(found)
        disk.write_atomic(staging / "index.html", page.html)
        (staging / "tables").mkdir()
        for name, table in page.tables.items():
            disk.write_atomic(staging / "tables" / name, table)
        titles = dict.fromkeys(source.title for source in (*found.runs, *found.evaluations, *found.predictions))
        folders.sign(staging, "report", to_plain(config), sources=list(titles))
    return out / "index.html"
