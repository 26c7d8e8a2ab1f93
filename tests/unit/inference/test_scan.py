"""Prediction of whole scans: slices, windows, padding, and the mean over transformed scans."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from equireg.inference import InferencePlan, middle_window, predict_scan
from equireg.inference import plan as plans

SPACING = (3.0, 1.5, 1.0)
BACKGROUND = (2.5, -1.0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def scan(*shape: int) -> Tensor:
    return torch.randn(2, *shape, generator=seeded())


def smooth_scan(*shape: int) -> Tensor:
    axes = [torch.sin(torch.arange(size) / 6.0) for size in shape]
    return torch.stack([sum(torch.meshgrid(*axes, indexing="ij"), torch.zeros(shape)), -torch.ones(shape)])


def convolution(dims: int, size: int, seed: int = 0) -> nn.Module:
    """Return a convolution from 2 channels to 3 classes that keeps the shape."""
    kind = {2: nn.Conv2d, 3: nn.Conv3d}[dims]
    network = kind(2, 3, size, padding=size // 2)
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_(torch.randn(weight.shape, generator=seeded(seed)))
    return network.eval()


class Positional(nn.Module):
    """A network that knows where a voxel lies, and changes its mind in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        place = torch.linspace(-40, 40, x.shape[-1]).expand_as(x[:, 0])
        return torch.stack([place, -place, x[:, 0]], dim=1) * self.weight


def directly(network: nn.Module, image: Tensor, dims: int) -> Tensor:
    with torch.no_grad():
        if dims == 2:
            return functional.softmax(network(image.movedim(1, 0)), dim=1).movedim(0, 1)
        return functional.softmax(network(image[None]), dim=1)[0]


@pytest.mark.parametrize(("dims", "patch"), [(2, (12, 10)), (3, (5, 12, 10))])
def test_a_scan_of_a_patchs_size_goes_through_the_network_as_it_is(dims, patch):
    network = convolution(dims, 3)
    probs = predict_scan(network, scan(5, 12, 10), BACKGROUND, SPACING, InferencePlan(dims, patch))
    assert probs.shape == (3, 5, 12, 10)
    assert probs.dtype == torch.float32
    assert torch.allclose(probs, directly(network, scan(5, 12, 10), dims), atol=1e-5)
    assert not probs.requires_grad


