"""Checkpoints with the names and content of nnU-Net's, made by hand: nnU-Net itself is no dependency."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor, nn


@dataclass(frozen=True)
class Plan:
    """One configuration of nnU-Net's plans."""

    strides: tuple[tuple[int, ...], ...]
    kernels: tuple[tuple[int, ...], ...]
    widths: tuple[int, ...] | None = None
    channels: int = 2
    classes: int = 3

    @property
    def features(self) -> tuple[int, ...]:
        return self.widths or tuple(4 * 2**stage for stage in range(len(self.strides)))

    @property
    def patch(self) -> tuple[int, ...]:
        axes = range(len(self.strides[0]))
        return tuple(2 * math.prod(stride[axis] for stride in self.strides) for axis in axes)

    def arguments(self, blocks: Sequence[int] | None = None) -> dict[str, Any]:
        """What dynamic_network_architectures' classes take."""
        dims = len(self.strides[0])
        depth = {"n_conv_per_stage": 2, "n_conv_per_stage_decoder": 2}
        if blocks is not None:
            depth = {"n_blocks_per_stage": list(blocks), "n_conv_per_stage_decoder": 1}
        return {
            "input_channels": self.channels,
            "num_classes": self.classes,
            "n_stages": len(self.strides),
            "features_per_stage": list(self.features),
            "conv_op": {2: nn.Conv2d, 3: nn.Conv3d}[dims],
            "kernel_sizes": [list(kernel) for kernel in self.kernels],
            "strides": [list(stride) for stride in self.strides],
            "conv_bias": True,
            "norm_op": {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}[dims],
            "norm_op_kwargs": {"eps": 1e-5, "affine": True},
            "nonlin": nn.LeakyReLU,
            "nonlin_kwargs": {"inplace": True},
            **depth,
        }


def state_dict(plan: Plan, blocks: Sequence[int] | None = None) -> dict[str, Tensor]:
    """Return random tensors with the names and shapes of a PlainConvUNet or, with blocks, a ResidualEncoderUNet."""
    generator = Generator().manual_seed(0)
    found: dict[str, Tensor] = {}
    for name, shape in _shapes(plan, blocks):
        value = 0.1 * torch.randn(shape, generator=generator)
        found[name] = value
        layer, part = name.rsplit(".", 1)
        inner = {"conv": "0", "norm": "1"}.get(layer.rsplit(".", 1)[-1])
        if inner is not None:  # nnU-Net registers each layer twice
            found[f"{layer.rsplit('.', 1)[0]}.all_modules.{inner}.{part}"] = value
    again = {f"decoder.{name}": value for name, value in found.items() if name.startswith("encoder.")}
    return found | again


def _shapes(plan: Plan, blocks: Sequence[int] | None) -> Iterator[tuple[str, tuple[int, ...]]]:
    widths, before = plan.features, plan.channels
    if blocks is not None:
        yield from _layer("encoder.stem.convs.0", before, widths[0], plan.kernels[0])
        before = widths[0]
    for stage, (width, kernel, stride) in enumerate(zip(widths, plan.kernels, plan.strides, strict=True)):
        for index in range(2 if blocks is None else blocks[stage]):
            if blocks is None:
                yield from _layer(f"encoder.stages.{stage}.0.convs.{index}", before, width, kernel)
            else:
                name = f"encoder.stages.{stage}.blocks.{index}"
                yield from _layer(f"{name}.conv1", before, width, kernel)
                yield from _layer(f"{name}.conv2", width, width, kernel)
                if before != width:
                    place = int(max(stride) > 1)
                    skip = _layer(f"{name}.skip.{place}", before, width, (1,) * len(kernel))
                    yield from (pair for pair in skip if not pair[0].endswith("conv.bias"))
            before = width
    for index, stage in enumerate(range(len(widths) - 2, -1, -1)):
        for part in range(2 if blocks is None else 1):
            wide = 2 * widths[stage] if part == 0 else widths[stage]
            yield from _layer(f"decoder.stages.{index}.convs.{part}", wide, widths[stage], plan.kernels[stage])
        yield f"decoder.transpconvs.{index}.weight", (widths[stage + 1], widths[stage], *plan.strides[stage + 1])
        yield f"decoder.transpconvs.{index}.bias", (widths[stage],)
        yield f"decoder.seg_layers.{index}.weight", (plan.classes, widths[stage], *[1] * len(plan.strides[0]))
        yield f"decoder.seg_layers.{index}.bias", (plan.classes,)


def _layer(name: str, inputs: int, outputs: int, kernel: Sequence[int]) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield f"{name}.conv.weight", (outputs, inputs, *kernel)
    yield f"{name}.conv.bias", (outputs,)
    yield f"{name}.norm.weight", (outputs,)
    yield f"{name}.norm.bias", (outputs,)
