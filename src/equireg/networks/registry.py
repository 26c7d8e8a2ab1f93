"""Networks by name: those with the widths and depths that fit a patch, and FC-DenseNets of fixed shape."""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn

from equireg import registry
from equireg.config import FCDenseNetConfig, NetworkConfig, ResEncConfig, SegResNetConfig, UNetConfig
from equireg.errors import UsageError
from equireg.networks.coarse import Coarse, coarse_sides
from equireg.networks.tiramisu import fc_densenet
from equireg.networks.topology import Strides, given_topology, strides_for


def _unet(config: UNetConfig, channels: int, classes: int, strides: Strides) -> nn.Module:
    """Build the plain U-Net of nnU-Net (Isensee et al. 2021)."""
    from equireg.networks.unet import build_unet

    return build_unet(config, channels, classes, strides)


def _resenc(config: ResEncConfig, channels: int, classes: int, strides: Strides) -> nn.Module:
    """Build the residual encoder U-Net of nnU-Net (Isensee et al. 2024)."""
    from equireg.networks.resenc import ResEncUNet

    return ResEncUNet(config, channels, classes, strides)


def _segresnet(config: SegResNetConfig, channels: int, classes: int, strides: Strides) -> nn.Module:
    """Build SegResNet (Myronenko 2018): it halves all axes at once and doubles the width without a cap."""
    from monai.networks.nets.segresnet import SegResNet

    stages = 1 + sum(min(stride) == 2 for stride in strides)
    return SegResNet(
        spatial_dims=len(strides[0]),
        in_channels=channels,
        out_channels=classes,
        init_filters=config.features,
        blocks_down=(1, *[2] * (stages - 1)),
        blocks_up=(1,) * (stages - 1),
        norm=(config.norm, {"affine": True}),
        dropout_prob=config.dropout or None,
    )


@dataclass(frozen=True)
class Network:
    """A network that has a name."""

    build: Callable[[Any, int, int, Strides], nn.Module]
    """Makes it from its options, the channels of a scan, the classes, and the stride of each stage."""
    Options: type[NetworkConfig] = NetworkConfig
    """The dataclass of its options."""


UNET = Network(_unet, UNetConfig)
RESENC = Network(_resenc, ResEncConfig)
SEGRESNET = Network(_segresnet, SegResNetConfig)
FC_DENSENET = Network(fc_densenet, FCDenseNetConfig)


def build(
    network: str | NetworkConfig,
    *,
    in_channels: int,
    out_channels: int,
    spatial_dims: int,
    patch_size: Sequence[int] | None = None,
) -> nn.Module:
    """Build a network with weights drawn from torch's seeded generator.

    Args:
        network: its name, or its options.
        in_channels: channels of a scan.
        out_channels: classes, background included.
        spatial_dims: 2 or 3.
        patch_size: voxels of the images that it will see, which decide the stages of unet and segresnet;
            without it, five stages for images whose sides divide by 16. FC-DenseNets take any size.

    Returns:
        A network from images [B, in_channels, *S] to logits [B, out_channels, *S].

    Raises:
        UsageError: if the name is unknown, an option does not act on the network, or the patch does not carry
            the stages that the options ask for.
    """
    config = NetworkConfig(name=network) if isinstance(network, str) else network
    named: Network = registry.table("network").find(config.name, "--network.name")
    if type(config) is NetworkConfig:  # its name alone: the rest is as that network has it by default
        config = named.Options(name=config.name)
    if not isinstance(config, named.Options):
        raise UsageError(
            f"--network.name is {config.name}, given with options of another network ({type(config).__name__}); "
            f"expected {named.Options.__name__}."
        )
    strides = _strides_of(config, coarse_sides(patch_size or (64,) * spatial_dims, config.downsample))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MONAI warns of its own use of deprecated torch functions
        built = named.build(config, in_channels, out_channels, strides)
    return built if config.downsample is None else Coarse(built, config.downsample)


def divisors(network: NetworkConfig, patch_size: Sequence[int]) -> tuple[int, ...]:
    """Return by how much the sides of an image must divide, for a network that is built for a patch, [n].

    Raises:
        UsageError: if the patch does not carry the stages that the options ask for.
    """
    if isinstance(network, FCDenseNetConfig):  # takes any size
        return tuple(network.downsample or (1,) * len(patch_size))
    coarse = coarse_sides(patch_size, network.downsample)
    strides = _strides_of(network, coarse)
    return tuple(
        side // seen * math.prod(stride[axis] for stride in strides)
        for axis, (side, seen) in enumerate(zip(patch_size, coarse, strict=True))
    )


def _strides_of(config: NetworkConfig, patch_size: tuple[int, ...]) -> Strides:
    """Return the strides of a network's stages for a patch as it sees it."""
    strides = strides_for(patch_size)
    if isinstance(config, UNetConfig | ResEncConfig) and (config.strides is not None or config.kernels is not None):
        strides = given_topology(config.strides, config.kernels, patch_size).strides
    stages: int | None = getattr(config, "stages", None)
    if stages is None:
        return strides
    if stages > len(strides):
        raise UsageError(
            f"--network.stages is {stages}; a patch of {patch_size} voxels carries at most {len(strides)}. "
            "Ask for fewer, or for a --patch_size whose sides divide by higher powers of 2."
        )
    return strides[:stages]
