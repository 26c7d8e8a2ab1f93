"""Strides and kernels that follow the spacing, and those that options name."""

import pytest
import torch

from equireg import networks
from equireg.config import TrainConfig, UNetConfig
from equireg.config.parsing import from_plain, to_plain
from equireg.errors import UsageError


@pytest.mark.parametrize(
    ("patch", "stages"),
    [((64, 64), 5), ((40, 56), 4), ((7, 7), 1), ((15, 16), 3), ((16, 16), 3), ((512, 512), 6)],
)
def test_strides_halve_each_axis_while_it_is_even_and_keeps_four_voxels(patch, stages):
    strides = networks.strides_for(patch)
    assert len(strides) == stages
    for axis, side in enumerate(patch):
        halved = 2 ** sum(stride[axis] == 2 for stride in strides)
        assert side % halved == 0
        assert side / halved >= 4 or halved == 1


def test_a_volume_of_few_slices_is_halved_in_their_plane():
    assert networks.strides_for((8, 64, 64)) == [(1, 1, 1), (2, 2, 2), (1, 2, 2), (1, 2, 2), (1, 2, 2)]


def test_strides_are_no_more_than_the_most():
    assert len(networks.strides_for((512, 512))) == 6


@pytest.mark.parametrize(("size", "side"), [(35, 40), (50, 56), (64, 64), (72, 80), (155, 160), (240, 256), (3, 8)])
def test_a_side_is_rounded_up_to_what_can_be_halved(size, side):
    assert networks.round_up_side(size) == side


def test_cubes_are_halved_alike_with_kernels_of_three():
    found = networks.topology_for((32, 32, 32), (1.0, 1.0, 1.0))
    assert found.strides == networks.strides_for((32, 32, 32))
    assert set(found.kernels) == {(3, 3, 3)}


def test_thick_slices_are_halved_in_their_plane_until_spacings_are_alike():
    """1 x 1 x 5 mm: two halvings in the plane make 4 x 4 x 5 mm, which are alike."""
    found = networks.topology_for((16, 128, 128), (5.0, 1.0, 1.0))
    assert found.strides[:4] == [(1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2)]
    assert found.kernels[:4] == [(1, 3, 3), (1, 3, 3), (3, 3, 3), (3, 3, 3)]
    assert len(found.strides) == 6


def test_an_axis_that_is_too_short_does_not_hold_the_others_back():
    found = networks.topology_for((6, 64, 64), (10.0, 1.5, 1.5))
    assert {stride[0] for stride in found.strides} == {1}
    assert found.strides[-1] == (1, 2, 2)


def test_each_topology_builds_and_the_default_is_unchanged():
    found = networks.topology_for((8, 32, 32), (5.0, 1.0, 1.0))
    config = UNetConfig(features=4, strides=tuple(found.strides), kernels=tuple(found.kernels))
    facts = {"in_channels": 2, "out_channels": 3, "spatial_dims": 3, "patch_size": (8, 32, 32)}
    network = networks.build(config, **facts)
    assert network(torch.zeros(1, 2, 8, 32, 32)).shape == (1, 3, 8, 32, 32)
    first = next(module for module in network.modules() if isinstance(module, torch.nn.Conv3d))
    assert first.kernel_size == (1, 3, 3)
    plain = networks.build(UNetConfig(features=4), **facts)
    named = networks.build(UNetConfig(features=4, strides=tuple(networks.strides_for((8, 32, 32)))), **facts)
    assert {n: w.shape for n, w in plain.state_dict().items()} == {n: w.shape for n, w in named.state_dict().items()}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strides": ((1, 1, 1), (2, 2, 2))}, r"strides has the stage \[1, 1, 1\]; expected 2 numbers"),
        ({"strides": ((1, 1), (2, 2), (2, 2), (2, 2))}, r"divides axis 1 by 8; expected a side .* such as 48"),
        ({"kernels": ((3, 3), (3, 3))}, r"kernels has 2 stages; expected 4"),
    ],
)
def test_a_topology_that_does_not_fit_the_patch_is_an_error(options, message):
    with pytest.raises(UsageError, match=message):
        networks.build(
            UNetConfig(features=2, **options), in_channels=1, out_channels=2, spatial_dims=2, patch_size=(32, 44)
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strides": [[2, 2], [2, 2]]}, "expected a first stage of full resolution"),
        ({"strides": [[1, 1], [3, 3]]}, r"network.strides is .*; expected 2 stages or more, each with numbers of"),
        ({"kernels": [[2, 2], [3, 3]]}, r"network.kernels is .*; expected 2 stages or more"),
    ],
)
def test_options_out_of_range_are_an_error(options, message):
    with pytest.raises(UsageError, match=message):
        from_plain(TrainConfig, {"network": options})


def test_they_go_through_yaml():
    network = {"strides": [[1, 1], [2, 2]], "kernels": [[3, 3], [1, 3]]}
    config = from_plain(TrainConfig, {"network": network})
    assert config.network == UNetConfig(strides=((1, 1), (2, 2)), kernels=((3, 3), (1, 3)))
    assert from_plain(TrainConfig, to_plain(config)) == config
