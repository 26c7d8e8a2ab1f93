"""The FC-DenseNets are those of the thesis and of the paper, take any size, and compute leaner when asked to."""

import math

import pytest
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from equireg import networks
from equireg.config import FCDenseNetConfig
from equireg.networks.tiramisu import ARCHITECTURES, Architecture, FCDenseNet

SMALL = Architecture(growth=4, down=(2, 2), bottleneck=3, up=(3, 2), whole_stack=False)
PAPER = {"fc-densenet56": (56, 1.5e6), "fc-densenet67": (67, 3.5e6), "fc-densenet103": (103, 9.4e6)}
"""Convolutions and parameters of the paper's table 3, for its 3 channels and 11 classes."""


def build(name: str, *, in_channels: int = 4, out_channels: int = 4) -> nn.Module:
    return networks.build(name, in_channels=in_channels, out_channels=out_channels, spatial_dims=2)


def small(dims: int = 2, seed: int = 0, **options) -> FCDenseNet:
    torch.manual_seed(seed)
    return FCDenseNet(SMALL, FCDenseNetConfig(name="tiramisu", **options), 2, 3, dims)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def convolutions(network: nn.Module) -> list[nn.Conv2d | nn.ConvTranspose2d]:
    return [module for module in network.modules() if isinstance(module, nn.Conv2d | nn.ConvTranspose2d)]


def test_the_thesis_network_has_the_thesis_count_of_parameters():
    network = build("tiramisu")
    assert sum(weight.numel() for weight in network.parameters() if weight.requires_grad) == 11_119_684


@pytest.mark.parametrize("name", PAPER)
def test_the_papers_networks_have_the_papers_depth_and_size(name):
    """The name counts the convolutions; the paper gives its parameters in rounded millions."""
    depth, parameters = PAPER[name]
    network = build(name, in_channels=3, out_channels=11)
    assert len(convolutions(network)) == depth
    assert sum(weight.numel() for weight in network.parameters()) == pytest.approx(parameters, rel=0.1)


def test_fc_densenet103_has_the_widths_of_the_papers_table():
    """Table 2 of the paper, but 576 where it prints 578, which no sum of its blocks gives."""
    network = build("fc-densenet103", in_channels=3, out_channels=11)
    assert isinstance(network, FCDenseNet)

    def width(block: nn.Module) -> int:
        last = [module for module in block.modules() if isinstance(module, nn.BatchNorm2d)][-1]
        return last.num_features + 16  # what the last layer sees and what it adds

    assert [width(block) for block in network.down] == [112, 192, 304, 464, 656]
    assert width(network.bottleneck) == 896
    assert [width(block) for block in network.up] == [1088, 816, 576, 384, 256]
    assert network.last.in_channels == 256


def test_the_thesis_network_ends_in_new_feature_maps_alone():
    network = build("tiramisu")
    assert isinstance(network, FCDenseNet)
    assert [grow.in_channels for grow in network.grow] == [240, 240, 192, 160, 112]
    assert [grow.out_channels for grow in network.grow] == [240, 240, 192, 160, 112]
    assert network.last.in_channels == 80


@pytest.mark.parametrize(("name", "dims"), [*((name, 2) for name in ARCHITECTURES), ("fc-densenet56", 3)])
def test_every_network_halves_each_axis_five_times(name, dims):
    coarsest = []
    with torch.device("meta"), torch.no_grad():  # no weight is drawn and nothing is computed
        network = networks.build(name, in_channels=1, out_channels=2, spatial_dims=dims).eval()
        network.get_submodule("bottleneck").register_forward_pre_hook(lambda _, args: coarsest.append(args[0]))
        network(torch.zeros(1, 1, *(32, 64, 32)[:dims]))
    assert coarsest[0].shape[2:] == (1, 2, 1)[:dims]


@pytest.mark.parametrize("shape", [(1, 2, 17, 30), (2, 2, 3, 8), (1, 2, 5, 6, 7)])
def test_any_size_is_padded_with_its_edge_and_cropped_again(shape):
    network = small(dims=len(shape) - 2).eval()
    image = noise(*shape)
    logits = network(image)
    assert logits.shape == (shape[0], 3, *shape[2:])
    padded, inner = image, [slice(None), slice(None)]
    for axis, side in enumerate(shape[2:], start=2):  # the same, an edge at a time
        missing = -side % 4
        before = missing // 2
        where = torch.arange(-before, side + missing - before).clamp(0, side - 1)
        padded = padded.index_select(axis, where)
        inner.append(slice(before, before + side))
    torch.testing.assert_close(logits, network(padded)[tuple(inner)])


