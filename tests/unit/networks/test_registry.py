"""Every network that has a name builds in 2D and 3D, and returns logits of the patch's shape."""

from typing import Any

import pytest
import torch

from equireg import networks
from equireg.config import NetworkConfig, ResEncConfig, SegResNetConfig, TrainConfig, UNetConfig
from equireg.config.choosing import options_of
from equireg.config.earlier import in_todays_words
from equireg.config.parsing import from_plain
from equireg.errors import UsageError

PATCHES = {2: (32, 48), 3: (16, 32, 32)}
SIZED = ("unet", "resenc", "segresnet")
"""The networks whose width is a choice."""

PLANNED: dict[str, Any] = {"unet": UNetConfig, "resenc": ResEncConfig}
"""The networks of nnU-Net."""
NAMES = [*((name, 2) for name in networks.NETWORKS), *((name, 3) for name in (*SIZED, "fc-densenet56"))]
"""Every name in 2D; in 3D one FC-DenseNet for all, which are one code and slow to draw weights for."""


def small(name: str, features: int, max_features: int = 320) -> NetworkConfig:
    """Return a network as small as its name allows."""
    if name in PLANNED:
        return PLANNED[name](features=features, max_features=max_features)
    return SegResNetConfig(features=features) if name == "segresnet" else NetworkConfig(name=name)


def shape_of(config: NetworkConfig, patch: tuple[int, ...]) -> torch.Size:
    """Return the shape of the logits; on torch's meta device no weight is drawn and nothing is computed."""
    with torch.device("meta"), torch.no_grad():
        network = networks.build(config, in_channels=1, out_channels=2, spatial_dims=len(patch), patch_size=patch)
        return network.eval()(torch.zeros(1, 1, *patch)).shape


SLOW = (("fc-densenet56", 3), ("fc-densenet103", 2), ("tiramisu", 2))


@pytest.mark.parametrize(
    ("name", "dims"),
    [pytest.param(*one, marks=pytest.mark.slow) if one in SLOW else one for one in NAMES],
)
def test_every_network_maps_a_patch_to_logits(name, dims):
    patch = PATCHES[dims]
    config = small(name, features=4, max_features=16)
    network = networks.build(config, in_channels=3, out_channels=4, spatial_dims=dims, patch_size=patch)
    x = torch.randn(2, 3, *patch, generator=torch.Generator().manual_seed(0))
    logits = network(x)
    assert logits.shape == (2, 4, *patch)
    assert logits.isfinite().all()
    assert (logits < 0).any()
    assert (logits.sum(dim=1) - 1).abs().max() > 1e-3  # logits, not probabilities
    logits.square().mean().backward()
    unused = [key for key, weight in network.named_parameters() if weight.grad is None]
    assert unused == []


@pytest.mark.parametrize(("name", "dims"), NAMES)
def test_the_smallest_patch_has_its_network(name, dims):
    """A patch of 8 voxels is the least that the options allow."""
    assert shape_of(small(name, features=4), (8,) * dims) == (1, 2, *[8] * dims)


@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_norm_is_a_choice(norm):
    config = UNetConfig(features=4, stages=2, norm=norm)
    network = networks.build(config, in_channels=1, out_channels=2, spatial_dims=2)
    kinds = {type(module).__name__ for module in network.modules() if "Norm" in type(module).__name__}
    assert kinds == {"InstanceNorm2d" if norm == "instance" else "BatchNorm2d"}
    assert all(module.weight is not None for module in network.modules() if isinstance(module, torch.nn.InstanceNorm2d))


def test_widths_double_up_to_the_most():
    def widest(most: int) -> int:
        config = UNetConfig(features=4, max_features=most, stages=4)
        network = networks.build(config, in_channels=1, out_channels=2, spatial_dims=2)
        return max(module.out_channels for module in network.modules() if isinstance(module, torch.nn.Conv2d))

    assert widest(320) == 32
    assert widest(12) == 12


