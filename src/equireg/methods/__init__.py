"""The methods: one file each, one line in METHODS each, one training loop for all."""

import difflib

from equireg.errors import UsageError
from equireg.methods.base import Method as Method
from equireg.methods.base import evaluating as evaluating
from equireg.methods.bcp import BidirectionalCopyPaste
from equireg.methods.cps import CrossPseudoSupervision
from equireg.methods.equireg import EquiReg
from equireg.methods.fixmatch import FixMatch
from equireg.methods.ict import InterpolationConsistency
from equireg.methods.mean_teacher import MeanTeacher
from equireg.methods.pseudo_label import PseudoLabel
from equireg.methods.supervised import Supervised
from equireg.methods.ua_mt import UncertaintyAwareMeanTeacher
from equireg.methods.unimatch import UniMatch

METHODS: dict[str, type[Method]] = {
    "supervised": Supervised,
    "pseudo_label": PseudoLabel,
    "mean_teacher": MeanTeacher,
    "ua_mt": UncertaintyAwareMeanTeacher,
    "ict": InterpolationConsistency,
    "cps": CrossPseudoSupervision,
    "fixmatch": FixMatch,
    "unimatch": UniMatch,
    "bcp": BidirectionalCopyPaste,
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
