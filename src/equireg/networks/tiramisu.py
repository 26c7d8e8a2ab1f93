"""FC-DenseNet, "the one hundred layers tiramisu" (Jegou et al. 2017), and the thesis' variant of it."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from equireg.config import FCDenseNetConfig

_FIRST = 48
"""Feature maps of the first convolution."""
_EPSILON, _MOMENTUM = 1e-3, 0.01
"""Batch normalisation as in the thesis: TensorFlow's defaults, whose momentum 0.99 is 0.01 in torch's words."""
_TRUNCATED_SD = math.sqrt(1 - 4 * math.exp(-2) / (math.sqrt(2 * math.pi) * math.erf(math.sqrt(2))))
"""Standard deviation of a standard normal that is cut off at two standard deviations, 0.8796."""

_CONV = {2: nn.Conv2d, 3: nn.Conv3d}
_CONV_TRANSPOSE = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
_NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
_DROPOUT = {2: nn.Dropout2d, 3: nn.Dropout3d}
_POOL = {2: functional.max_pool2d, 3: functional.max_pool3d}


@dataclass(frozen=True)
class Architecture:
    """What distinguishes one FC-DenseNet from another."""

    growth: int
    """Feature maps that each dense layer adds."""
    down: tuple[int, ...]
    """Dense layers of each block on the way down."""
    bottleneck: int
    """Dense layers of the block at the coarsest resolution."""
    up: tuple[int, ...]
    """Dense layers of each block on the way up."""
    whole_stack: bool
    """Whether the last convolution sees the last block's input beside its new feature maps."""


ARCHITECTURES = {
    "tiramisu": Architecture(16, (4, 5, 7, 10, 12), 15, (15, 12, 10, 7, 5), whole_stack=False),
    "fc-densenet56": Architecture(12, (4,) * 5, 4, (4,) * 5, whole_stack=True),
    "fc-densenet67": Architecture(16, (5,) * 5, 5, (5,) * 5, whole_stack=True),
    "fc-densenet103": Architecture(16, (4, 5, 7, 10, 12), 15, (12, 10, 7, 5, 4), whole_stack=True),
}
"""Network name to its architecture: the thesis' variant, and those of table 1 of the paper."""


