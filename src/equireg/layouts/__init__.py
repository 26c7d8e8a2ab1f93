"""Raw folders to cases: one file a layout, one line in LAYOUTS each, found automatically or by name.

A layout is imported when it is first tried, so that help and completion know its name without it.
"""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from equireg.registry import Table

if TYPE_CHECKING:
    from equireg.layouts.base import FoundSet as FoundSet
    from equireg.layouts.base import RawCase as RawCase
    from equireg.layouts.base import RawDataset as RawDataset
    from equireg.layouts.base import Refusal as Refusal
    from equireg.layouts.base import relabelled as relabelled
    from equireg.layouts.base import with_limits as with_limits
    from equireg.layouts.finding import discover as discover
    from equireg.layouts.finding import rediscover as rediscover
    from equireg.layouts.inputs import discover_inputs as discover_inputs

LAYOUTS: "Table[Callable[[Path], FoundSet]]" = Table(
    "layout",
    {
        "decathlon": "equireg.layouts.decathlon:find",
        "nnunet": "equireg.layouts.nnunet:find",
        "brats": "equireg.layouts.brats:find",
        "acdc": "equireg.layouts.acdc:find",
        "kits": "equireg.layouts.kits:find",
        "totalsegmentator": "equireg.layouts.totalsegmentator:find",
        "bids": "equireg.layouts.bids:find",
        "plain": "equireg.layouts.plain:find",
        "dicom": "equireg.layouts.dicom:find",
        "pictures": "equireg.layouts.plain:find_pictures",
    },
)
"""Layout name to its finder, in the order in which they are tried; those that take any names are tried last.

A finder raises ``LayoutMismatchError`` where a folder is of another layout. Entries added from outside are tried too.
"""

_HEAVY = {
    "FoundSet": "base",
    "RawCase": "base",
    "RawDataset": "base",
    "Refusal": "base",
    "relabelled": "base",
    "with_limits": "base",
    "discover": "finding",
    "rediscover": "finding",
    "discover_inputs": "inputs",
}


def __getattr__(name: str) -> Any:
    """Import what reads files when it is first asked for."""
    if name in _HEAVY:
        return getattr(import_module(f"equireg.layouts.{_HEAVY[name]}"), name)
    raise AttributeError(f"module 'equireg.layouts' has no attribute {name!r}")