def test_dropout_is_a_choice():
    def build(dropout: float) -> torch.nn.Module:
        config = UNetConfig(features=8, stages=2, dropout=dropout)
        return networks.build(config, in_channels=1, out_channels=2, spatial_dims=2)

    x = torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    for dropout, same in ((0.0, True), (0.5, False)):
        network = build(dropout)
        assert torch.equal(network(x), network(x)) == same
        assert torch.equal(network.eval()(x), network(x))


def test_weights_come_from_the_seed():
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        network = networks.build(UNetConfig(features=4, stages=2), in_channels=1, out_channels=2, spatial_dims=2)
        return torch.cat([weight.flatten() for weight in network.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_an_unknown_name_names_the_nearest():
    with pytest.raises(UsageError, match=r"--network.name is segresnett; expected one of .*Did you mean segresnet\?"):
        networks.build("segresnett", in_channels=1, out_channels=2, spatial_dims=2)
    with pytest.raises(UsageError, match="unet, resenc, segresnet"):
        networks.build("zzz", in_channels=1, out_channels=2, spatial_dims=2)


@pytest.mark.parametrize("name", [*SIZED, "fc-densenet56"])
@pytest.mark.parametrize("patch", [(64, 72), (22, 22), (240, 240), (9, 17), (24, 40, 8), (12, 20, 36)])
def test_every_patch_has_its_network(name, patch):
    config = small(name, features=2, max_features=8)
    assert shape_of(config, patch) == (1, 2, *patch)


def test_more_stages_than_a_patch_carries_is_an_error():
    with pytest.raises(UsageError, match=r"--network.stages is 6; a patch of \(32, 24\) voxels carries at most 4"):
        networks.build(UNetConfig(stages=6), in_channels=1, out_channels=2, spatial_dims=2, patch_size=(32, 24))


@pytest.mark.parametrize(
    ("name", "option", "value", "others"),
    [
        *(("fc-densenet56", option, value, "unet") for option, value in (("stages", 4), ("features", 16))),
        ("fc-densenet56", "max_features", 64, "unet"),
        ("fc-densenet56", "norm", "batch", "unet, resenc, segresnet"),
        ("segresnet", "max_features", 320, "unet"),
        *((name, "checkpointing", True, "tiramisu, fc-densenet56") for name in SIZED),
    ],
)
def test_an_option_that_does_nothing_in_a_network_is_an_error(name, option, value, others):
    with pytest.raises(UsageError, match=rf"unknown option 'network.{option}'.* an option of --network {others}"):
        from_plain(TrainConfig, {"network": {"name": name, option: value}})


def test_a_stored_run_of_an_earlier_version_may_list_them():
    stored = {"network": {"name": "segresnet", "features": 8, "max_features": 320, "checkpointing": False}, "seed": 3}
    assert in_todays_words(stored) == {"network": {"name": "segresnet", "features": 8}, "seed": 3}
    config = from_plain(TrainConfig, in_todays_words(stored))
    assert config.network == SegResNetConfig(features=8)
    with pytest.raises(UsageError, match=r"unknown option 'network\.speed'"):
        from_plain(TrainConfig, in_todays_words({"network": {"name": "unet", "speed": 3}}))


def test_options_of_another_network_are_an_error():
    config = UNetConfig(name="segresnet", features=4)
    with pytest.raises(UsageError, match=r"network.name is segresnet, given with options of another .*SegResNetConfig"):
        networks.build(config, in_channels=1, out_channels=2, spatial_dims=2)


def test_no_name_is_lost_that_runs_may_have():
    assert {*SIZED, "tiramisu", "fc-densenet56", "fc-densenet67", "fc-densenet103"} <= set(networks.NETWORKS)


def test_help_and_completion_know_the_options_that_a_network_has():
    assert {name: options_of("network", name) for name in networks.NETWORKS} == {
        name: network.Options for name, network in networks.NETWORKS.items()
    }
