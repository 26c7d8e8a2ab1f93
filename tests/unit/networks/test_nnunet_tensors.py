"""Our networks under nnU-Net's names: the tensors of its own files, and back."""

import pytest
import torch

from equireg.config import NetworkConfig, ResEncConfig, SegResNetConfig, UNetConfig
from equireg.errors import EquiregError
from equireg.networks import build
from equireg.networks.nnunet_names import translate
from equireg.networks.nnunet_tensors import to_nnunet
from nnunet_made_up import Plan, state_dict

FLAT = ((1, 1, 1), (1, 2, 2), (2, 2, 2))
KERNELS = ((1, 3, 3), (3, 3, 3), (3, 3, 3))


@pytest.mark.parametrize(
    ("config", "patch", "plan", "blocks"),
    [
        (UNetConfig(features=4, stages=3), (16, 16), Plan(((1, 1), (2, 2), (2, 2)), ((3, 3),) * 3), None),
        (
            UNetConfig(features=4, strides=FLAT, kernels=KERNELS, trans_bias=True, deep_supervision=True),
            (4, 16, 16),
            Plan(FLAT, KERNELS),
            None,
        ),
        (
            ResEncConfig(features=4, strides=FLAT, kernels=KERNELS, blocks=(1, 2, 1)),
            (4, 16, 16),
            Plan(FLAT, KERNELS),
            (1, 2, 1),
        ),
    ],
)
def test_a_network_of_ours_has_all_tensors_of_nnunets_file(
    config: NetworkConfig, patch: tuple[int, ...], plan: Plan, blocks: tuple[int, ...] | None
) -> None:
    torch.manual_seed(0)
    network = build(config, in_channels=2, out_channels=3, spatial_dims=len(patch), patch_size=patch)
    tensors, found = to_nnunet(network)
    expected = state_dict(plan, blocks)
    assert {name: value.shape for name, value in tensors.items()} == {name: v.shape for name, v in expected.items()}
    ours = network.state_dict()
    assert all(torch.equal(value, ours[name]) for name, value in translate(tensors).weights.items() if name in ours)
    again = build(found.network, in_channels=2, out_channels=3, spatial_dims=len(patch), patch_size=patch)
    again.load_state_dict({**again.state_dict(), **translate(tensors).weights})
    image = torch.randn(1, 2, *patch)
    with torch.no_grad():
        torch.testing.assert_close(again(image), network(image))


@pytest.mark.parametrize(
    ("config", "word"), [(SegResNetConfig(features=4), "SegResNet"), (UNetConfig(features=4, norm="batch"), "batch")]
)
def test_other_networks_are_refused(config: NetworkConfig, word: str) -> None:
    with pytest.raises(EquiregError, match=word):
        to_nnunet(build(config, in_channels=1, out_channels=2, spatial_dims=2, patch_size=(16, 16)))
