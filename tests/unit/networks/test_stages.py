"""The stages of each network's encoder, seen by hooks."""

import pytest
import torch
from torch import nn

from equireg import networks
from equireg.config import NetworkConfig
from equireg.config.choosing import options_of
from equireg.errors import UsageError

SIDES = {
    "unet": [16, 8, 4],
    "resenc": [16, 8, 4],
    "segresnet": [16, 8, 4],
    "fc-densenet56": [32, 16, 8, 4, 2, 1],
    "tiramisu": [32, 16, 8, 4, 2, 1],
}


@pytest.mark.parametrize(
    ("name", "dims"), [(name, 2) for name in SIDES] + [("unet", 3), ("resenc", 3), ("segresnet", 3)]
)
def test_the_stages_are_each_resolution_once_and_hand_on_their_maps(name, dims):
    config = options_of("network", name)(name=name, features=4) if len(SIDES[name]) == 3 else NetworkConfig(name=name)
    network = networks.build(config, in_channels=1, out_channels=2, spatial_dims=dims, patch_size=(16,) * dims).eval()
    seen, read = [], []
    stages = networks.encoder_stages(network)
    for stage in stages:
        stage.module.register_forward_hook(lambda module, inputs, output: seen.append(output))
        if stage.next is not None:
            stage.next.register_forward_pre_hook(lambda module, inputs: read.append(inputs[0]))
    with torch.no_grad():
        network(torch.zeros(1, 1, *(SIDES[name][0],) * dims))
    assert [tuple(maps.shape[2:]) for maps in seen] == [(side,) * dims for side in SIDES[name]]
    assert len(read) == len(seen) - 1
    assert all(one is other for one, other in zip(seen[:-1], read, strict=True))
    assert stages[-1].next is None


def test_a_network_of_another_make_is_refused():
    with pytest.raises(UsageError, match=r"Conv2d has its stages is not known\. Choose another --network"):
        networks.encoder_stages(nn.Conv2d(1, 1, 1))


def test_a_network_of_another_package_may_report_its_stages():
    class Own(nn.Sequential):
        def encoder_stages(self):
            return [networks.EncoderStage(self[0], self[1]), networks.EncoderStage(self[1], None)]

    network = Own(nn.Conv2d(1, 1, 1), nn.Conv2d(1, 1, 1))
    assert [stage.module for stage in networks.encoder_stages(network)] == list(network)
