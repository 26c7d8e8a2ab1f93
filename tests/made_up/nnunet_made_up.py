"""Checkpoints with the names and content of nnU-Net's, made by hand: nnU-Net itself is no dependency."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
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


def write_checkpoint(path: Path, plan: Plan, blocks: Sequence[int] | None = None, **changes: Any) -> Path:
    """Write a checkpoint with the content of nnU-Net's, where ``changes`` replaces parts of it; None leaves one out.

    The parts are those of the file and, from ``init_args``, ``plans``, ``configuration`` and ``dataset_json``.
    """
    dims = len(plan.strides[0])
    architecture = {
        "network_class_name": "dynamic_network_architectures.architectures.unet."
        + ("PlainConvUNet" if blocks is None else "ResidualEncoderUNet"),
        "arch_kwargs": {
            "strides": [list(stride) for stride in plan.strides],
            "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dims}d",
            "nonlin": "torch.nn.LeakyReLU",
        },
    }
    first = {"patch_size": list(plan.patch), "spacing": [2.0, 1.0, 1.0][-dims:], "architecture": architecture}
    made = {
        "plans": {"configurations": {"base": first, "own": {"inherits_from": "base", "batch_size": 2}}},
        "configuration": "own",
        "fold": 0,
        "dataset_json": {"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "rim": 1, "core": 2}},
        "device": torch.device("cpu"),
    }
    made |= {key: changes.pop(key) for key in list(changes) if key in made}
    content = {
        "network_weights": state_dict(plan, blocks),
        "optimizer_state": {"state": {}, "param_groups": [{"lr": 0.01}]},
        "grad_scaler_state": None,
        "logging": {"train_losses": [np.float32(0.5)], "ema_fg_dice": [np.float64(0.7)], "lrs": [0.01]},
        "_best_ema": np.float64(0.7),
        "current_epoch": 3,
        "init_args": {key: value for key, value in made.items() if value is not None},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": (0, 1),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({key: value for key, value in {**content, **changes}.items() if value is not None}, path)
    return path
