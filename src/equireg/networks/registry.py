"""MONAI's networks by name, with the widths and depths that fit a patch."""

import difflib
import warnings
from collections.abc import Callable, Sequence

from torch import nn

from equireg.config import NetworkConfig
from equireg.errors import UsageError

_SMALLEST = 4
"""Voxels that the coarsest stage keeps along each axis that it halved."""


def stages_for(patch_size: Sequence[int], most: int = 6) -> int:
    """Return how many resolutions a patch carries: the shortest axis is halved to no less than 4 voxels."""
    stages, shortest = 1, min(patch_size)
    while stages < most and shortest >= 2 * _SMALLEST:
        stages, shortest = stages + 1, shortest // 2
    return max(stages, 2)


def divisor(stages: int) -> int:
    """Return the number that a patch's sides must divide by."""
    return 2 ** (stages - 1)


def _unet(config: NetworkConfig, dims: int, channels: int, classes: int, widths: list[int]) -> nn.Module:
    """Build the plain U-Net of nnU-Net (Isensee et al. 2021): two convolutions a stage, strided, leaky ReLU."""
    from monai.networks.nets.dynunet import DynUNet

    # DynUNet takes three stages or more; a small patch gets its third at the second one's resolution.
    missing = max(3 - len(widths), 0)
    strides = [1] + [2] * (len(widths) - 1) + [1] * missing
    widths = widths + widths[-1:] * missing
    return DynUNet(
        dims,
        channels,
        classes,
        kernel_size=[3] * len(widths),
        strides=strides,
        upsample_kernel_size=strides[1:],
        filters=widths,
        norm_name=(config.norm, {"affine": True}),
        dropout=config.dropout or None,
    )


def _segresnet(config: NetworkConfig, dims: int, channels: int, classes: int, widths: list[int]) -> nn.Module:
    """Build SegResNet (Myronenko 2018), whose stages double the width without a cap."""
    from monai.networks.nets.segresnet import SegResNet

    return SegResNet(
        spatial_dims=dims,
        in_channels=channels,
        out_channels=classes,
        init_filters=widths[0],
        blocks_down=(1, *[2] * (len(widths) - 1)),
        blocks_up=(1,) * (len(widths) - 1),
        norm=(config.norm, {"affine": True}),
        dropout_prob=config.dropout or None,
    )


def _attention_unet(config: NetworkConfig, dims: int, channels: int, classes: int, widths: list[int]) -> nn.Module:
    """Build the attention U-Net (Oktay et al. 2018), whose normalisation is batch norm."""
    from monai.networks.nets.attentionunet import AttentionUnet

    return AttentionUnet(dims, channels, classes, widths, [2] * (len(widths) - 1), dropout=config.dropout)


NETWORKS: dict[str, Callable[[NetworkConfig, int, int, int, list[int]], nn.Module]] = {
    "unet": _unet,
    "segresnet": _segresnet,
    "attention_unet": _attention_unet,
}
"""Network name to its builder."""


def build(network: str | NetworkConfig, *, in_channels: int, out_channels: int, spatial_dims: int) -> nn.Module:
    """Build a network with weights drawn from torch's seeded generator.

    Args:
        network: its name, or its options.
        in_channels: channels of a scan.
        out_channels: classes, background included.
        spatial_dims: 2 or 3.

    Returns:
        A network from images [B, in_channels, *S] to logits [B, out_channels, *S].

    Raises:
        UsageError: if the name is unknown.
    """
    config = NetworkConfig(name=network) if isinstance(network, str) else network
    if config.name not in NETWORKS:
        near = difflib.get_close_matches(config.name, NETWORKS, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise UsageError(f"--network.name is {config.name}; expected one of {', '.join(NETWORKS)}.{hint}")
    stages = config.stages or 5
    widths = [min(config.features * 2**stage, config.max_features) for stage in range(stages)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MONAI warns of its own use of deprecated torch functions
        return NETWORKS[config.name](config, spatial_dims, in_channels, out_channels, widths)
