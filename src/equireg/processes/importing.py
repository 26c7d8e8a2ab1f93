"""Imports of large libraries, in less time where the process is equireg's own."""

import gc
import os
import random
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

from equireg.errors import UsageError
from equireg.processes.memory import is_own

_UNUSED = {"scipy.signal": ("hamming",)}
"""Modules that a library imports only to see whether they have certain names; with all that they import in turn they
take a sixth of the start. Torchmetrics, which Lightning imports, gives SciPy's signals a name of old."""

_RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")
"""Environment variables that Lightning reads as it is imported."""


@contextmanager
def importing() -> Iterator[None]:
    """Import within the block without looking for garbage, if the process is equireg's own.

    Torch and Lightning make hundreds of thousands of objects that all stay. Python looks through them again and again
    while they are made, and once more when the process ends: a third of a short command's time. Afterwards it
    looks through newer ones alone.
    """
    if not is_own() or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextmanager
def importing_lightning() -> Iterator[None]:
    """Be ``importing``, and leave out what Lightning imports without a use for it, until somebody uses it.

    The state of Python's ``random`` stays as it was: rich, which Lightning imports, draws from it as it is imported.

    Raises:
        UsageError: if the environment names this process' rank, and no number, which Lightning could not read.
    """
    for name in _RANKS:
        if not re.fullmatch(r"\s*[+-]?\d+\s*", given := os.environ.get(name, "0")):
            raise UsageError(
                f"the environment variable {name} is {given!r}; expected a whole number, as torchrun and srun set it. "
                f"Unset it (`unset {name}`)."
            )
    standing_in = [_Later(name, known) for name, known in _UNUSED.items() if is_own() and name not in sys.modules]
    sys.modules.update({module.__name__: module for module in standing_in})
    state = random.getstate()
    try:
        with importing():
            yield
    finally:
        random.setstate(state)
        for module in standing_in:
            module.leave()


class _Later(ModuleType):
    """Stands for a module that has not been imported, and imports it when it is asked for a name that it does not know.

    Args:
        name: of the module.
        known: names that it says it has.
    """

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(name)
        self.__dict__.update(dict.fromkeys(known))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__path__":  # asked for by those who look through all modules
            raise AttributeError(name)
        self.leave()
        return getattr(import_module(self.__name__), name)

    def leave(self) -> None:
        """Make room for the module itself: who imports it from now on gets that."""
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
