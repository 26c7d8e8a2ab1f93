"""A network that works at a lower resolution: what it sees, what it gives back, and whose weights it takes."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from equireg import networks
from equireg.config import NetworkConfig
from equireg.config.choosing import options_of
from equireg.errors import UsageError
from equireg.networks.coarse import Coarse
from equireg.networks.nnunet_tensors import to_nnunet


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def build(patch: tuple[int, ...], downsample: Any, name: str = "unet", **options: Any) -> nn.Module:
    small = {"features": 4} if name == "unet" else {}
    config = options_of("network", name)(name=name, downsample=downsample, **small, **options)
    torch.manual_seed(0)
    return networks.build(config, in_channels=2, out_channels=3, spatial_dims=len(patch), patch_size=patch)


@pytest.mark.parametrize(("patch", "factors"), [((64, 32), (2, 2)), ((64, 32), (4, 1)), ((8, 16, 32), (1, 2, 2))])
def test_the_network_sees_means_of_blocks_and_its_logits_come_back_at_full_resolution(patch, factors):
    seen = []
    network = build(patch, factors)
    assert isinstance(network, Coarse)
    network.network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    image = noise(2, 2, *patch)
    assert network(image).shape == (2, 3, *patch)
    assert seen[0].shape == (2, 2, *(side // factor for side, factor in zip(patch, factors, strict=True)))
    corner = image[(..., *(slice(factor) for factor in factors))].flatten(2).mean(2)
    assert torch.allclose(seen[0].flatten(2)[..., 0], corner, atol=1e-6)


@pytest.mark.parametrize("axis", [-2, -1])
def test_what_is_mirrored_stays_mirrored(axis):
    network = Coarse(nn.Conv2d(1, 2, 1), (4, 2))
    image = noise(1, 1, 16, 16)
    assert torch.allclose(network(image.flip(axis)), network(image).flip(axis), atol=1e-6)


def test_a_plane_comes_back_as_it_was_but_for_the_border():
    rows = torch.arange(16.0)[:, None].expand(16, 8)
    found = Coarse(nn.Identity(), (4, 4))(rows[None, None])[0, 0]
    assert torch.allclose(found[2:-2], rows[2:-2], atol=1e-5)


def test_its_weights_are_those_of_the_network_at_full_resolution():
    fine, coarse = build((32, 32), None), build((64, 64), (2, 2))
    here, there = networks.bare(fine).state_dict(), networks.bare(coarse).state_dict()
    assert all(torch.equal(here[name], there[name]) for name in here.keys() | there.keys())
    half = torch.nn.functional.avg_pool2d(noise(1, 2, 64, 64), 2)
    wanted = torch.nn.functional.interpolate(fine(half), scale_factor=2, mode="bilinear")
    assert torch.equal(coarse(noise(1, 2, 64, 64)), wanted)


def test_deep_supervision_and_the_encoder_are_those_of_the_network():
    network = build((64, 64), (2, 2), deep_supervision=True)
    logits, lower = networks.pyramid(network, noise(1, 2, 64, 64))
    assert logits.shape == (1, 3, 64, 64)
    assert [part.shape[-1] for part in lower] == [16]
    assert len(networks.encoder_stages(network)) == 4


def test_a_network_of_fixed_shape_works_coarser_too():
    network = build((32, 32), (2, 2), name="fc-densenet56").eval()
    assert network(noise(1, 2, 32, 32)).shape == (1, 3, 32, 32)


@pytest.mark.parametrize(
    ("factors", "words"),
    [((2,), "expected 2 numbers, one an axis"), ((2, 3), "divides axis 1 by 3; expected a side that divides by it")],
)
def test_factors_that_do_not_fit_the_patch_are_refused(factors, words):
    with pytest.raises(UsageError, match=words):
        build((64, 32), factors)


@pytest.mark.parametrize("factors", [(0, 2), (2, 9)])
def test_impossible_factors_are_refused(factors):
    with pytest.raises(UsageError, match=r"network\.downsample"):
        NetworkConfig(downsample=factors)


def test_nnunet_gets_no_such_network():
    with pytest.raises(Exception, match="lower resolution"):
        to_nnunet(build((64, 64), (2, 2)))