def test_one_window_needs_no_monai():
    """Its import takes a second, for which a user would wait before the first step."""
    code = """
import sys, torch
from equireg.inference import InferencePlan, predict_scan
for dims, patch, network in (2, (12, 10), torch.nn.Conv2d(1, 2, 1)), (3, (5, 12, 10), torch.nn.Conv3d(1, 2, 1)):
    assert predict_scan(network, torch.zeros(1, 5, 12, 10), (0.0,), (1.0, 1.0, 1.0), InferencePlan(dims, patch)).any()
print("monai" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]


def test_slices_are_independent_and_in_order(monkeypatch):
    monkeypatch.setattr(plans, "_PASS_VOXELS", 240)  # two slices at once, and a rest of one
    network = convolution(2, 3)
    probs = predict_scan(network, scan(5, 12, 10), BACKGROUND, SPACING, InferencePlan(2, (12, 10)))
    assert torch.allclose(probs, directly(network, scan(5, 12, 10), 2), atol=1e-5)


@pytest.mark.parametrize(("dims", "patch"), [(2, (16, 13)), (3, (8, 16, 13))])
def test_a_small_scan_is_centred_in_background(dims, patch):
    network = convolution(dims, 5)
    image = scan(5, 12, 10)
    whole = torch.tensor(BACKGROUND).view(2, 1, 1, 1).expand(2, 8 if dims == 3 else 5, 16, 13).clone()
    inner = (slice(None), slice(1, 6) if dims == 3 else slice(None), slice(2, 14), slice(1, 11))
    whole[inner] = image
    probs = predict_scan(network, image, BACKGROUND, SPACING, InferencePlan(dims, patch))
    assert probs.shape == (3, 5, 12, 10)
    assert torch.allclose(probs, directly(network, whole, dims)[inner], atol=1e-5)
    other = predict_scan(network, image, (0.0, 0.0), SPACING, InferencePlan(dims, patch))
    assert not torch.allclose(probs, other, atol=1e-2)  # the background's value matters


@pytest.mark.parametrize(("dims", "patch"), [(2, (8, 8)), (2, (16, 8)), (3, (4, 8, 8)), (3, (8, 8, 16))], ids=str)
@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_windows_over_a_large_scan_agree_with_the_whole(dims, patch, overlap):
    network = convolution(dims, 1)
    plan = InferencePlan(dims, patch, overlap=overlap)
    probs = predict_scan(network, scan(6, 13, 19), BACKGROUND, SPACING, plan)
    assert probs.shape == (3, 6, 13, 19)
    assert torch.allclose(probs, directly(network, scan(6, 13, 19), dims), atol=1e-5)


@pytest.mark.parametrize("test_time", ["none", "flips", "equivariance"])
@pytest.mark.parametrize(("dims", "patch"), [(2, (8, 8)), (3, (8, 8, 8))])
def test_probabilities_sum_to_one(dims, patch, test_time):
    plan = InferencePlan(dims, patch, tuple(range(dims)), test_time, passes=2)
    probs = predict_scan(convolution(dims, 3), scan(6, 11, 13), BACKGROUND, SPACING, plan)
    assert probs.shape == (3, 6, 11, 13)
    assert (probs >= 0).all()
    assert torch.allclose(probs.sum(0), torch.ones(6, 11, 13), atol=1e-5)


@pytest.mark.parametrize("dims", [2, 3])
def test_mirroring_a_network_that_commutes_with_it_changes_nothing(dims):
    network = convolution(dims, 3)
    with torch.no_grad():
        for axis in range(2, 2 + dims):
            assert isinstance(network, (nn.Conv2d, nn.Conv3d))
            network.weight.add_(network.weight.flip(axis))
    plan = InferencePlan(dims, (6, 12, 10)[-dims:], tuple(range(dims)))
    plain = predict_scan(network, scan(6, 12, 10), BACKGROUND, SPACING, plan)
    mirrored = predict_scan(network, scan(6, 12, 10), BACKGROUND, SPACING, replace(plan, test_time="flips"))
    assert torch.allclose(mirrored, plain, atol=1e-5)


@pytest.mark.parametrize("dims", [2, 3])
def test_mirroring_is_the_mean_over_the_allowed_axes(dims):
    network, image = convolution(dims, 3), scan(6, 12, 10)
    plan = InferencePlan(dims, (6, 12, 10)[-dims:], (dims - 1,), "flips")  # along W alone
    expected = (directly(network, image, dims) + directly(network, image.flip(-1), dims).flip(-1)) / 2
    probs = predict_scan(network, image, BACKGROUND, SPACING, plan)
    assert torch.allclose(probs, expected, atol=1e-5)
    assert not torch.allclose(probs, directly(network, image, dims), atol=1e-2)
    none = predict_scan(network, image, BACKGROUND, SPACING, replace(plan, test_time="none"))
    assert torch.allclose(none, directly(network, image, dims), atol=1e-5)


@pytest.mark.parametrize(("dims", "patch"), [(2, (32, 32)), (3, (16, 32, 32))])
def test_random_transforms_of_a_pointwise_network_change_little(dims, patch):
    image = smooth_scan(16, 32, 32)
    plan = InferencePlan(dims, patch, passes=4)
    network = convolution(dims, 1)
    plain = predict_scan(network, image, BACKGROUND, SPACING, plan)
    averaged = predict_scan(network, image, BACKGROUND, SPACING, replace(plan, test_time="equivariance"))
    assert (averaged - plain).abs().mean() < 0.01
    assert (averaged - plain).abs().max() < 0.1  # in the corners, which the transforms fill
    assert not torch.equal(averaged, plain)


def test_random_transforms_of_a_network_that_knows_places_change_much():
    image = smooth_scan(3, 32, 32)
    plan = InferencePlan(2, (32, 32), passes=4)
    plain = predict_scan(Positional(), image, BACKGROUND, SPACING, plan)
    averaged = predict_scan(Positional(), image, BACKGROUND, SPACING, replace(plan, test_time="equivariance"))
    assert (averaged - plain).abs().max() > 0.2


def test_random_transforms_are_the_same_each_time_and_leave_the_global_random_state_alone():
    plan = InferencePlan(2, (12, 10), (0,), "equivariance", passes=2)
    network = convolution(2, 3)
    before = torch.get_rng_state()
    first, again = (predict_scan(network, scan(3, 12, 10), BACKGROUND, SPACING, plan) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_scan_is_not_changed():
    image = scan(3, 12, 10)
    predict_scan(convolution(2, 3), image, BACKGROUND, SPACING, InferencePlan(2, (16, 16), (0, 1), "flips"))
    assert torch.equal(image, scan(3, 12, 10))


@pytest.mark.parametrize(
    ("plan", "shape"),
    [
        (InferencePlan(2, (8, 8)), (5, 12, 20)),
        (InferencePlan(2, (8, 8), (0, 1), "flips", overlap=0.25), (5, 12, 7)),
        (InferencePlan(3, (8, 8, 8), (2,), "equivariance", passes=3), (9, 16, 8)),
        (InferencePlan(3, (8, 8, 8), overlap=0.0), (4, 17, 8)),
    ],
)
def test_windows_are_counted_as_they_go_through_the_network(plan: InferencePlan, shape: tuple[int, ...]) -> None:
    network, seen = convolution(plan.spatial_dims, 3), []
    network.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    predict_scan(network, scan(*shape), BACKGROUND, SPACING, plan)
    assert plan.windows_of(shape) == sum(seen)


def test_the_window_in_the_middle() -> None:
    image = scan(6, 12, 5)
    flat = middle_window(image, BACKGROUND, InferencePlan(2, (8, 8)))
    assert flat.shape == (1, 2, 8, 8)
    assert torch.equal(flat[0, :, :, 1:6], image[:, 3, 2:10])
    assert torch.equal(flat[0, :, 0, 0], torch.tensor(BACKGROUND))
    solid = middle_window(image, BACKGROUND, InferencePlan(3, (4, 8, 5)))
    assert torch.equal(solid[0], image[:, 1:5, 2:10])