class FCDenseNet(nn.Module):
    """Dense blocks on a U-shaped path, in 2D or 3D.

    A block's layers each see all feature maps before them. On the way down a block hands on its input with its
    new maps; in the bottleneck and on the way up it hands on the new maps alone, which a transposed
    convolution doubles in size and keeps in number, before the skip joins them.

    The weights are He's: normal, cut off at two standard deviations, with variance 2 / fan-in. Batch
    normalisation is part of the architecture, so ``norm`` is no option of it; its running statistics
    move by 1 % a step and need some hundreds of steps before they can be trusted. Dropout is 0 unless asked
    for, as in the thesis; the paper has 0.2, of single values, where ours drops whole feature maps.

    Each axis is halved once a block whatever the patch, also an axis of few slices in 3D. An image whose sides
    do not divide by that is padded with its edge, since the background's value is not 0 in every data set, and
    the logits are cropped again.
    """

    def __init__(
        self,
        architecture: Architecture,
        config: FCDenseNetConfig,
        in_channels: int,
        out_channels: int,
        spatial_dims: int,
    ) -> None:
        super().__init__()
        self.first = _CONV[spatial_dims](in_channels, _FIRST, 3, padding=1)
        self.down, self.shrink = nn.ModuleList(), nn.ModuleList()
        self.up, self.grow = nn.ModuleList(), nn.ModuleList()
        channels, skips = _FIRST, []
        for layers in architecture.down:
            self.down.append(_DenseBlock(spatial_dims, channels, layers, architecture.growth, config, keeps_input=True))
            channels += layers * architecture.growth
            skips.append(channels)
            self.shrink.append(_TransitionDown(spatial_dims, channels, config))
        self.bottleneck = _DenseBlock(spatial_dims, channels, architecture.bottleneck, architecture.growth, config)
        new = architecture.bottleneck * architecture.growth
        for layers in architecture.up:
            self.grow.append(_CONV_TRANSPOSE[spatial_dims](new, new, 3, stride=2, padding=1, output_padding=1))
            channels = new + skips.pop()
            self.up.append(_DenseBlock(spatial_dims, channels, layers, architecture.growth, config))
            new = layers * architecture.growth
        self.whole_stack = architecture.whole_stack
        self.last = _CONV[spatial_dims](channels + new if self.whole_stack else new, out_channels, 1)
        self.apply(_initialise)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits [B, out_channels, *S] for an image [B, in_channels, *S] of any size."""
        padded, inner = _pad(image, 2 ** len(self.down))
        x, skips = self.first(padded), []
        for block, shrink in zip(self.down, self.shrink, strict=True):
            x = block(x)
            skips.append(x)
            x = shrink(x)
        new = self.bottleneck(x)
        for block, grow in zip(self.up, self.grow, strict=True):
            x = torch.cat([grow(new), skips.pop()], dim=1)
            new = block(x)
        return self.last(torch.cat([x, new], dim=1) if self.whole_stack else new)[inner]


class _Layer(nn.Module):
    """Batch normalisation, ReLU, convolution and dropout, over feature maps that are joined here.

    Joined here, and not before, so that a checkpointed layer keeps no copy of all the maps before it.
    """

    def __init__(self, dims: int, channels: int, filters: int, kernel: int, config: FCDenseNetConfig) -> None:
        super().__init__()
        self.norm = _NORM[dims](channels, eps=_EPSILON, momentum=_MOMENTUM)
        self.convolution = _CONV[dims](channels, filters, kernel, padding=kernel // 2)
        self.dropout = _DROPOUT[dims](config.dropout) if config.dropout else None
        self.checkpointing = config.checkpointing

    def forward(self, *features: Tensor) -> Tensor:
        """Return new feature maps [B, filters, *S] for several [B, *, *S]."""
        if not self.checkpointing or not torch.is_grad_enabled():
            return self._compute(*features)
        return checkpoint(
            self._compute,
            *features,
            use_reentrant=False,
            preserve_rng_state=self.dropout is not None,
            context_fn=lambda: (nullcontext(), _statistics_left_alone(self.norm)),
        )

    def _compute(self, *features: Tensor) -> Tensor:
        x = functional.relu(self.norm(torch.cat(features, dim=1)), inplace=True)
        x = self.convolution(x)
        return x if self.dropout is None else self.dropout(x)


class _DenseBlock(nn.Module):
    """Layers that each see the block's input and all that the layers before them added."""

    def __init__(
        self, dims: int, channels: int, layers: int, growth: int, config: FCDenseNetConfig, keeps_input: bool = False
    ) -> None:
        super().__init__()
        self.keeps_input = keeps_input
        self.layers = nn.ModuleList(
            _Layer(dims, channels + layer * growth, growth, 3, config) for layer in range(layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the new feature maps, [B, layers * growth, *S], for an input [B, C, *S], which may come first."""
        features = [x]
        for layer in self.layers:
            features.append(layer(*features))
        return torch.cat(features if self.keeps_input else features[1:], dim=1)


class _TransitionDown(nn.Module):
    """A 1x1 convolution that keeps the number of feature maps, and max-pooling that halves each axis."""

    def __init__(self, dims: int, channels: int, config: FCDenseNetConfig) -> None:
        super().__init__()
        self.layer = _Layer(dims, channels, channels, 1, config)
        self.pool = _POOL[dims]

    def forward(self, x: Tensor) -> Tensor:
        """Return [B, C, *S / 2] for [B, C, *S]."""
        return self.pool(self.layer(x), 2)


@contextmanager
def _statistics_left_alone(norm: nn.Module) -> Iterator[None]:
    """Compute a batch normalisation again without counting the batch in its running statistics twice.

    The second pass writes into copies: autograd refuses one that saves other tensors than the first did, so that
    the statistics cannot just be turned off.
    """
    kept = dict(norm.named_buffers())
    for name, statistic in kept.items():
        setattr(norm, name, statistic.clone())
    try:
        yield
    finally:
        for name, statistic in kept.items():
            setattr(norm, name, statistic)


def _initialise(module: nn.Module) -> None:
    """Draw a convolution's weights from torch's seeded generator; its bias is 0."""
    if isinstance(module, nn.Conv2d | nn.Conv3d | nn.ConvTranspose2d | nn.ConvTranspose3d):
        fan_in = module.in_channels * math.prod(module.kernel_size)
        sd = math.sqrt(2 / fan_in) / _TRUNCATED_SD
        nn.init.trunc_normal_(module.weight, std=sd, a=-2 * sd, b=2 * sd)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def _pad(image: Tensor, multiple: int) -> tuple[Tensor, tuple[slice, ...]]:
    """Centre an image [B, C, *S] in sides that divide by ``multiple``; return where its logits lie."""
    pads: list[int] = []
    inner = [slice(None), slice(None)]
    for side in image.shape[2:]:
        missing = -side % multiple
        before = missing // 2
        pads = [before, missing - before, *pads]  # torch counts from the last axis
        inner.append(slice(before, before + side))
    return (functional.pad(image, pads, mode="replicate") if any(pads) else image), tuple(inner)


def fc_densenet(
    config: FCDenseNetConfig, channels: int, classes: int, strides: Sequence[tuple[int, ...]]
) -> FCDenseNet:
    """Build the network that ``config.name`` names; of ``strides`` only the number of axes matters."""
    return FCDenseNet(ARCHITECTURES[config.name], config, channels, classes, len(strides[0]))
