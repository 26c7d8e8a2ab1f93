"""Instance norms by groups are torch's own, forwards and backwards."""

from typing import Any

import pytest
import torch
from torch import nn

from equireg.networks.norms import InstanceNorm2d, InstanceNorm3d

PAIRS = [(InstanceNorm2d, nn.InstanceNorm2d, (3, 5, 12, 9)), (InstanceNorm3d, nn.InstanceNorm3d, (2, 4, 5, 6, 7))]


def outcome(norm: nn.Module, maps: torch.Tensor) -> list[torch.Tensor]:
    """Return what a norm gives for maps, and the gradients of maps, scale and shift."""
    maps = maps.detach().clone().requires_grad_()
    torch.manual_seed(1)
    weights = list(norm.parameters())
    for weight in weights:
        nn.init.normal_(weight, 1.0, 0.2)
    given = norm(maps)
    loss = (given * torch.linspace(-1, 2, given.numel()).view_as(given)).sum()
    return [given.detach(), *torch.autograd.grad(loss, [maps, *weights])]


def maps_of(shape: tuple[int, ...]) -> torch.Tensor:
    """Return noise in half of an image, far from 0, and one constant in the other, as a scan's background is."""
    maps = torch.randn(shape) * 3 + 40
    maps[:, :, : shape[2] // 2] = 37.7
    return maps


@pytest.mark.parametrize(("ours", "theirs", "shape"), PAIRS)
@pytest.mark.parametrize("channels_last", [False, True])
def test_it_is_torchs_own(ours, theirs, shape, channels_last):
    maps = maps_of(shape)
    kind = {4: torch.channels_last, 5: torch.channels_last_3d}[len(shape)]
    mine = outcome(ours(shape[1], affine=True), maps.to(memory_format=kind) if channels_last else maps)
    wanted = outcome(theirs(shape[1], affine=True).double(), maps.double())
    for got, expected in zip(mine, wanted, strict=True):
        torch.testing.assert_close(got.double(), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("ours", "theirs", "shape"), PAIRS)
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_an_exported_graph_has_the_instance_norm(ours, theirs, shape):
    traced: Any = torch.jit.trace(ours(shape[1], affine=True).eval(), torch.randn(shape))
    graph = str(traced.inlined_graph)
    assert "instance_norm" in graph
    assert "group_norm" not in graph


@pytest.mark.parametrize(("ours", "theirs", "shape"), PAIRS)
def test_one_voxel_is_refused_as_torch_does(ours, theirs, shape):
    with pytest.raises(ValueError, match="more than 1 spatial element"):
        ours(shape[1], affine=True)(torch.randn(2, shape[1], *[1] * (len(shape) - 2)))


@pytest.mark.parametrize(("ours", "theirs", "shape"), PAIRS)
def test_bfloat16_stays(ours, theirs, shape):
    norm = ours(shape[1], affine=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert norm(torch.randn(shape).bfloat16()).dtype == torch.bfloat16
