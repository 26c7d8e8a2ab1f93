"""Intensity changes one at a time: each does what its name says, within its range, and nothing else."""

from dataclasses import replace

import pytest
import torch
from torch import Generator, Tensor

from equireg.config import IntensityConfig
from equireg.transforms import intensity
from equireg.transforms.intensity import IntensityParams

NEUTRAL = {"brightness": 1.0, "contrast": 1.0, "gamma": 1.0, "noise": 0.0, "blur_vox": 0.0, "low_resolution": 1.0}
ALWAYS = IntensityConfig(probability=1.0)


def seeded(seed: int = 0) -> Generator:
    return Generator().manual_seed(seed)


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=seeded())


def only(change: str, strength: float, batch_size: int = 2, channels: int = 3) -> IntensityParams:
    """Return parameters in which one change alone is active, with one strength."""
    params = intensity.sample(IntensityConfig(probability=0.0), batch_size, channels, seeded())
    return replace(params, **{change: torch.full_like(getattr(params, change), strength)})


@pytest.mark.parametrize("shape", [(2, 3, 9, 11), (2, 3, 5, 6, 7)])
def test_probability_0_changes_nothing(shape):
    x = noise(*shape)
    params = intensity.sample(IntensityConfig(probability=0.0), 2, 3, seeded())
    assert torch.allclose(intensity.apply(x, params), x, atol=1e-5)


@pytest.mark.parametrize("shape", [(2, 3, 9, 11), (2, 3, 5, 6, 7)])
def test_brightness_is_a_factor(shape):
    assert torch.allclose(intensity.apply(noise(*shape), only("brightness", 1.2)), noise(*shape) * 1.2, atol=1e-5)


def test_contrast_keeps_each_channels_mean():
    x = noise(2, 3, 9, 11) + 4
    result = intensity.apply(x, only("contrast", 0.5))
    mean = x.mean(dim=(2, 3), keepdim=True)
    assert torch.allclose(result, mean + 0.5 * (x - mean), atol=1e-5)


@pytest.mark.parametrize("inverted", [False, True])
def test_gamma_keeps_range_and_order(inverted):
    x = noise(2, 3, 9, 11)
    params = only("gamma", 2.0)
    result = intensity.apply(x, replace(params, inverted=torch.full_like(params.inverted, inverted)))
    for ours, theirs in zip(result.flatten(0, 1), x.flatten(0, 1), strict=True):
        assert float(ours.min()) == pytest.approx(float(theirs.min()), abs=1e-4)
        assert float(ours.max()) == pytest.approx(float(theirs.max()), abs=1e-4)
        assert (ours.flatten()[theirs.flatten().argsort()].diff() >= -1e-5).all()
    assert (result.mean() > x.mean()) == inverted
    assert (result - x).abs().max() > 0.2


def test_gamma_of_a_constant_image_is_finite():
    assert torch.allclose(intensity.apply(torch.full((2, 3, 4, 4), 2.0), only("gamma", 0.5)), torch.tensor(2.0))


def test_noise_has_its_deviation_and_differs_by_sample():
    result = intensity.apply(torch.zeros(2, 3, 64, 64), only("noise", 0.3))
    assert torch.allclose(result.std(dim=(2, 3)), torch.full((2, 3), 0.3), atol=0.02)
    assert not torch.equal(result[0], result[1])
    assert not torch.equal(result[0, 0], result[0, 1])


