"""The plain U-Net of nnU-Net (Isensee et al. 2021), tensor for tensor.

Weights have the names and the order of MONAI's DynUNet, and a seed draws the same ones: a test compares the two.
Training begins with this network, so it does without importing MONAI, which takes a second.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from equireg.config import UNetConfig
from equireg.networks.deep import lower_stages
from equireg.networks.norms import InstanceNorm2d, InstanceNorm3d
from equireg.networks.stages import EncoderStage
from equireg.networks.topology import Strides, kernels_of

_SLOPE = 0.01
"""Slope of the leaky ReLU below 0."""
_CONVOLUTIONS = {2: nn.Conv2d, 3: nn.Conv3d}
_GROWTHS = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_NORMS = {
    ("instance", 2): InstanceNorm2d,
    ("instance", 3): InstanceNorm3d,
    ("batch", 2): nn.BatchNorm2d,
    ("batch", 3): nn.BatchNorm3d,
}


class _Layer(nn.Sequential):
    """A convolution, and dropout where there is any."""

    def __init__(self, conv: nn.Module, dropout: float) -> None:
        super().__init__()
        self.add_module("conv", conv)
        if dropout:
            self.add_module("dropout", nn.Dropout(dropout))


@dataclass(frozen=True)
class _Layers:
    """Makes the layers that all parts of a network share."""

    axes: int
    config: UNetConfig

    def convolution(self, inputs: int, outputs: int, kernel: Sequence[int], stride: Sequence[int]) -> nn.Module:
        """Return a convolution that keeps an image's sides, but for the stride."""
        padding = tuple((size - step + 1) // 2 for size, step in zip(kernel, stride, strict=True))
        conv = _CONVOLUTIONS[self.axes](inputs, outputs, tuple(kernel), tuple(stride), padding, bias=False)
        return _Layer(conv, self.config.dropout)

    def growth(self, inputs: int, outputs: int, stride: Sequence[int]) -> nn.Module:
        """Return a transposed convolution that undoes a stride."""
        bias = self.config.trans_bias
        conv = _GROWTHS[self.axes](inputs, outputs, tuple(stride), tuple(stride), bias=bias)
        return _Layer(conv, self.config.dropout)

    def norm(self, channels: int) -> nn.Module:
        """Return a normalisation with a scale and a shift for each channel."""
        return _NORMS[self.config.norm, self.axes](channels, affine=True)


class _Block(nn.Module):
    """Two convolutions, each with normalisation and leaky ReLU; the first has the stride."""

    def __init__(self, make: _Layers, inputs: int, outputs: int, kernel: Sequence[int], stride: Sequence[int]) -> None:
        super().__init__()
        self.conv1 = make.convolution(inputs, outputs, kernel, stride)
        self.conv2 = make.convolution(outputs, outputs, kernel, (1,) * make.axes)
        self.lrelu = nn.LeakyReLU(_SLOPE, inplace=True)
        self.norm1 = make.norm(outputs)
        self.norm2 = make.norm(outputs)

    def forward(self, image: Tensor) -> Tensor:
        """Return maps [B, outputs, *S / stride] for maps [B, inputs, *S]."""
        maps = self.lrelu(self.norm1(self.conv1(image)))
        return self.lrelu(self.norm2(self.conv2(maps)))


class _Up(nn.Module):
    """A stage of the decoder: the coarser maps grow, and two convolutions see them beside the encoder's."""

    def __init__(self, make: _Layers, inputs: int, outputs: int, kernel: Sequence[int], stride: Sequence[int]) -> None:
        super().__init__()
        self.transp_conv = make.growth(inputs, outputs, stride)
        self.conv_block = _Block(make, 2 * outputs, outputs, kernel, (1,) * make.axes)

    def forward(self, coarse: Tensor, skip: Tensor) -> Tensor:
        """Return maps [B, outputs, *S] for coarser ones [B, inputs, *S / stride] and the encoder's [B, outputs, *S]."""
        return self.conv_block(torch.cat((self.transp_conv(coarse), skip), dim=1))


class _Head(nn.Module):
    """Turns feature maps into logits."""

    def __init__(self, axes: int, inputs: int, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv = _Layer(_CONVOLUTIONS[axes](inputs, classes, 1), dropout)

    def forward(self, maps: Tensor) -> Tensor:
        """Return logits [B, classes, *S] for maps [B, inputs, *S]."""
        return self.conv(maps)


class _Level(nn.Module):
    """A resolution with all that is coarser. Checkpoints hold the weights under these names too."""

    def __init__(self, down: nn.Module, up: nn.Module, coarser: nn.Module) -> None:
        super().__init__()
        self.downsample = down
        self.next_layer = coarser
        self.upsample = up

    def forward(self, image: Tensor) -> Tensor:
        """Return the decoder's maps at this resolution."""
        skip = self.downsample(image)
        return self.upsample(self.next_layer(skip), skip)


class UNet(nn.Module):
    """Two convolutions a stage, strided; the decoder has the kernel of the resolution that it works at.

    With bias in its transposed convolutions it is nnU-Net's PlainConvUNet, but for the biases ahead of an instance
    normalisation, which takes them out again.
    """

    def __init__(self, config: UNetConfig, channels: int, classes: int, strides: Strides) -> None:
        super().__init__()
        make, kernels = _Layers(len(strides[0]), config), kernels_of(config.kernels, strides)
        widths = [min(config.features * 2**stage, config.max_features) for stage in range(len(strides))]
        inputs, last = [channels, *widths], len(strides) - 1

        def block(stage: int) -> _Block:
            return _Block(make, inputs[stage], widths[stage], kernels[stage], strides[stage])

        self.input_block = block(0)
        self.downsamples = nn.ModuleList(block(stage) for stage in range(1, last))
        self.bottleneck = block(last)
        self.upsamples = nn.ModuleList(
            _Up(make, widths[stage + 1], widths[stage], kernels[stage], strides[stage + 1])
            for stage in range(last - 1, -1, -1)
        )
        self.output_block = _Head(make.axes, widths[0], classes, config.dropout)
        torch.rand(1)  # DynUNet draws a number here: a seed goes on to draw the same weights
        self.apply(_initialise)
        self.skip_layers: nn.Module = self.bottleneck
        for down, up in zip(reversed([self.input_block, *self.downsamples]), self.upsamples, strict=True):
            self.skip_layers = _Level(down, up, self.skip_layers)
        count = lower_stages(len(strides)) if config.deep_supervision else 0
        self.lower_heads = nn.ModuleList(_Head(make.axes, widths[stage], classes) for stage in range(1, count + 1))
        self.lower_heads.apply(_initialise)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits [B, classes, *S] for an image [B, channels, *S]."""
        return self.output_block(self.skip_layers(image))

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

    def encoder_stages(self) -> list[EncoderStage]:
        """Return the encoder's stages, finest first."""
        modules: list[nn.Module] = [self.input_block, *self.downsamples, self.bottleneck]
        return [EncoderStage(*pair) for pair in zip(modules, [*modules[1:], None], strict=True)]


def _initialise(module: nn.Module) -> None:
    """Draw a convolution's weights from torch's seeded generator (He et al. 2015)."""
    if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
        nn.init.kaiming_normal_(module.weight, a=_SLOPE)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def build_unet(config: UNetConfig, channels: int, classes: int, strides: Strides) -> nn.Module:
    """Build the U-Net of three stages or more; a small patch gets those at its coarsest resolution."""
    return UNet(config, channels, classes, strides + [(1,) * len(strides[0])] * max(3 - len(strides), 0))
