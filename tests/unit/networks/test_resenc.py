"""The residual encoder U-Net: its blocks, its kernels and strides, and where it starts."""

from typing import Any

import pytest
import torch
from torch import Generator, nn

from equireg import networks
from equireg.config import ResEncConfig
from equireg.errors import UsageError
from equireg.networks.resenc import ResEncUNet


def build(patch: tuple[int, ...], **options: Any) -> ResEncUNet:
    torch.manual_seed(0)
    config = ResEncConfig(**{"features": 4, "max_features": 8, **options})
    network = networks.build(config, in_channels=2, out_channels=3, spatial_dims=len(patch), patch_size=patch)
    assert isinstance(network, ResEncUNet)
    return network


def image(*shape: int) -> torch.Tensor:
    return torch.randn(1, 2, *shape, generator=Generator().manual_seed(0))


def test_the_stages_have_the_blocks_of_the_presets():
    network = build((64, 64))
    assert [len(stage) for stage in network.stages] == [1, 3, 4, 6, 6]  # pyright: ignore[reportArgumentType]
    assert [len(stage) for stage in build((64, 64), blocks=(2, 1)).stages] == [2, 1, 1, 1, 1]  # pyright: ignore[reportArgumentType]


def test_a_block_starts_as_its_skip():
    """With the scale of its last normalisation at 0 it returns what its skip does."""
    network = build((16, 16), blocks=(1,)).eval()
    block = network.stages[1][0]  # pyright: ignore[reportIndexIssue]
    maps = torch.randn(2, 4, 16, 16, generator=Generator().manual_seed(1))
    with torch.no_grad():
        skip = nn.functional.leaky_relu(block.widen(nn.functional.avg_pool2d(maps, 2)), 0.01)
        assert torch.equal(block(maps.clone()), skip)
        for convolution in (block.first, block.second):
            nn.init.ones_(convolution.adn.N.weight)
        assert not torch.allclose(block(maps.clone()), skip, atol=1e-2)


def test_strides_and_kernels_are_options():
    strides, kernels = ((1, 1, 1), (1, 2, 2), (2, 2, 2)), ((1, 3, 3), (1, 3, 3), (3, 3, 3))
    network = build((4, 16, 24), strides=strides, kernels=kernels, blocks=(1,)).eval()
    coarsest = []
    network.stages[-1].register_forward_hook(lambda module, inputs, output: coarsest.append(output))
    with torch.no_grad():
        assert network(image(4, 16, 24)).shape == (1, 3, 4, 16, 24)
    assert coarsest[0].shape[2:] == (2, 4, 6)
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv3d)]
    assert {module.kernel_size for module in convolutions} == {(1, 1, 1), (1, 3, 3), (3, 3, 3)}
    assert network.up[0].conv.kernel_size == (1, 3, 3)  # pyright: ignore[reportAttributeAccessIssue]


def test_strides_that_a_patch_does_not_divide_by_are_an_error():
    with pytest.raises(UsageError, match=r"divides axis 0 by 4; expected a side that divides by it, such as 12"):
        build((10, 16), strides=((1, 1), (2, 2), (2, 2)))


def test_no_blocks_are_an_error():
    with pytest.raises(UsageError, match=r"--network\.blocks is \(1, 0\); expected a count of blocks from 1"):
        ResEncConfig(blocks=(1, 0))
