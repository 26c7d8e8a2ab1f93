"""Feature dropout: which maps the decoder misses, and that nothing else changes."""

from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn

from equireg import networks
from equireg.config import UNetConfig
from equireg.config.choosing import options_of
from equireg.methods.feature_dropout import feature_dropout


@pytest.fixture(params=["unet", "resenc", "segresnet", "fc-densenet56"])
def network(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    options: dict[str, Any] = {} if request.param.startswith("fc") else {"features": 8}
    config = options_of("network", request.param)(name=request.param, **options)
    return networks.build(config, in_channels=1, out_channels=2, spatial_dims=2, patch_size=(16, 16)).eval()


def image(count: int = 3) -> Tensor:
    return torch.randn((count, 1, 32, 32), generator=Generator().manual_seed(1))


@torch.no_grad()
def dropped(network: nn.Module, seed: int, probability: float = 0.5, rows: slice = slice(None)) -> Tensor:
    with feature_dropout(network, Generator().manual_seed(seed), probability, rows) as same:
        assert same is network
        return network(image())


@torch.no_grad()
def test_random_numbers_are_the_generators_and_it_ends_with_the_block(network):
    plain = network(image())
    torch.manual_seed(5)
    state = torch.get_rng_state()
    one = dropped(network, 1)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one, dropped(network, 1))
    assert not torch.allclose(one, dropped(network, 2))
    assert not torch.allclose(one, plain)
    assert torch.equal(network(image()), plain)
    assert torch.equal(dropped(network, 1, probability=0.0), plain)


@torch.no_grad()
def test_it_ends_with_an_error_too(network):
    plain = network(image())
    with pytest.raises(RuntimeError, match="stop"), feature_dropout(network, Generator(), 0.5):
        raise RuntimeError("stop")
    assert torch.equal(network(image()), plain)


@torch.no_grad()
def test_other_rows_keep_their_maps(network):
    plain, some = network(image()), dropped(network, 1, rows=slice(1, None))
    assert torch.allclose(some[0], plain[0], atol=1e-5)
    assert all(not torch.allclose(some[row], plain[row], atol=1e-2) for row in (1, 2))
    assert torch.equal(dropped(network, 1, rows=slice(3, None)), plain)


def test_whole_maps_are_missing_and_the_others_are_scaled_up():
    """With what the decoder reads beside it, the encoder's own maps stay whole."""
    torch.manual_seed(0)
    config = UNetConfig(features=32, stages=3)
    network = networks.build(config, in_channels=1, out_channels=2, spatial_dims=2, patch_size=(16, 16))
    first = networks.encoder_stages(network)[0]
    whole, read, skipped = [], [], []
    first.module.register_forward_hook(lambda module, inputs, output: whole.append(output))
    with torch.no_grad(), feature_dropout(network, Generator().manual_seed(0), 0.25):
        assert first.next is not None
        first.next.register_forward_pre_hook(lambda module, inputs: read.append(inputs[0]))
        list(network.get_submodule("upsamples").children())[-1].register_forward_pre_hook(
            lambda module, inputs: skipped.append(inputs[1])
        )
        network(image())
    assert torch.equal(read[0], whole[0])
    factor = (skipped[0] / whole[0]).flatten(2)
    assert torch.allclose(factor, factor[..., :1], atol=1e-4)
    values = factor[..., 0]
    missing = values == 0
    assert torch.allclose(values[~missing], torch.tensor(4 / 3), atol=1e-4)
    assert 0.1 < missing.float().mean() < 0.4
    assert not torch.equal(missing[0], missing[1])


@pytest.mark.parametrize("probability", [-0.1, 1.0])
def test_a_probability_out_of_range_is_refused(network, probability):
    with (
        pytest.raises(ValueError, match=f"got a probability of {probability}; expected 0 or more and less than 1"),
        feature_dropout(network, Generator(), probability),
    ):
        pass
