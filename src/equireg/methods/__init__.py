"""The methods: one file each, one line in METHODS each, one training loop for all."""

import difflib

from equireg.errors import UsageError
from equireg.methods.base import Method as Method
from equireg.methods.base import evaluating as evaluating
from equireg.methods.equireg import EquiReg
from equireg.methods.supervised import Supervised

METHODS: dict[str, type[Method]] = {
    "supervised": Supervised,
    "equireg": EquiReg,
}
"""Method name to its class."""


def find(name: str) -> type[Method]:
    """Return the class of a method.

    Raises:
        UsageError: if the name is unknown.
    """
    if name not in METHODS:
        near = difflib.get_close_matches(name, METHODS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UsageError(f"--method is {name}; expected one of {', '.join(METHODS)}.{hint}")
    return METHODS[name]
