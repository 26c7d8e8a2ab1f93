"""Where a network's encoder gives its feature maps, for methods that perturb them."""

from dataclasses import dataclass

from torch import nn

from equireg.networks.tiramisu import FCDenseNet


@dataclass(frozen=True)
class EncoderStage:
    """One resolution of an encoder."""

    module: nn.Module
    """Its output, [B, C, *S], is the stage's feature maps: what the decoder's skip reads."""
    next: nn.Module | None
    """What reads the same maps on the way down; None for the coarsest stage."""


def encoder_stages(network: nn.Module) -> list[EncoderStage]:
    """Return the stages of a network's encoder, finest first, the coarsest one (the bottleneck) among them.

    Forward hooks on the modules see the feature maps, and may change them.

    Raises:
        TypeError: if the network is not one of ours.
    """
    from monai.networks.nets.dynunet import DynUNet
    from monai.networks.nets.segresnet import SegResNet

    if isinstance(network, FCDenseNet):
        stages = [EncoderStage(*pair) for pair in zip(network.down, network.shrink, strict=True)]
        return [*stages, EncoderStage(network.bottleneck, None)]
    if isinstance(network, DynUNet):
        modules = [network.input_block, *network.downsamples, network.bottleneck]
    elif isinstance(network, SegResNet):
        modules = list(network.down_layers)
    else:
        raise TypeError(f"got a {type(network).__name__}, whose encoder is not known; expected a network of `build`")
    return [EncoderStage(*pair) for pair in zip(modules, [*modules[1:], None], strict=True)]
