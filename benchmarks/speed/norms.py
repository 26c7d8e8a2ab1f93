"""A U-Net with instance norms computed by groups, beside the same with torch's own: processor time on one thread.

python benchmarks/speed/norms.py --out benchmarks/speed/norms.json [--rounds 9]
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from machine import facts, in_turns, write
from torch import Tensor, nn

from equireg import networks
from equireg.config import UNetConfig
from equireg.networks import unet

SHAPES = {
    "slices of 64 x 64, 8 features": (8, (8, 1, 64, 64)),
    "slices of 128 x 128, 16 features": (16, (8, 1, 128, 128)),
    "slices of 160 x 160 x 4 channels, 32 features": (32, (2, 4, 160, 160)),
    "volumes of 48 x 56 x 40, 16 features": (16, (2, 1, 48, 56, 40)),
}


def built(features: int, shape: tuple[int, ...]) -> nn.Module:
    """Return the U-Net for images of a shape [B, C, *S]."""
    torch.manual_seed(0)
    config = UNetConfig(features=features)
    return networks.build(
        config, in_channels=shape[1], out_channels=4, spatial_dims=len(shape) - 2, patch_size=shape[2:]
    )


def with_torchs_own(features: int, shape: tuple[int, ...]) -> nn.Module:
    """Return the same network with the norms of torch."""
    norms = {("instance", 2): nn.InstanceNorm2d, ("instance", 3): nn.InstanceNorm3d}
    with mock.patch.dict(unet._NORMS, norms):
        return built(features, shape)


def trained(network: nn.Module, image: Tensor) -> Callable[[], None]:
    """Return what computes logits and gradients."""

    def task() -> None:
        network.zero_grad()
        network(image).square().mean().backward()

    return task


def predicted(network: nn.Module, image: Tensor) -> Callable[[], None]:
    """Return what computes logits alone."""

    def task() -> None:
        with torch.inference_mode():
            network(image)

    return task


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=9)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, Any] = {}
    for name, (features, shape) in SHAPES.items():
        image = torch.randn(shape)
        pairs = {"ours": built(features, shape), "torch": with_torchs_own(features, shape)}
        tasks = {f"{what}, {who}": make(net, image) for who, net in pairs.items() for what, make in PASSES.items()}
        seconds = in_turns(tasks, chosen.rounds, clock=time.process_time)
        ratios = {f"{what}, torch over ours": seconds[f"{what}, torch"] / seconds[f"{what}, ours"] for what in PASSES}
        found[name] = {key: round(value, 4) for key, value in (seconds | ratios).items()}
    write(chosen.out, {"seconds": found, **facts()})


PASSES = {"logits and gradients": trained, "logits": predicted}

if __name__ == "__main__":
    main()
