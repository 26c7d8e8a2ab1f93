"""From folders to the page and its tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from equireg import disk, folders
from equireg.config import ReportConfig
from equireg.config.parsing import options_from, to_plain
from equireg.reporting.page import make_page
from equireg.reporting.results.sources import read_sources


def report(sources: Sequence[Path | str], out: Path | str, config: ReportConfig | None = None, **options: Any) -> Path:
    """Write a page that compares runs and evaluations, and its tables.

    Neither page nor tables hold a path. `out` gets `index.html`, `tables/*.csv` and `made_by.json`;
    nothing of it is there unless all of it is.

    Args:
        sources: folders made by `equireg train` and `equireg evaluate`, in any order and number; of `equireg
            prepare` too, to show a case on its way from the raw scan.
        out: the folder to make.
        config: the options; or give them by name.
        options: those of ``ReportConfig``, laid over ``config``; there is none yet.

    Returns:
        The page, `out/index.html`: one file that needs no other and no network.

    Raises:
        EquiregError: if a source is missing, of another verb or broken, or `out` exists.
    """
    config = options_from(ReportConfig, config, options)
    out = disk.refuse_existing(out)
    found = read_sources(sources)
    page = make_page(found)
    with disk.staged_folder(out) as staging:
        disk.write_atomic(staging / "index.html", page.html)
        (staging / "tables").mkdir()
        for name, table in page.tables.items():
            disk.write_atomic(staging / "tables" / name, table)
        folders.sign(
            staging, "report", to_plain(config), sources=[source.title for source in (*found.runs, *found.evaluations)]
        )
    return out / "index.html"
