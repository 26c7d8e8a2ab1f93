"""The plain U-Net of nnU-Net (Isensee et al. 2021), tensor for tensor: MONAI's DynUNet with nnU-Net's details."""

from typing import Any

from monai.networks.blocks.dynunet_block import UnetOutBlock, UnetUpBlock
from monai.networks.nets.dynunet import DynUNet
from torch import Tensor, nn

from equireg.config import UNetConfig
from equireg.networks.deep import lower_stages
from equireg.networks.topology import Strides, kernels_of


class UNet(DynUNet):
    """DynUNet whose decoder has the kernel of the resolution that it works at, and heads at lower resolutions.

    With bias in its transposed convolutions it is nnU-Net's PlainConvUNet, but for the biases ahead of an instance
    normalisation, which takes them out again.
    """

    def __init__(self, deep_supervision: bool, **options: Any) -> None:
        super().__init__(**options)
        count = lower_stages(len(self.strides)) if deep_supervision else 0
        self.lower_heads = nn.ModuleList(
            UnetOutBlock(self.spatial_dims, self.filters[stage], self.out_channels) for stage in range(1, count + 1)
        )
        self.lower_heads.apply(self.initialize_weights)

    def get_upsamples(self) -> nn.ModuleList:
        """Return the decoder's stages, coarsest first."""
        return self.get_module_list(
            self.filters[1:][::-1],  # pyright: ignore[reportArgumentType]
            self.filters[:-1][::-1],  # pyright: ignore[reportArgumentType]
            self.kernel_size[:-1][::-1],  # DynUNet has [1:]: the kernel of the stage below
            self.strides[1:][::-1],
            UnetUpBlock,  # pyright: ignore[reportArgumentType]
            self.upsample_kernel_size[::-1],
            trans_bias=self.trans_bias,
        )

    def pyramid(self, image: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return logits [B, K, *S] for an image [B, C, *S], and those of the lower heads, finest first."""
        skips = [self.input_block(image)]
        for stage in self.downsamples:
            skips.append(stage(skips[-1]))
        maps = [self.bottleneck(skips[-1])]
        for stage in self.upsamples:
            maps.append(stage(maps[-1], skips.pop()))
        finest, *lower = reversed(maps)
        return self.output_block(finest), tuple(head(part) for head, part in zip(self.lower_heads, lower, strict=False))


def build_unet(config: UNetConfig, channels: int, classes: int, strides: Strides) -> nn.Module:
    """Build the U-Net: two convolutions a stage, strided, leaky ReLU."""
    axes = len(strides[0])
    # DynUNet takes three stages or more; a small patch gets those at its coarsest resolution.
    strides = strides + [(1,) * axes] * max(3 - len(strides), 0)
    return UNet(
        config.deep_supervision,
        spatial_dims=axes,
        in_channels=channels,
        out_channels=classes,
        kernel_size=kernels_of(config.kernels, strides),
        strides=strides,
        upsample_kernel_size=strides[1:],
        filters=[min(config.features * 2**stage, config.max_features) for stage in range(len(strides))],
        norm_name=(config.norm, {"affine": True}),
        dropout=config.dropout or None,
        trans_bias=config.trans_bias,
    )
