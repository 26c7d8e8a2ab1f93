"""What the equivariance loss measures: zero for a network that commutes with the transform, else not."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor, nn

from equireg.losses import cross_entropy, equivariance_loss, soft_dice_loss
from equireg.transforms import spatial
from equireg.transforms.spatial import SpatialParams, warp_probabilities

SEEDS = st.integers(0, 2**32)
quick = settings(max_examples=25, deadline=None)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=Generator().manual_seed(seed))


class Pointwise(nn.Module):
    """Each voxel's logits follow from that voxel alone: it commutes with every spatial transform."""

    def __init__(self, n: int, seed: int) -> None:
        super().__init__()
        self.layer = {2: nn.Conv2d, 3: nn.Conv3d}[n](2, 3, 1)
        with torch.no_grad():
            self.layer.weight.copy_(noise(*self.layer.weight.shape, seed=seed))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).tanh() * 3


class Positional(Pointwise):
    """The same, but that it sees the voxel's place, differently along every axis."""

    def forward(self, x: Tensor) -> Tensor:
        place = sum(
            (axis + 1) * torch.linspace(-1, 1, size).view(*[-1 if a == axis else 1 for a in range(x.ndim - 2)])
            for axis, size in enumerate(x.shape[2:])
        )
        return super().forward(x + place)


@st.composite
def moves(draw) -> tuple[SpatialParams, bool]:
    """Return flips and quarter turns of a square or cube for two samples, and whether one moves at all."""
    n, size = draw(st.sampled_from([2, 3])), draw(st.integers(4, 8))
    matrices = []
    for _ in range(2):
        order, signs = draw(st.permutations(range(n))), [draw(st.sampled_from([1.0, -1.0])) for _ in range(n)]
        matrix = torch.eye(n + 1)
        matrix[:n, :n] = torch.diag(torch.tensor(signs))[list(order)]
        matrices.append(matrix)
    matrix = torch.stack(matrices)
    return spatial.affine(matrix, [size] * n, [1.5] * n), not torch.equal(matrix, torch.eye(n + 1).expand_as(matrix))


@torch.no_grad()
def loss_of(network: nn.Module, x: Tensor, params: SpatialParams) -> float:
    moved, _ = spatial.apply(x, params)
    target, valid = warp_probabilities(network(x).softmax(dim=1), params)
    return float(equivariance_loss(network(moved), target, valid))


@quick
@given(moves(), SEEDS)
def test_a_pointwise_network_has_no_equivariance_loss_under_moves(drawn, seed):
    params, _ = drawn
    network = Pointwise(len(params.shape), seed)
    assert loss_of(network, noise(2, 2, *params.shape, seed=seed), params) == pytest.approx(0, abs=1e-6)


@quick
@given(moves().filter(lambda drawn: drawn[1]), SEEDS)
def test_a_network_that_knows_places_has_one(drawn, seed):
    params, _ = drawn
    network = Positional(len(params.shape), seed)
    assert loss_of(network, noise(2, 2, *params.shape, seed=seed), params) > 1e-4


@pytest.mark.parametrize("n", [2, 3])
def test_a_convolution_commutes_with_flips_only_if_its_kernel_does(n):
    shape, size = (2, 2, *[6] * n), [6] * n
    matrix = torch.diag(torch.tensor([-1.0] + [1.0] * n)).expand(2, -1, -1)
    params = spatial.affine(matrix, size, [1.0] * n)
    network = {2: nn.Conv2d, 3: nn.Conv3d}[n](2, 3, 3, padding=1)
    assert loss_of(network, noise(*shape), params) > 1e-4
    with torch.no_grad():
        network.weight.add_(network.weight.flip(2))
    assert loss_of(network, noise(*shape), params) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("n", [2, 3])
def test_the_loss_of_a_pointwise_network_is_small_under_a_rotation(n):
    size = [24] * n
    matrix = torch.eye(n + 1)
    matrix[-3:-1, -3:-1] = torch.tensor([[0.8, -0.6], [0.6, 0.8]])
    params = spatial.affine(matrix.expand(2, -1, -1), size, [1.0] * n)
    waves = torch.sin(torch.arange(24) / 4.0)
    x = sum(torch.meshgrid(*[waves] * n, indexing="ij"), torch.zeros(size)).expand(2, 2, *size)
    assert loss_of(Pointwise(n, 0), x, params) < 0.01
    assert loss_of(Positional(n, 0), x, params) > 0.05


@st.composite
def logits_and_mask(draw) -> tuple[Tensor, Tensor, Tensor]:
    shape = (draw(st.integers(1, 3)), draw(st.integers(2, 5)), *draw(st.sampled_from([(4, 5), (3, 2, 4)])))
    seed, strength = draw(SEEDS), draw(st.sampled_from([0.1, 3.0, 60.0]))
    valid = (noise(shape[0], 1, *shape[2:], seed=seed + 1) > draw(st.sampled_from([-9.0, 0.0, 0.5]))).float()
    return noise(*shape, seed=seed) * strength, noise(*shape, seed=seed + 2) * strength, valid


@quick
@given(logits_and_mask())
def test_the_divergence_is_no_less_than_zero_and_zero_of_itself(drawn):
    logits, other, valid = drawn
    assert float(equivariance_loss(logits, logits.softmax(1), valid)) == pytest.approx(0, abs=1e-5)
    assert float(equivariance_loss(logits, other.softmax(1), valid)) >= -1e-5
    if valid.any():
        assert float(equivariance_loss(logits, other.softmax(1), valid)) > 1e-5


@quick
@given(logits_and_mask())
def test_cross_entropy_is_the_divergence_and_the_targets_entropy(drawn):
    logits, other, valid = drawn
    target = other.softmax(1)
    entropy = cross_entropy(target.clamp_min(1e-38).log(), target, valid)
    expected = equivariance_loss(logits, target, valid) + entropy
    assert float(cross_entropy(logits, target, valid)) == pytest.approx(float(expected), rel=1e-4, abs=1e-4)


@quick
@given(logits_and_mask())
def test_soft_dice_lies_between_zero_and_one(drawn):
    logits, other, valid = drawn
    assert -1e-5 <= float(soft_dice_loss(logits, other.softmax(1), valid)) <= 1 + 1e-5


@quick
@given(logits_and_mask(), st.floats(-50, 50))
def test_losses_do_not_see_a_shift_of_all_logits(drawn, shift):
    logits, other, valid = drawn
    for loss in (equivariance_loss, cross_entropy, soft_dice_loss):
        shifted = loss(logits + shift, other.softmax(1), valid)
        assert float(loss(logits, other.softmax(1), valid)) == pytest.approx(float(shifted), rel=1e-3, abs=1e-3)
