"""The names that nnU-Net gives to the tensors of its networks, and the same tensors of ours.

nnU-Net's PlainConvUNet is our ``unet`` with ``trans_bias``, its ResidualEncoderUNet our ``resenc``. Every convolution
that an instance normalisation follows has a bias there and none here: the normalisation takes it out again.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from equireg.config import NetworkConfig, ResEncConfig, UNetConfig
from equireg.errors import EquiregError

_AGAIN = re.compile(r"^decoder\.encoder\.|\.all_modules\.")
"""Tensors that stand in nnU-Net's file a second time, under another name."""
_IDLE = re.compile(r"(\.convs\.\d+|\.conv[12])\.conv\.bias$|^decoder\.seg_layers\.\d+\.(weight|bias)$")
"""Tensors that may be left over: biases ahead of a normalisation, and heads of lower resolutions."""


@dataclass(frozen=True)
class Found:
    """A network of nnU-Net's under our names."""

    network: NetworkConfig
    """options that build it here"""
    spatial_dims: int
    channels: int
    classes: int
    weights: Mapping[str, Tensor]
    """our names to the tensors"""


def translate(theirs: Mapping[str, Tensor]) -> Found:
    """Read nnU-Net's tensors as a network of ours; its shape comes from the shapes of the tensors.

    Raises:
        EquiregError: if they are of no network that we have; a sentence without the file's name.
    """
    weights = {name: value for name, value in theirs.items() if not _AGAIN.search(name)}
    residual = any(name.startswith("encoder.stages.0.blocks.") for name in weights)
    if not residual and "encoder.stages.0.0.convs.0.conv.weight" not in weights:
        raise EquiregError(
            f"its tensors, such as {next(iter(weights), 'none')}, are not those of nnU-Net's PlainConvUNet or "
            "ResidualEncoderUNet; expected a checkpoint of one of these two"
        )
    shape = _Shape(weights, residual)
    names = dict(shape.names())
    lacking = next((name for name in names.values() if name not in weights), None)
    if lacking is not None:
        raise EquiregError(f"it lacks the tensor {lacking}; expected a whole checkpoint of nnU-Net")
    extra = [name for name in weights if name not in set(names.values()) and not _IDLE.search(name)]
    if extra:
        raise EquiregError(
            f"{len(extra)} of its tensors have no place in our {shape.name}, such as {extra[0]}; expected the network "
            f"of nnU-Net's own plans, with instance normalisation and {'one' if residual else 'two'} convolutions a "
            "stage of the decoder"
        )
    head = weights[f"decoder.seg_layers.{shape.stages - 2}.weight"]
    return Found(
        network=shape.options(),
        spatial_dims=head.ndim - 2,
        channels=weights[shape.first].shape[1],
        classes=head.shape[0],
        weights={ours: weights[name] for ours, name in names.items()},
    )


def pairs_of(ours: Mapping[str, Tensor], residual: bool) -> Iterator[tuple[str, str]]:
    """Yield our name and nnU-Net's of every tensor of a network of ours.

    Args:
        ours: the network's tensors.
        residual: whether it is a ``resenc`` and not a ``unet``.
    """
    grown = "grow" if residual else "upsamples"
    stages = 1 + len({name.split(".")[1] for name in ours if name.startswith(f"{grown}.")})
    if not residual:
        yield from _Names(stages, (), lambda *_: None).pairs()
        return
    found = {tuple(map(int, name.split(".")[1:3])) for name in ours if name.startswith("stages.")}
    strides = [ours[f"grow.{stages - 1 - stage}.weight"].shape[2:] for stage in range(1, stages)]
    blocks = tuple(sum(stage == own for own, _ in found) for stage in range(stages))

    def skip(stage: int, block: int) -> int | None:
        if f"stages.{stage}.{block}.widen.conv.weight" not in ours:
            return None
        return int(stage > 0 and block == 0 and max(strides[stage - 1]) > 1)

    yield from _Names(stages, blocks, skip).pairs()


