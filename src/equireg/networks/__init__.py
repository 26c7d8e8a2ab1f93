"""Segmentation networks by name, built from a data set's facts; they return logits.

A network is imported when it is first asked for, so that its name and options are known without torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from equireg.registry import Table

if TYPE_CHECKING:
    from equireg.networks.coarse import bare as bare
    from equireg.networks.coarse import coarse_sides as coarse_sides
    from equireg.networks.deep import Pyramid as Pyramid
    from equireg.networks.deep import pyramid as pyramid
    from equireg.networks.registry import Network as Network
    from equireg.networks.registry import build as build
    from equireg.networks.registry import divisors as divisors
    from equireg.networks.stages import EncoderStage as EncoderStage
    from equireg.networks.stages import encoder_stages as encoder_stages
    from equireg.networks.topology import round_up_side as round_up_side
    from equireg.networks.topology import strides_for as strides_for
    from equireg.networks.topology import topology_for as topology_for

NETWORKS: "Table[Network]" = Table(
    "network",
    {
        "unet": "equireg.networks.registry:UNET",
        "resenc": "equireg.networks.registry:RESENC",
        "segresnet": "equireg.networks.registry:SEGRESNET",
        "tiramisu": "equireg.networks.registry:FC_DENSENET",
        "fc-densenet56": "equireg.networks.registry:FC_DENSENET",
        "fc-densenet67": "equireg.networks.registry:FC_DENSENET",
        "fc-densenet103": "equireg.networks.registry:FC_DENSENET",
    },
)
"""Network name to how it is built, and its options."""

_HEAVY = {
    "bare": "coarse",
    "coarse_sides": "coarse",
    "Pyramid": "deep",
    "pyramid": "deep",
    "Network": "registry",
    "build": "registry",
    "divisors": "registry",
    "round_up_side": "topology",
    "strides_for": "topology",
    "topology_for": "topology",
    "EncoderStage": "stages",
    "encoder_stages": "stages",
}


def __getattr__(name: str) -> Any:
    """Import what needs torch when it is first asked for."""
    if name in _HEAVY:
        return getattr(import_module(f"equireg.networks.{_HEAVY[name]}"), name)
    raise AttributeError(f"module 'equireg.networks' has no attribute {name!r}")
