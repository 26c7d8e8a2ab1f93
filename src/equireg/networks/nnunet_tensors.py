"""Our networks as nnU-Net's: every tensor of its file, also those that do nothing in it."""

import re
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from equireg.errors import EquiregError
from equireg.networks.coarse import Coarse
from equireg.networks.nnunet_names import Found, pairs_of, translate
from equireg.networks.resenc import ResEncUNet
from equireg.networks.unet import UNet

_LEFT_OUT = re.compile(r"^(skip_layers|lower_heads)\.")
"""Tensors of ours that stand a second time under another name, or act in training alone."""
_PROJECTION = re.compile(r"\.skip\.\d\.conv\.weight$")
"""Convolutions that have no bias in nnU-Net either."""


def to_nnunet(network: nn.Module) -> tuple[dict[str, Tensor], Found]:
    """Return the tensors of nnU-Net's file for a network of ours, and what nnU-Net's plans have to say of it.

    Biases that we do not have are zeros there, and so are the heads at lower resolutions, which act in training alone.

    Args:
        network: a ``unet`` or ``resenc`` with instance normalisation.

    Raises:
        EquiregError: if it is another network; a sentence without a file's name.
    """
    if isinstance(network, Coarse):
        raise EquiregError("its network works at a lower resolution (--network.downsample), which nnU-Net's do not")
    if not isinstance(network, UNet | ResEncUNet):
        raise EquiregError(f"its network is a {type(network).__name__}; nnU-Net has unet and resenc alone")
    state = {name: value.detach().cpu() for name, value in network.state_dict().items()}
    if any(name.endswith("running_mean") for name in state):
        raise EquiregError("its network has batch normalisation; nnU-Net's networks have --network.norm instance")
    pairs = dict(pairs_of(state, isinstance(network, ResEncUNet)))
    lost = [name for name in state if name not in pairs and not _LEFT_OUT.search(name)]
    if lost:
        raise EquiregError(f"its network has tensors that nnU-Net's has not, such as {lost[0]}")
    theirs = {name: state[own] for own, name in pairs.items() if own in state}
    found = translate({**theirs, **dict(_growth_biases(theirs))})
    theirs |= {**dict(_growth_biases(theirs)), **dict(_layer_biases(theirs)), **dict(_lower_heads(theirs))}
    return dict(_with_doubles(theirs)), found


def _growth_biases(theirs: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Yield biases of transposed convolutions where we have none."""
    for name, weight in theirs.items():
        bias = name.removesuffix("weight") + "bias"
        if name.startswith("decoder.transpconvs.") and name.endswith(".weight") and bias not in theirs:
            yield bias, torch.zeros(weight.shape[1])


def _layer_biases(theirs: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Yield biases of convolutions that a normalisation follows."""
    for name, weight in theirs.items():
        if name.endswith(".conv.weight") and not _PROJECTION.search(name):
            yield name.removesuffix("weight") + "bias", torch.zeros(weight.shape[0])


def _lower_heads(theirs: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Yield the heads that nnU-Net trains at lower resolutions."""
    heads = [name for name in theirs if name.startswith("decoder.seg_layers.") and name.endswith(".weight")]
    head = theirs[heads[0]]
    for place in range(int(heads[0].split(".")[2])):
        width = theirs[f"decoder.transpconvs.{place}.weight"].shape[1]
        yield f"decoder.seg_layers.{place}.weight", torch.zeros(head.shape[0], width, *head.shape[2:])
        yield f"decoder.seg_layers.{place}.bias", torch.zeros(head.shape[0])


def _with_doubles(theirs: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Yield all tensors, those twice that nnU-Net's modules register twice."""
    for name, value in theirs.items():
        layer, part = name.rsplit(".", 1)
        within, _, kind = layer.rpartition(".")
        inner = {"conv": "0", "norm": "1"}.get(kind)
        names = [name] if inner is None else [name, f"{within}.all_modules.{inner}.{part}"]
        for one in names:
            yield one, value
            if one.startswith("encoder."):
                yield f"decoder.{one}", value