class _Shape:
    """What the tensors of one network of nnU-Net's say of its shape."""

    def __init__(self, weights: Mapping[str, Tensor], residual: bool) -> None:
        self.weights, self.residual = weights, residual
        self.name = "resenc" if residual else "unet"
        self.stages = self._count(r"encoder\.stages\.(\d+)\.")
        self.first = "encoder.stem.convs.0.conv.weight" if residual else "encoder.stages.0.0.convs.0.conv.weight"
        if self.stages < 3:
            raise EquiregError(f"its network has {self.stages} stages; expected 3 or more")

    def options(self) -> NetworkConfig:
        """Return the options that build the network here."""
        inner = "blocks.0.conv1.conv.weight" if self.residual else "0.convs.0.conv.weight"
        firsts = [self._get(f"encoder.stages.{stage}.{inner}") for stage in range(self.stages)]
        widths = [first.shape[0] for first in firsts]
        if widths != [min(widths[0] * 2**stage, max(widths)) for stage in range(self.stages)]:
            raise EquiregError(
                f"its stages have {widths} channels; expected that each further stage doubles them, up to a greatest"
            )
        ups = [self._get(f"decoder.transpconvs.{self.stages - 1 - stage}.weight") for stage in range(1, self.stages)]
        shared = {
            "features": widths[0],
            "max_features": max(widths),
            "strides": ((1,) * (firsts[0].ndim - 2), *(tuple(up.shape[2:]) for up in ups)),
            "kernels": tuple(tuple(first.shape[2:]) for first in firsts),
        }
        if not self.residual:
            return UNetConfig(**shared, trans_bias=True)
        return ResEncConfig(**shared, blocks=tuple(self._blocks(stage) for stage in range(self.stages)))

    def names(self) -> Iterator[tuple[str, str]]:
        """Yield our name and nnU-Net's of every tensor that acts."""
        blocks = tuple(self._blocks(stage) for stage in range(self.stages)) if self.residual else ()
        return _Names(self.stages, blocks, self._skip).pairs()

    def _skip(self, stage: int, block: int) -> int | None:
        name = f"encoder.stages.{stage}.blocks.{block}.skip"
        return next((place for place in (0, 1) if f"{name}.{place}.conv.weight" in self.weights), None)

    def _blocks(self, stage: int) -> int:
        return self._count(rf"encoder\.stages\.{stage}\.blocks\.(\d+)\.")

    def _count(self, pattern: str) -> int:
        """Return how many numbers, from 0 on, names have where a pattern has its group."""
        found = {int(match[1]) for name in self.weights if (match := re.match(pattern, name))}
        return max(found, default=-1) + 1

    def _get(self, name: str) -> Tensor:
        if name not in self.weights:
            raise EquiregError(f"it lacks the tensor {name}; expected a whole checkpoint of nnU-Net")
        return self.weights[name]


@dataclass(frozen=True)
class _Names:
    """The names of all tensors that act in a network of some shape, ours and nnU-Net's."""

    stages: int
    blocks: tuple[int, ...]
    """residual blocks of each stage; none in a plain network"""
    skip: Callable[[int, int], int | None]
    """for a stage and one of its blocks, the index of the convolution in its skip: 1 behind a pooling, else 0; None
    where the skip has none"""

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Yield our name and nnU-Net's of every tensor."""
        yield from self._residual_encoder() if self.blocks else self._plain_encoder()
        for stage in range(self.stages - 1):
            ours, theirs = f"upsamples.{stage}", f"decoder.stages.{stage}"
            for part in ("weight", "bias"):
                grow = f"grow.{stage}.{part}" if self.blocks else f"{ours}.transp_conv.conv.{part}"
                yield grow, f"decoder.transpconvs.{stage}.{part}"
            if self.blocks:
                yield from _layer(f"up.{stage}.conv", f"up.{stage}.adn.N", f"{theirs}.convs.0")
            else:
                for index in (1, 2):
                    block = f"{ours}.conv_block"
                    yield from _layer(
                        f"{block}.conv{index}.conv", f"{block}.norm{index}", f"{theirs}.convs.{index - 1}"
                    )
        head = "head" if self.blocks else "output_block.conv.conv"
        for part in ("weight", "bias"):
            yield f"{head}.{part}", f"decoder.seg_layers.{self.stages - 2}.{part}"

    def _plain_encoder(self) -> Iterator[tuple[str, str]]:
        blocks = ["input_block", *(f"downsamples.{stage}" for stage in range(self.stages - 2)), "bottleneck"]
        for stage, block in enumerate(blocks):
            for index in (1, 2):
                theirs = f"encoder.stages.{stage}.0.convs.{index - 1}"
                yield from _layer(f"{block}.conv{index}.conv", f"{block}.norm{index}", theirs)

    def _residual_encoder(self) -> Iterator[tuple[str, str]]:
        yield from _layer("stem.conv", "stem.adn.N", "encoder.stem.convs.0")
        for stage, count in enumerate(self.blocks):
            for block in range(count):
                ours, theirs = f"stages.{stage}.{block}", f"encoder.stages.{stage}.blocks.{block}"
                yield from _layer(f"{ours}.first.conv", f"{ours}.first.adn.N", f"{theirs}.conv1")
                yield from _layer(f"{ours}.second.conv", f"{ours}.second.adn.N", f"{theirs}.conv2")
                place = self.skip(stage, block)
                if place is not None:
                    yield from _layer(f"{ours}.widen.conv", f"{ours}.widen.adn.N", f"{theirs}.skip.{place}")


def _layer(convolution: str, norm: str, theirs: str) -> Iterator[tuple[str, str]]:
    """Yield the names of a convolution and of the normalisation after it."""
    yield f"{convolution}.weight", f"{theirs}.conv.weight"
    for part in ("weight", "bias"):
        yield f"{norm}.{part}", f"{theirs}.norm.{part}"
