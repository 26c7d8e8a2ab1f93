"""Deep supervision: heads at lower resolutions that change nothing else, and the loss over them."""

from typing import Any

import pytest
import torch
from torch import Generator, nn

from equireg import networks
from equireg.config.choosing import options_of
from equireg.losses import cross_entropy
from equireg.methods.deep_supervision import over_resolutions, shrunk
from equireg.networks.deep import lower_stages

NAMES = ("unet", "resenc")


def build(name: str, patch: tuple[int, ...], deep: bool) -> nn.Module:
    options: dict[str, Any] = {"features": 4, "max_features": 8, "deep_supervision": deep}
    if name == "resenc":
        options["blocks"] = (1,)
    torch.manual_seed(0)
    config = options_of("network", name)(**options)
    return networks.build(config, in_channels=1, out_channels=3, spatial_dims=len(patch), patch_size=patch)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=Generator().manual_seed(0))


@pytest.mark.parametrize(("stages", "heads"), [(1, 0), (2, 0), (3, 1), (4, 1), (5, 2), (6, 3)])
def test_the_coarsest_stage_of_the_decoder_has_no_head(stages, heads):
    assert lower_stages(stages) == heads


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("patch", "shapes"), [((64, 48), [(32, 24), (16, 12)]), ((16, 32, 32), [(8, 16, 16)])])
def test_the_lower_logits_are_those_of_each_resolution(name, patch, shapes):
    network = build(name, patch, deep=True)
    logits, lower = networks.pyramid(network, noise(2, 1, *patch))
    assert logits.shape == (2, 3, *patch)
    assert [tuple(part.shape[2:]) for part in lower] == shapes
    assert torch.equal(logits, network(noise(2, 1, *patch)))
    torch.stack([part.square().mean() for part in (logits, *lower)]).sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_the_rest_of_the_network_starts_as_without_it(name):
    plain, deep = (build(name, (32, 32), on) for on in (False, True))
    if name == "unet":
        assert all(torch.equal(value, deep.state_dict()[key]) for key, value in plain.state_dict().items())
    logits, lower = networks.pyramid(plain, noise(1, 1, 32, 32))
    assert lower == ()
    assert torch.equal(logits, plain(noise(1, 1, 32, 32)))
    assert set(plain.state_dict()) < set(deep.state_dict())


def test_a_network_without_such_heads_has_none():
    network = nn.Conv2d(1, 3, 1)
    logits, lower = networks.pyramid(network, noise(1, 1, 4, 4))
    assert torch.equal(logits, network(noise(1, 1, 4, 4)))
    assert lower == ()


def test_weights_halve_and_sum_to_one():
    label = torch.zeros(1, 1, 8, 8, dtype=torch.long)
    answers = [noise(1, 2, *[8 // 2**level] * 2) for level in range(3)]
    losses = [float(part.mean()) for part in answers]
    value = over_resolutions(lambda logits, *_: logits.mean(), answers, label, torch.ones(1, 1, 8, 8))
    assert float(value) == pytest.approx((losses[0] + losses[1] / 2 + losses[2] / 4) / 1.75)


def test_one_resolution_is_the_plain_loss_bit_by_bit():
    logits, label = noise(2, 3, 6, 6), torch.randint(3, (2, 1, 6, 6), generator=Generator().manual_seed(1))
    valid = torch.ones(2, 1, 6, 6)
    plain = cross_entropy(logits, label, valid)
    assert torch.equal(over_resolutions(cross_entropy, [logits], label, valid), plain)


def test_a_lower_resolution_is_judged_by_the_voxels_at_its_centres():
    """What is not valid there does not count; sides need not divide."""
    label = torch.arange(49).view(1, 1, 7, 7)
    small = shrunk(label, (3, 3))
    assert small.dtype == label.dtype
    assert small[0, 0].tolist() == [[8, 10, 12], [22, 24, 26], [36, 38, 40]]
    valid = torch.zeros(1, 1, 8, 8)
    valid[..., :4] = 1
    logits = [torch.zeros(1, 2, 8, 8), torch.zeros(1, 2, 4, 4, requires_grad=True)]
    target = torch.ones(1, 1, 8, 8, dtype=torch.long)
    over_resolutions(cross_entropy, logits, target, valid).backward()
    assert logits[1].grad is not None
    assert logits[1].grad[..., :2].abs().min() > 0
    assert not logits[1].grad[..., 2:].any()
