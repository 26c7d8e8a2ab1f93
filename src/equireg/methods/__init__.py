"""The methods: one file each, one line in METHODS each, one training loop for all.

A method is imported when it is first asked for, so that its name and options are known without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from equireg.registry import Table

if TYPE_CHECKING:
    from equireg.methods.base import Method as Method
    from equireg.methods.evaluation_mode import evaluating as evaluating

METHODS: "Table[type[Method]]" = Table(
    "method",
    {
        "supervised": "equireg.methods.supervised:Supervised",
        "pseudo_label": "equireg.methods.pseudo_label:PseudoLabel",
        "mean_teacher": "equireg.methods.mean_teacher:MeanTeacher",
        "ua_mt": "equireg.methods.ua_mt:UncertaintyAwareMeanTeacher",
        "ict": "equireg.methods.ict:InterpolationConsistency",
        "cps": "equireg.methods.cps:CrossPseudoSupervision",
        "fixmatch": "equireg.methods.fixmatch:FixMatch",
        "unimatch": "equireg.methods.unimatch:UniMatch",
        "bcp": "equireg.methods.bcp:BidirectionalCopyPaste",
        "equireg": "equireg.methods.equireg:EquiReg",
    },
)
"""Method name to its class."""


def find(name: str) -> "type[Method]":
    """Return the class of a method.

    Raises:
        UsageError: if the name is unknown.
    """
    return METHODS.find(name)


def __getattr__(name: str) -> Any:
    """Import what needs torch when it is first asked for."""
    places = {"Method": "equireg.methods.base", "evaluating": "equireg.methods.evaluation_mode"}
    if name in places:
        return getattr(import_module(places[name]), name)
    raise AttributeError(f"module 'equireg.methods' has no attribute {name!r}")
