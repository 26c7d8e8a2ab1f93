"""The head of a network: its rows by class, and its first answer."""

import pytest
import torch

from equireg.model import config_from
from equireg.networks import build
from equireg.networks.heads import (
    add_to_foreground,
    answer_first,
    class_axes,
    first_guess,
    takes_foreground_bias,
    tensors_of,
)

NAMES = ["unet", "resenc", "segresnet", "tiramisu"]


def network_config(name: str, **options):
    return config_from({"network": {"name": name, **options}}).network


def built(config, dims: int = 2, classes: int = 3):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build(config, in_channels=2, out_channels=classes, spatial_dims=dims, patch_size=(16,) * dims)


def mean_answer(network, dims: int = 2) -> torch.Tensor:
    """Return the mean probabilities over noise, [K]."""
    image = torch.randn(4, 2, *(16,) * dims, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return network.eval()(image).softmax(dim=1).mean(dim=(0, *range(2, 2 + dims)))


def test_shares_are_those_of_the_voxels():
    assert torch.allclose(first_guess([900, 60, 40]), torch.tensor([0.9, 0.06, 0.04]))


def test_rare_and_absent_classes_have_a_hundredth():
    shares = first_guess([1_000_000, 3, 0])
    assert float(shares.sum()) == pytest.approx(1)
    assert torch.allclose(shares[1:], torch.tensor([0.01, 0.01]) / 1.02)


def test_many_rare_classes_have_a_tenth_together():
    shares = first_guess([1_000_000, *[1] * 100])
    assert float(shares[1:].sum()) == pytest.approx(0.1 / 1.1, rel=1e-3)


def test_no_voxels_at_all_give_equal_shares():
    assert torch.allclose(first_guess([0, 0]), torch.tensor([0.5, 0.5]))


@pytest.mark.parametrize("name", NAMES)
def test_class_axes_are_those_of_the_last_layer(name):
    config = network_config(name)
    network = built(config)
    axes = class_axes(network, config, 2, 3, (16, 16))
    own = tensors_of(network)
    assert axes
    assert all(own[tensor].shape[axis] == 3 for tensor, axis in axes.items())


@pytest.mark.parametrize("name", ["unet", "resenc", "segresnet"])
@pytest.mark.parametrize("dims", [2, 3])
def test_a_new_network_answers_the_shares(name, dims):
    config = network_config(name)
    network = built(config, dims)
    wanted = torch.tensor([0.9, 0.07, 0.03])
    answer_first(network, class_axes(network, config, 2, 3, (16,) * dims), wanted)
    found = mean_answer(network, dims)
    # Logits still vary from voxel to voxel, about those of the shares.
    assert found[0] > 0.75
    assert (found[1:] < 0.2).all()


@pytest.mark.parametrize("name", NAMES)
def test_weights_of_a_class_sum_to_nothing(name):
    config = network_config(name)
    network = built(config)
    wanted = torch.tensor([0.9, 0.07, 0.03])
    axes = class_axes(network, config, 2, 3, (16, 16))
    answer_first(network, axes, wanted)
    own = tensors_of(network)
    for tensor, axis in axes.items():
        found = own[tensor].movedim(axis, 0).reshape(3, -1)
        if tensor.endswith("bias"):
            assert torch.allclose(found[:, 0].softmax(dim=0), wanted)
        else:
            assert torch.allclose(found.sum(dim=1), torch.zeros(3), atol=1e-5)
            assert found.std(dim=1).min() > 0.01


def test_lower_heads_answer_them_too():
    config = network_config("unet", deep_supervision=True)
    network = built(config)
    wanted = torch.tensor([0.9, 0.07, 0.03])
    answer_first(network, class_axes(network, config, 2, 3, (16, 16)), wanted)
    biases = [value for name, value in tensors_of(network).items() if "lower_heads" in name and name.endswith("bias")]
    assert biases
    assert all(torch.allclose(bias.softmax(dim=0), wanted) for bias in biases)


def test_a_network_at_a_lower_resolution_answers_them():
    config = network_config("unet", downsample=(2, 2))
    network = built(config)
    answer_first(network, class_axes(network, config, 2, 3, (16, 16)), torch.tensor([0.9, 0.07, 0.03]))
    assert mean_answer(network)[0] > 0.75


def test_all_but_the_head_stays_as_drawn():
    config = network_config("unet")
    before, network = built(config).state_dict(), built(config)
    axes = class_axes(network, config, 2, 3, (16, 16))
    answer_first(network, axes, torch.tensor([0.9, 0.07, 0.03]))
    after = network.state_dict()
    assert {name for name in before if not torch.equal(before[name], after[name])} == set(axes)


@pytest.mark.parametrize("downsample", [None, (2, 2)])
@pytest.mark.parametrize("name", NAMES)
def test_a_bias_of_the_foreground_is_added_to_its_logits(name: str, downsample):
    config = network_config(name, **({} if downsample is None else {"downsample": downsample}))
    network = built(config).eval()
    image = torch.randn(2, 2, 16, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        before = network(image)
        axes = class_axes(network, config, 2, 3, (16, 16))
        assert takes_foreground_bias(axes)
        add_to_foreground(network, axes, 1.5)
        moved = network(image) - before
    assert torch.allclose(moved, torch.tensor([0.0, 1.5, 1.5]).view(1, 3, 1, 1).expand_as(moved), atol=1e-5)


@pytest.mark.parametrize("axes", [{}, {"head.weight": 0}, {"weight": 0}, {"a.weight": 0, "a.bias": 0, "b.weight": 0}])
def test_heads_without_a_bias_take_none(axes: dict[str, int]) -> None:
    assert not takes_foreground_bias(axes)
