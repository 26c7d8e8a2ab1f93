"""The home folder in paths, which a shell writes out at the beginning of a word alone: `--out=~/run` keeps its `~`."""

import os
from collections.abc import Mapping
from typing import Any


def at_home(value: Any) -> Any:
    """Return an option's plain value with each path that begins with ``~/`` in the home folder."""
    if isinstance(value, Mapping):
        return {key: at_home(item) for key, item in value.items()}
    if isinstance(value, list):
        return [at_home(item) for item in value]
    return os.path.expanduser(value) if isinstance(value, str) and value[:2] in ("~", "~/", f"~{os.sep}") else value
