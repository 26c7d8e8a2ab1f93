"""Every network that has a name builds in 2D and 3D, and returns logits of the patch's shape."""

import pytest
import torch

from equireg import networks
from equireg.config import NetworkConfig
from equireg.errors import UsageError

PATCHES = {2: (32, 48), 3: (16, 32, 32)}


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("name", list(networks.NETWORKS))
def test_every_network_maps_a_patch_to_logits(name, dims):
    patch = PATCHES[dims]
    stages = networks.stages_for(patch)
    config = NetworkConfig(name=name, features=4, max_features=16, stages=stages)
    network = networks.build(config, in_channels=3, out_channels=4, spatial_dims=dims)
    x = torch.randn(1, 3, *patch, generator=torch.Generator().manual_seed(0))
    logits = network(x)
    assert logits.shape == (1, 4, *patch)
    assert logits.isfinite().all()
    assert (logits < 0).any()
    assert (logits.sum(dim=1) - 1).abs().max() > 1e-3  # logits, not probabilities
    logits.square().mean().backward()
    unused = [key for key, weight in network.named_parameters() if weight.grad is None]
    assert unused == []


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("name", list(networks.NETWORKS))
def test_the_smallest_patch_has_its_network(name, dims):
    """A patch of 8 voxels is the least that the options allow."""
    config = NetworkConfig(name=name, features=4, stages=networks.stages_for((8,) * dims))
    network = networks.build(config, in_channels=1, out_channels=2, spatial_dims=dims)
    assert network(torch.zeros(2, 1, *[8] * dims)).shape == (2, 2, *[8] * dims)


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_norm_is_a_choice(norm):
    config = NetworkConfig(features=4, stages=2, norm=norm)
    network = networks.build(config, in_channels=1, out_channels=2, spatial_dims=2)
    kinds = {type(module).__name__ for module in network.modules() if "Norm" in type(module).__name__}
    assert kinds == {"InstanceNorm2d" if norm == "instance" else "BatchNorm2d"}
    assert all(module.weight is not None for module in network.modules() if isinstance(module, torch.nn.InstanceNorm2d))


def test_widths_double_up_to_the_most():
    def widest(most: int) -> int:
        config = NetworkConfig(features=4, max_features=most, stages=4)
        network = networks.build(config, in_channels=1, out_channels=2, spatial_dims=2)
        return max(module.out_channels for module in network.modules() if isinstance(module, torch.nn.Conv2d))

    assert widest(320) == 32
    assert widest(12) == 12


def test_dropout_is_a_choice():
    def build(dropout: float) -> torch.nn.Module:
        config = NetworkConfig(features=8, stages=2, dropout=dropout)
        return networks.build(config, in_channels=1, out_channels=2, spatial_dims=2)

    x = torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    for dropout, same in ((0.0, True), (0.5, False)):
        network = build(dropout)
        assert torch.equal(network(x), network(x)) == same
        assert torch.equal(network.eval()(x), network(x))


def test_weights_come_from_the_seed():
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        network = networks.build(NetworkConfig(features=4, stages=2), in_channels=1, out_channels=2, spatial_dims=2)
        return torch.cat([weight.flatten() for weight in network.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_an_unknown_name_names_the_nearest():
    with pytest.raises(UsageError, match=r"--network.name is segresnett; expected one of .*Did you mean segresnet\?"):
        networks.build("segresnett", in_channels=1, out_channels=2, spatial_dims=2)
    with pytest.raises(UsageError, match="unet, segresnet"):
        networks.build("zzz", in_channels=1, out_channels=2, spatial_dims=2)


@pytest.mark.parametrize(
    ("patch", "stages"),
    [((64, 64), 5), ((8, 64, 64), 2), ((32, 48), 4), ((7, 7), 2), ((15, 16), 2), ((16, 16), 3), ((512, 512), 6)],
)
def test_stages_halve_a_patch_to_four_voxels(patch, stages):
    assert networks.stages_for(patch) == stages


def test_stages_are_no_more_than_the_most():
    assert networks.stages_for((512, 512), most=3) == 3


@pytest.mark.parametrize("size", [8, 16, 32, 64, 128])
def test_a_patch_of_a_power_of_two_divides_by_the_divisor(size):
    stages = networks.stages_for((size, size))
    assert size % networks.divisor(stages) == 0
    assert networks.divisor(stages) == 2 ** (stages - 1)
