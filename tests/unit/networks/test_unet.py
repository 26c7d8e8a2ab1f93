"""Our U-Net is MONAI's DynUNet, weight for weight, with the same logits but for rounding."""

from typing import Any

import pytest
import torch
from monai.networks.blocks.dynunet_block import UnetUpBlock
from monai.networks.nets.dynunet import DynUNet
from torch import nn

from equireg import networks
from equireg.config import UNetConfig


class Theirs(DynUNet):
    """DynUNet with nnU-Net's kernels on the way up; its own are those of the stage below."""

    def get_upsamples(self) -> nn.ModuleList:
        widths: Any = self.filters
        return self.get_module_list(
            widths[1:][::-1],
            widths[:-1][::-1],
            self.kernel_size[:-1][::-1],
            self.strides[1:][::-1],
            UnetUpBlock,  # pyright: ignore[reportArgumentType]
            self.upsample_kernel_size[::-1],
            trans_bias=self.trans_bias,
        )


def pair(config: UNetConfig, dims: int) -> tuple[nn.Module, nn.Module]:
    """Return our network and theirs, drawn by the same seed, and check that the same number is drawn next."""
    assert config.strides is not None
    torch.manual_seed(3)
    ours = networks.build(config, in_channels=2, out_channels=3, spatial_dims=dims, patch_size=(16,) * dims)
    after = torch.rand(1)
    torch.manual_seed(3)
    theirs = Theirs(
        dims,
        2,
        3,
        kernel_size=config.kernels or [(3,) * dims] * len(config.strides),
        strides=config.strides,
        upsample_kernel_size=config.strides[1:],
        filters=[config.features * 2**stage for stage in range(len(config.strides))],
        dropout=config.dropout or None,
        norm_name=(config.norm, {"affine": True}),
        trans_bias=config.trans_bias,
    )
    assert torch.equal(torch.rand(1), after)
    return ours, theirs


@pytest.mark.parametrize(
    ("dims", "options"),
    [
        (2, {"strides": ((1, 1), (2, 2), (2, 2))}),
        (2, {"strides": ((1, 1), (2, 2), (2, 2), (1, 2)), "norm": "batch", "trans_bias": True, "dropout": 0.3}),
        (3, {"strides": ((1, 1, 1), (1, 2, 2), (2, 2, 2)), "kernels": ((1, 3, 3), (3, 3, 3), (5, 3, 3))}),
    ],
)
def test_weights_and_logits_are_those_of_dynunet(dims: int, options: dict[str, Any]) -> None:
    ours, theirs = pair(UNetConfig(features=4, **options), dims)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert all(map(torch.equal, ours.state_dict().values(), theirs.state_dict().values()))
    image = torch.randn(2, 2, *(16,) * dims, generator=torch.Generator().manual_seed(0))
    found = []
    for network in (ours, theirs):
        torch.manual_seed(0)  # of dropout
        logits = network(image)
        logits.square().mean().backward()
        found.append([logits.detach(), *(weight.grad for weight in network.parameters() if weight.grad is not None)])
    for ours_, theirs_ in zip(*found, strict=True):
        torch.testing.assert_close(ours_, theirs_, rtol=1e-4, atol=1e-5)
    assert len(found[0]) == 1 + len(list(ours.parameters()))
