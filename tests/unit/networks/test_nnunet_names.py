"""nnU-Net's tensors under our names; its own networks are compared with ours where they are at hand."""

import os
import sys
from typing import Any

import pytest
import torch
from torch import Generator

from equireg import networks
from equireg.config import ResEncConfig, UNetConfig
from equireg.errors import EquiregError
from equireg.networks.nnunet_names import translate
from nnunet_made_up import Plan, state_dict

PLANS = {
    2: Plan(strides=((1, 1), (2, 2), (2, 2)), kernels=((3, 3),) * 3),
    3: Plan(strides=((1, 1, 1), (1, 2, 2), (2, 2, 2), (2, 2, 2)), kernels=((1, 3, 3), (1, 3, 3), (3, 3, 3), (3, 3, 3))),
}
BLOCKS = (1, 3, 2, 1)
over_all = pytest.mark.parametrize(("dims", "residual"), [(2, False), (2, True), (3, False), (3, True)])


def made(dims: int, residual: bool) -> dict[str, torch.Tensor]:
    return state_dict(PLANS[dims], blocks=BLOCKS[: len(PLANS[dims].strides)] if residual else None)


@over_all
def test_the_options_come_from_the_tensors(dims, residual):
    plan, found = PLANS[dims], translate(made(dims, residual))
    stages = len(plan.strides)
    shared: dict[str, Any] = {"features": 4, "max_features": 4 * 2 ** (stages - 1)}
    shared |= {"strides": plan.strides, "kernels": plan.kernels}
    expected = ResEncConfig(**shared, blocks=BLOCKS[:stages]) if residual else UNetConfig(**shared, trans_bias=True)
    assert found.network == expected
    assert (found.spatial_dims, found.channels, found.classes) == (dims, 2, 3)


@over_all
def test_every_weight_of_ours_has_its_tensor(dims, residual):
    theirs = made(dims, residual)
    found = translate(theirs)
    network = networks.build(
        found.network, in_channels=2, out_channels=3, spatial_dims=dims, patch_size=PLANS[dims].patch
    )
    own = dict(network.named_parameters())
    assert own.keys() == found.weights.keys()
    assert all(own[name].shape == value.shape for name, value in found.weights.items())
    # Each tensor is used once, and those that are left are biases ahead of a normalisation and lower heads.
    used = {value.data_ptr() for value in found.weights.values()}
    assert len(used) == len(found.weights)
    left = {name for name, value in theirs.items() if value.data_ptr() not in used}
    lowest = f"decoder.seg_layers.{len(PLANS[dims].strides) - 2}."
    assert all(name.endswith("bias") or "seg_layers" in name for name in left)
    assert not any(name.startswith(lowest) for name in left)


def test_tensors_of_another_network_are_refused():
    with pytest.raises(EquiregError, match=r"its tensors, such as conv\.weight, are not those of nnU-Net's"):
        translate({"conv.weight": torch.zeros(1)})


def test_a_tensor_that_is_missing_is_named():
    theirs = made(2, False)
    del theirs["decoder.transpconvs.1.bias"]
    with pytest.raises(EquiregError, match=r"it lacks the tensor decoder\.transpconvs\.1\.bias"):
        translate(theirs)


@pytest.mark.parametrize(
    "name", ["encoder.stages.1.0.convs.2.conv.weight", "encoder.stages.0.0.convs.0.norm.running_mean", "mask_token"]
)
def test_a_tensor_without_a_place_is_refused(name):
    theirs = made(2, False) | {name: torch.zeros(8)}
    with pytest.raises(EquiregError, match=rf"1 of its tensors have no place in our unet, such as {name}"):
        translate(theirs)


def test_widths_that_do_not_double_are_refused():
    theirs = state_dict(Plan(strides=PLANS[2].strides, kernels=PLANS[2].kernels, widths=(4, 6, 8)))
    with pytest.raises(EquiregError, match=r"its stages have \[4, 6, 8\] channels; expected that each"):
        translate(theirs)


@pytest.mark.slow
@over_all
def test_it_answers_as_nnunets_own_network(dims, residual):
    """Needs dynamic-network-architectures in a folder that EQUIREG_NNUNET names: it is no dependency of ours."""
    folder = os.environ.get("EQUIREG_NNUNET")
    if folder is None:
        pytest.skip("EQUIREG_NNUNET names no folder with dynamic_network_architectures")
    sys.path.insert(0, folder)
    from dynamic_network_architectures.architectures import unet  # pyright: ignore[reportMissingImports]

    plan = PLANS[dims]
    torch.manual_seed(1)
    kind = unet.ResidualEncoderUNet if residual else unet.PlainConvUNet
    theirs = kind(**plan.arguments(BLOCKS[: len(plan.strides)] if residual else None))
    with torch.no_grad():
        for weight in theirs.parameters():
            weight.add_(0.1 * torch.randn(weight.shape))
    assert theirs.state_dict().keys() == made(dims, residual).keys()
    found = translate(theirs.state_dict())
    ours = networks.build(found.network, in_channels=2, out_channels=3, spatial_dims=dims, patch_size=plan.patch)
    ours.load_state_dict(found.weights, strict=False)
    image = torch.randn(2, 2, *plan.patch, generator=Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(ours.eval()(image), theirs.eval()(image), atol=1e-5, rtol=1e-5)
