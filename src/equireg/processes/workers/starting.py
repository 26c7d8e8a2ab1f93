"""Starting processes from a user's own script, which stays as it is and does not run again in each of them."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_start_method, set_start_method

from equireg import registry

_MAIN = ("__file__", "__spec__")
"""What tells a spawned process where the script lies that it would import."""


@contextmanager
def start_method_left_open() -> Iterator[None]:
    """Leave it to the program that calls equireg how it starts processes; libraries fix the default when they ask."""
    before = get_start_method(allow_none=True)
    try:
        yield
    finally:
        if before is None:
            set_start_method(None, force=True)


@contextmanager
def without_main() -> Iterator[None]:
    """Let processes that are spawned within the block leave the main script alone.

    Otherwise each would import it first, and a script that calls equireg outside of ``if __name__ == "__main__":``
    would begin its work anew in each. Where things were registered in this process, the script is imported, as it may
    be what registers them.
    """
    main = vars(sys.modules["__main__"])
    before = {name: main[name] for name in _MAIN if name in main}
    if not before or registry.has_registered():
        yield
        return
    main.pop("__file__", None)
    main["__spec__"] = None
    try:
        yield
    finally:
        main.pop("__spec__")
        main.update(before)
