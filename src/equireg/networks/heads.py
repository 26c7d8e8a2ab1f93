"""The head of a network: the tensors that have a row for each class, and what they answer before anything is learnt."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from equireg.config import NetworkConfig
from equireg.networks.coarse import bare
from equireg.networks.registry import build

_LEAST = 0.01
"""Least probability of a class at first, as in RetinaNet (Lin et al. 2017): from less it takes long to rise."""
_LEAST_TOGETHER = 0.1
"""What rare classes have together at most; many have less each."""


def tensors_of(network: nn.Module) -> dict[str, Tensor]:
    """Return each weight and statistic of a network once, by its first name."""
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def class_axes(
    network: nn.Module, config: NetworkConfig, channels: int, classes: int, patch_size: Sequence[int]
) -> dict[str, int]:
    """Return the tensors of a network that have a row for each class, with the axis of those rows.

    Args:
        network: as its options build it.
        config: these options.
        channels: channels of a scan.
        classes: classes, background included.
        patch_size: voxels of a training sample.
    """
    with torch.device("meta"):
        other = build(
            config,
            in_channels=channels,
            out_channels=classes + 1,
            spatial_dims=len(patch_size),
            patch_size=patch_size,
        )
    wider = {name: value.shape for name, value in tensors_of(bare(other)).items()}
    return {
        name: next(axis for axis, size in enumerate(value.shape) if size != wider[name][axis])
        for name, value in tensors_of(bare(network)).items()
        if value.shape != wider[name]
    }


def first_guess(voxels: Sequence[int]) -> Tensor:
    """Return the probabilities that a new network should answer everywhere, [K], from the voxels of each class.

    What is rare, or was not seen at all, has 0.01, or less where there are more than ten such classes.
    """
    counts = torch.tensor(voxels, dtype=torch.float64)
    least = min(_LEAST, _LEAST_TOGETHER / max(len(counts) - 1, 1))
    return shares_of_counts(counts, least).float()


def shares_of_counts(counts: Tensor, least: float) -> Tensor:
    """Return the voxels of each class as parts of all, [K]; each at least ``least``, then made to sum to 1."""
    shares = (counts / counts.sum().clamp_min(1)).clamp_min(least)
    return shares / shares.sum()


@torch.no_grad()
def answer_first(network: nn.Module, axes: Mapping[str, int], probabilities: Tensor) -> None:
    """Let a new network answer the same probabilities everywhere, on average over what it may see.

    The bias of a head becomes their logarithm (Lin et al. 2017, section 4.1), and of each class' weights their mean is
    taken, so that features whose means are equal, as behind a normalisation, add nothing to it. A head without a bias
    stays as it is.

    Args:
        network: with new weights.
        axes: what ``class_axes`` gives for it.
        probabilities: of each class, [K].
    """
    own = tensors_of(bare(network))
    for name, axis in axes.items():
        layer, _, kind = name.rpartition(".")
        bias = f"{layer}.bias" if layer else "bias"
        if kind != "weight" or bias not in axes:
            continue
        weight = own[name]
        others = [place for place in range(weight.ndim) if place != axis]
        weight -= weight.mean(dim=others, keepdim=True)
        own[bias].copy_(probabilities.log())


def takes_foreground_bias(axes: Mapping[str, int]) -> bool:
    """Whether ``add_to_foreground`` moves the logits: each weight with rows by class has a bias beside it.

    Args:
        axes: what ``class_axes`` gives for a network.
    """
    places = [name.rpartition(".") for name in axes]
    biased = {layer for layer, _, kind in places if kind == "bias"}
    return bool(biased) and all(layer in biased for layer, _, kind in places if kind == "weight")


@torch.no_grad()
def add_to_foreground(network: nn.Module, axes: Mapping[str, int], bias: float) -> None:
    """Add to the logits of all classes but the background, by the biases of the heads; those without one stay.

    Args:
        network: trained.
        axes: what ``class_axes`` gives for it.
        bias: what is added.
    """
    own = tensors_of(bare(network))
    for name in axes:
        if name.rpartition(".")[2] == "bias":
            own[name][1:] += bias