@pytest.mark.parametrize("shape", [(2, 3, 21, 21), (2, 3, 15, 15, 15)])
def test_blur_is_a_gaussian_of_its_width(shape):
    dot = torch.zeros(shape)
    centre = tuple(size // 2 for size in shape[2:])
    dot[(slice(None), slice(None), *centre)] = 1
    result = intensity.apply(dot, only("blur_vox", 1.5))[0, 0]
    assert float(result.sum()) == pytest.approx(1, abs=1e-3)
    for axis in range(result.ndim):
        profile = result.sum(dim=[other for other in range(result.ndim) if other != axis])
        places = torch.arange(len(profile)) - centre[axis]
        assert float((profile * places).sum()) == pytest.approx(0, abs=1e-3)
        assert float((profile * places**2).sum()) == pytest.approx(1.5**2, rel=0.05)


def test_blur_repeats_the_border():
    assert torch.allclose(intensity.apply(torch.full((2, 3, 6, 6), 3.0), only("blur_vox", 1.0)), torch.tensor(3.0))


@pytest.mark.parametrize("shape", [(2, 3, 32, 32), (2, 3, 16, 16, 16)])
def test_low_resolution_loses_detail_and_keeps_form(shape):
    spatial = tuple(range(2, len(shape)))
    result = intensity.apply(noise(*shape), only("low_resolution", 2.0))
    assert result.shape == shape
    assert (result.diff(dim=-1).std() < 0.6 * noise(*shape).diff(dim=-1).std()).all()
    ramp = torch.linspace(-1, 1, shape[-1]).expand(shape)
    kept = intensity.apply(ramp, only("low_resolution", 2.0))
    assert (kept - ramp).abs().amax(dim=spatial).max() < 0.15


@pytest.mark.parametrize(("change", "strength"), [("brightness", 1.3), ("contrast", 1.4), ("gamma", 1.5)])
def test_ratios_lie_on_both_sides_of_no_change(change, strength):
    values = getattr(intensity.sample(ALWAYS, 400, 2, seeded()), change)
    assert strength * 0.97 < values.max() <= strength + 1e-4
    assert 1 / strength - 1e-4 <= values.min() < 1 / strength * 1.03
    assert abs(float(values.log().mean())) < 0.03
    assert (values[:, 0] != values[:, 1]).all()  # each channel its own


@pytest.mark.parametrize(("change", "low", "high"), [("noise", 0, 0.2), ("blur_vox", 0, 1), ("low_resolution", 1, 2)])
def test_strengths_lie_within_their_range(change, low, high):
    values = getattr(intensity.sample(ALWAYS, 400, 2, seeded()), change)
    assert low <= values.min() < low + 0.05 * high
    assert 0.95 * high < values.max() <= high


@pytest.mark.parametrize(("change", "neutral"), NEUTRAL.items())
def test_each_change_has_its_probability(change, neutral):
    values = getattr(intensity.sample(IntensityConfig(probability=0.2), 2000, 1, seeded()), change)
    assert float((values != neutral).float().mean()) == pytest.approx(0.2, abs=0.03)
    off = {**vars(ALWAYS), change: 0.0 if change in ("noise", "blur_vox") else 1.0}
    assert (getattr(intensity.sample(IntensityConfig(**off), 20, 1, seeded()), change) == neutral).all()


def test_the_generator_is_the_only_randomness():
    before = torch.get_rng_state()
    results = [intensity.apply(noise(3, 2, 8, 8), intensity.sample(ALWAYS, 3, 2, seeded(seed))) for seed in (1, 1, 2)]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_the_image_is_not_changed_in_place():
    for config in (ALWAYS, IntensityConfig(probability=0.0)):
        x = noise(2, 2, 8, 8)
        result = intensity.apply(x, intensity.sample(config, 2, 2, seeded()))
        result += 1
        assert torch.equal(x, noise(2, 2, 8, 8))


def test_autocast_changes_nothing():
    params = intensity.sample(ALWAYS, 2, 2, seeded())
    plain = intensity.apply(noise(2, 2, 16, 16), params)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = intensity.apply(noise(2, 2, 16, 16), params)
    assert cast.dtype == plain.dtype
    assert torch.equal(cast, plain)


def test_another_number_of_samples_or_channels_is_refused():
    params = intensity.sample(ALWAYS, 2, 3, seeded())
    for shape in ((2, 1, 4, 4), (3, 3, 4, 4)):
        with pytest.raises(ValueError, match=r"\(2, 3\)"):
            intensity.apply(torch.zeros(shape), params)


@pytest.mark.parametrize("shape", [(6, 3, 21, 24), (4, 1, 9, 10, 11)])
def test_samples_changed_together_are_those_changed_one_by_one(shape, monkeypatch):
    x = noise(*shape)
    params = intensity.sample(IntensityConfig(probability=0.7), shape[0], shape[1], seeded(3))
    one_by_one = intensity.apply(x, params)
    calls = []

    def together(active: Tensor, _: torch.device) -> list[slice | Tensor]:
        calls.append(active)
        return [active.view(len(active), -1).any(dim=1).nonzero()[:, 0]]

    monkeypatch.setattr(intensity, "_groups", together)
    assert torch.allclose(intensity.apply(x, params), one_by_one, atol=1e-5)
    assert len(calls) == 3
