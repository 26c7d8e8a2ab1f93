"""Where a network's encoder gives its feature maps, for methods that perturb them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from torch import nn

from equireg.errors import UsageError
from equireg.networks.coarse import Coarse
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

    Forward hooks on the modules see the feature maps, and may change them. A network of another package tells its
    stages by a method ``encoder_stages()`` that returns such a list.

    Raises:
        UsageError: if the network's encoder is not known.
    """
    if isinstance(network, Coarse):
        return encoder_stages(network.network)
    own = getattr(network, "encoder_stages", None)
    if callable(own):
        return cast(Callable[[], list[EncoderStage]], own)()
    if isinstance(network, FCDenseNet):
        stages = [EncoderStage(*pair) for pair in zip(network.down, network.shrink, strict=True)]
        return [*stages, EncoderStage(network.bottleneck, None)]
    from monai.networks.nets.dynunet import DynUNet
    from monai.networks.nets.segresnet import SegResNet

    if isinstance(network, DynUNet):  # of another package
        modules = [network.input_block, *network.downsamples, network.bottleneck]
    elif isinstance(network, SegResNet):
        modules = list(network.down_layers)
    else:
        raise UsageError(
            f"the method perturbs the network's encoder, and where that of {type(network).__name__} has its stages is "
            "not known. Choose another --network or --method, or give the class a method `encoder_stages()` that "
            "returns a list of EncoderStage."
        )
    return [EncoderStage(*pair) for pair in zip(modules, [*modules[1:], None], strict=True)]
