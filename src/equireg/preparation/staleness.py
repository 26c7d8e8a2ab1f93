"""Whether a raw folder is still what a prepared folder was made from."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from equireg.config import DicomOptions, PrepareConfig
from equireg.config.parsing import options_from
from equireg.errors import EquiregError, some_of
from equireg.layouts import discover
from equireg.preparation.raw_states import changes_since

log = logging.getLogger("equireg")


def tell_stale(raw: Path, prepared: Path, options: Mapping[str, Any]) -> None:
    """Warn where scans or masks of a raw folder are others than were prepared; a folder that is gone is no matter.

    Args:
        raw: the raw folder.
        prepared: what was made from it.
        options: those of ``PrepareConfig`` that it was made by.
    """
    config = options_from(PrepareConfig, None, options)
    try:
        found = discover(raw, config.layout, follow_links=config.follow_links, options=DicomOptions.of(config))
    except EquiregError:
        return
    if changed := changes_since(prepared, found.cases):
        log.warning(
            "%s changed since %s was prepared from it: %s. What is made from the prepared folder is of the scans and "
            "masks as they were. Give another --out for those of now.",
            raw,
            prepared,
            some_of(changed),
        )
