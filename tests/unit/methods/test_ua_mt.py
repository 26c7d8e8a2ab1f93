"""The uncertainty-aware mean teacher's own arithmetic: entropy, threshold, noise, and which voxels count."""

import math
from contextlib import nullcontext

import pytest
import torch
from torch import Generator, nn

from equireg import networks
from equireg.config import UNetConfig
from equireg.errors import UsageError
from equireg.methods import ua_mt
from equireg.methods.schedules import ramp_up
from equireg.methods.ua_mt import UAMTConfig, entropy_threshold, noisy, predictive_entropy


def unet() -> nn.Module:
    torch.manual_seed(0)
    return networks.build(UNetConfig(features=4, stages=2), in_channels=1, out_channels=3, spatial_dims=2)


def pointwise() -> nn.Module:
    """A network that is certain where a scan is 1, and has no idea where it is 0."""
    conv = nn.Conv2d(1, 3, 1)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([8.0, -8.0, 0.0]).view(3, 1, 1, 1))
        conv.bias.zero_()  # pyright: ignore[reportOptionalMemberAccess]
    return conv


@pytest.fixture
def half_known(monkeypatch, made, batch, still, unlabelled):
    """Return a method and a batch of scans that are 1 in the first 8 columns and 0 in the others."""
    monkeypatch.setattr(ua_mt, "feature_dropout", lambda network, *_: nullcontext(network))
    unlabelled.image[..., :8] = 1.0
    unlabelled.image[..., 8:] = 0.0
    return made("ua_mt", still, student_of=pointwise), batch()


def test_the_mask_follows_the_entropy(half_known, unlabelled):
    method, given = half_known
    with torch.no_grad():
        early, late = (method.task(unlabelled, given, step) for step in (0, 100))
    assert (early.mask[..., :8] == 1).all()
    assert (early.mask[..., 8:] == 0).all()
    assert early.area.all()
    assert late.mask.float().mean() > 0.95  # by the end nearly all may count
    assert float(method.losses(given, 0)["counted"]) == pytest.approx(0.5)


def test_the_loss_is_averaged_over_the_certain_voxels(half_known, unlabelled):
    method, given = half_known
    with torch.no_grad():
        method.student.weight.mul_(0.1)
        ours, theirs = (net(unlabelled.image[..., :8]).softmax(1) for net in (method.student, method.teacher))
    expected = float(((ours - theirs) ** 2).mean())
    assert expected > 0.01
    assert float(method.losses(given, 0)["unsupervised"]) == pytest.approx(expected, rel=1e-4)


def test_the_threshold_rises_from_three_quarters_of_the_greatest_entropy():
    values = [entropy_threshold(step, 100, 4) / math.log(4) for step in (0, 50, 100)]
    assert values == pytest.approx([0.75 + 0.25 * ramp_up(step, 100) for step in (0, 50, 100)])
    assert values[0] == pytest.approx(0.75, abs=0.01)
    assert values[2] == 1
    assert entropy_threshold(100, 100, 2) == pytest.approx(math.log(2))


def test_entropy_is_zero_where_certain_and_greatest_where_even():
    probs = torch.tensor([[1.0, 0, 0], [0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3]]).T.reshape(1, 3, 3, 1)
    found = predictive_entropy(probs)
    assert found.shape == (1, 1, 3, 1)
    assert found.flatten().tolist() == pytest.approx([0, math.log(2), math.log(3)])


def test_uncertainty_is_the_entropy_of_the_mean(made, unlabelled):
    """Passes that are each certain, but of different classes, are uncertain together."""
    method = made("ua_mt", student_of=unet, passes=4)
    calls = []

    def predicted(image):
        calls.append(image)
        probs = torch.zeros(len(image), 3, *image.shape[2:])
        probs[:, len(calls) % 2] = 1
        return probs

    method.predicted = predicted
    found = method.uncertainty(unlabelled.image, Generator().manual_seed(0))
    assert torch.allclose(found, torch.full_like(found, math.log(2)))
    assert len(calls) == 4
    assert not any(torch.equal(calls[0], other) for other in calls[1:])  # each pass has noise of its own


def test_passes_leave_out_feature_maps_and_put_them_back(monkeypatch, made, unlabelled):
    monkeypatch.setattr(ua_mt, "noisy", lambda image, generator: image)
    image = unlabelled.image
    plain = made("ua_mt", student_of=unet, dropout=0.0)
    alone = predictive_entropy(plain.predicted(image))
    assert torch.allclose(plain.uncertainty(image, Generator().manual_seed(0)), alone, atol=1e-5)
    method = made("ua_mt", student_of=unet, dropout=0.5)
    before = method.predicted(image)
    first, other = (method.uncertainty(image, Generator().manual_seed(seed)) for seed in (0, 1))
    assert not torch.allclose(first, alone, atol=1e-3)
    assert not torch.allclose(first, other, atol=1e-4)
    assert torch.equal(method.predicted(image), before)


def test_noise_has_its_spread_its_limit_and_its_generator():
    image = torch.full((2, 1, 100, 100), 3.0)
    torch.manual_seed(0)
    state = torch.get_rng_state()
    one, same, other = (noisy(image, Generator().manual_seed(seed)) - image for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert float(one.abs().max()) == pytest.approx(0.2, abs=1e-5)
    # Cut off at two standard deviations, noise of 0.1 has 0.0959 left.
    assert float(one.std()) == pytest.approx(0.0959, abs=0.002)
    assert float(one.mean()) == pytest.approx(0, abs=0.003)


def test_the_labelled_scans_are_those_of_the_baseline(made, batch):
    losses = made("ua_mt", student_of=unet).losses(batch(5), 100)
    expected = made("supervised", student_of=unet).losses(batch(5), 100)
    assert float(losses["supervised"]) == pytest.approx(float(expected["total"].detach()), rel=1e-5)
    assert losses["unsupervised"] > 0


@pytest.mark.parametrize(("option", "value"), [("passes", 0), ("dropout", 1.0), ("weight", -1.0)])
def test_values_out_of_range_are_refused(option, value):
    with pytest.raises(UsageError, match=rf"--method.{option} is {value}; expected"):
        UAMTConfig(**{option: value})
