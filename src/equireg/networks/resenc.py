"""The residual encoder U-Net of nnU-Net (Isensee et al. 2024), tensor for tensor."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from monai.networks.blocks.convolutions import Convolution
from monai.networks.layers.factories import Conv, Pool
from torch import Tensor, nn

from equireg.config import ResEncConfig
from equireg.networks.deep import lower_stages
from equireg.networks.stages import EncoderStage
from equireg.networks.topology import Strides, kernels_of

BLOCKS = (1, 3, 4, 6, 6, 6)
"""Residual blocks of each stage in nnU-Net's presets; further stages have as many as the last."""
_SLOPE = 0.01
"""Slope of the leaky ReLU below 0."""


@dataclass(frozen=True)
class _Layers:
    """Makes the layers that all parts of a network share."""

    axes: int
    config: ResEncConfig

    def convolution(
        self,
        inputs: int,
        outputs: int,
        kernel: Sequence[int],
        stride: Sequence[int] | int = 1,
        *,
        activated: bool = True,
    ) -> nn.Module:
        """Return a convolution with normalisation and, where it is activated, dropout and leaky ReLU."""
        return Convolution(
            self.axes,
            inputs,
            outputs,
            strides=stride,
            kernel_size=kernel,
            adn_ordering="DNA",
            act=("leakyrelu", {"negative_slope": _SLOPE, "inplace": True}) if activated else None,
            norm=(self.config.norm, {"affine": True}),
            dropout=(self.config.dropout or None) if activated else None,
            bias=False,  # a normalisation follows, which takes it out again
        )

    def head(self, inputs: int, classes: int) -> nn.Module:
        """Return what turns feature maps into logits."""
        return Conv["conv", self.axes](inputs, classes, 1)

    def growth(self, inputs: int, outputs: int, stride: Sequence[int]) -> nn.Module:
        """Return a transposed convolution that undoes a stride."""
        return Conv["convtrans", self.axes](inputs, outputs, tuple(stride), tuple(stride))

    def pooling(self, stride: Sequence[int]) -> nn.Module:
        """Return the mean over a stride's voxels, or nothing where there is no stride."""
        return nn.Identity() if max(stride) == 1 else Pool["avg", self.axes](tuple(stride), tuple(stride))


class _ResidualBlock(nn.Module):
    """Two convolutions beside a skip that is averaged over a stride and then widened (ResNet-D, He et al. 2019)."""

    def __init__(self, make: _Layers, inputs: int, outputs: int, kernel: Sequence[int], stride: Sequence[int]) -> None:
        super().__init__()
        self.first = make.convolution(inputs, outputs, kernel, stride)
        self.second = make.convolution(outputs, outputs, kernel, activated=False)
        self.pool = make.pooling(stride)
        one = (1,) * make.axes
        self.widen = nn.Identity() if inputs == outputs else make.convolution(inputs, outputs, one, activated=False)
        self.activation = nn.LeakyReLU(_SLOPE, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return maps [B, outputs, *S / stride] for maps [B, inputs, *S]."""
        return self.activation(self.second(self.first(x)) + self.widen(self.pool(x)))


class ResEncUNet(nn.Module):
    """A U-Net with residual blocks on the way down and one convolution a stage on the way up.

    The image's sides divide by the product of the strides. Convolutions have no bias where a normalisation follows.
    Each residual block begins as its skip: the scale of its last normalisation starts at 0, as in nnU-Net.
    """

    def __init__(self, config: ResEncConfig, channels: int, classes: int, strides: Strides) -> None:
        super().__init__()
        make = _Layers(len(strides[0]), config)
        kernels = kernels_of(config.kernels, strides)
        widths = [min(config.features * 2**stage, config.max_features) for stage in range(len(strides))]
        self.stem = make.convolution(channels, widths[0], kernels[0])
        self.stages, before = nn.ModuleList(), widths[0]
        for stage, width in enumerate(widths):
            count = blocks_of(config, stage)
            first = _ResidualBlock(make, before, width, kernels[stage], strides[stage])
            flat = (1,) * make.axes
            rest = (_ResidualBlock(make, width, width, kernels[stage], flat) for _ in range(count - 1))
            self.stages.append(nn.Sequential(first, *rest))
            before = width
        down = range(len(widths) - 2, -1, -1)  # the decoder's resolutions, coarsest first
        self.grow = nn.ModuleList(make.growth(widths[i + 1], widths[i], strides[i + 1]) for i in down)
        self.up = nn.ModuleList(make.convolution(2 * widths[i], widths[i], kernels[i]) for i in down)
        self.head = make.head(widths[0], classes)
        count = lower_stages(len(widths)) if config.deep_supervision else 0
        self.lower_heads = nn.ModuleList(make.head(widths[stage], classes) for stage in range(1, count + 1))
        self.apply(_initialise)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits [B, classes, *S] for an image [B, channels, *S]."""
        return self.head(self._maps(image)[-1])

    def pyramid(self, image: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return logits [B, K, *S] for an image [B, C, *S], and those of the lower heads, finest first."""
        finest, *lower = reversed(self._maps(image))
        return self.head(finest), tuple(head(part) for head, part in zip(self.lower_heads, lower, strict=False))

    def encoder_stages(self) -> list[EncoderStage]:
        """Return the encoder's stages, finest first."""
        return [EncoderStage(*pair) for pair in zip(self.stages, [*self.stages[1:], None], strict=True)]

    def _maps(self, image: Tensor) -> list[Tensor]:
        """Return the feature maps on the way up, from the coarsest stage to full resolution."""
        skips, x = [], self.stem(image)
        for stage in self.stages:
            x = stage(x)
            skips.append(x)
        maps = [skips.pop()]
        for grow, merge in zip(self.grow, self.up, strict=True):
            maps.append(merge(torch.cat([grow(maps[-1]), skips.pop()], dim=1)))
        return maps


def blocks_of(config: ResEncConfig, stage: int) -> int:
    """Return the residual blocks of a stage."""
    blocks = config.blocks or BLOCKS
    return blocks[min(stage, len(blocks) - 1)]


def _initialise(module: nn.Module) -> None:
    """Draw a convolution's weights from torch's seeded generator (He et al. 2015); a block starts as its skip."""
    if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
        nn.init.kaiming_normal_(module.weight, a=_SLOPE)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, _ResidualBlock):
        norm: Any = cast(Any, module.second).adn.N
        nn.init.zeros_(norm.weight)