def test_a_size_that_divides_is_not_padded():
    network = small().eval()
    seen = []
    network.first.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    image = noise(1, 2, 8, 12)
    network(image)
    assert seen[0] is image


def test_the_weights_are_hes_normal_cut_off_at_two_standard_deviations():
    torch.manual_seed(0)
    for module in convolutions(build("tiramisu")):
        fan_in = module.in_channels * math.prod(module.kernel_size)
        assert module.weight.abs().max() <= 2 / 0.8796 * math.sqrt(2 / fan_in) * 1.001
        if module.weight.numel() > 10_000:
            assert module.weight.std().item() == pytest.approx(math.sqrt(2 / fan_in), rel=0.03)
        assert module.bias is not None
        assert not module.bias.any()


def test_batch_normalisation_is_that_of_the_thesis():
    norms = [module for module in small().modules() if isinstance(module, nn.BatchNorm2d)]
    assert len(norms) == 2 + 2 + 1 + 1 + 3 + 3 + 2
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.01)}


def test_dropout_is_off_unless_asked_for():
    image = noise(2, 2, 8, 8)
    for dropout, same in ((0.0, True), (0.5, False)):
        network = small(dropout=dropout)
        assert torch.equal(network(image), network(image)) == same
        network.eval()
        assert torch.equal(network(image), network(image))


def step(network: nn.Module, image: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor], int]:
    """Return logits, gradients, and the numbers that autograd kept for them, each storage counted once."""
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().size()
        return tensor

    torch.manual_seed(5)
    with saved_tensors_hooks(pack, lambda tensor: tensor):
        logits = network(image)
    size = sum(kept.values())
    logits.square().mean().backward()
    return logits.detach(), {name: weight.grad for name, weight in network.named_parameters()}, size  # pyright: ignore[reportReturnType]


@pytest.mark.parametrize("dims", [2, 3])
@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("training", [True, False])
def test_checkpointing_changes_nothing_but_the_memory(dims, dropout, training):
    """Logits, gradients and running statistics agree; the batch is counted once, not again in the backward pass."""
    plain, lean = (small(dims, dropout=dropout, checkpointing=on).train(training) for on in (False, True))
    for run in (1, 2):
        image = noise(2, 2, *[8] * dims, seed=run)
        for network in (plain, lean):
            network.zero_grad()
        logits, gradients, size = step(plain, image)
        lean_logits, lean_gradients, lean_size = step(lean, image)
        torch.testing.assert_close(lean_logits, logits)
        torch.testing.assert_close(lean_gradients, gradients)
        torch.testing.assert_close(lean.state_dict(), plain.state_dict())
        counts = {int(value) for name, value in lean.state_dict().items() if name.endswith("num_batches_tracked")}
        assert counts == ({run} if training else {0})
        assert lean_size < size


def test_checkpointing_keeps_well_under_half_of_a_real_network():
    sizes = {}
    for on in (False, True):
        config = FCDenseNetConfig(name="fc-densenet56", checkpointing=on)
        network = networks.build(config, in_channels=1, out_channels=2, spatial_dims=2)
        sizes[on] = step(network, noise(1, 1, 64, 64))[2] - sum(4 * weight.numel() for weight in network.parameters())
    assert sizes[True] < 0.4 * sizes[False]


def test_checkpointing_works_in_half_precision():
    gradients = {}
    for on in (False, True):
        network = small(checkpointing=on)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = network(noise(2, 2, 6, 8))
        assert logits.dtype == torch.bfloat16
        logits.float().square().mean().backward()
        gradients[on] = {name: weight.grad for name, weight in network.named_parameters()}
    torch.testing.assert_close(gradients[True], gradients[False])


def test_no_checkpoint_is_made_where_there_is_no_gradient():
    network = small(checkpointing=True)
    with torch.no_grad():
        assert not network(noise(1, 2, 8, 8)).requires_grad


def test_a_few_steps_bring_the_loss_down():
    network = small(checkpointing=True)
    image = noise(2, 2, 16, 16)
    label = (image[:, 0] > 0).long()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(15):
        loss = nn.functional.cross_entropy(network(image), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
