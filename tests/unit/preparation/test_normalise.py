"""Background, foreground box and intensities."""

import numpy as np
import pytest

from equireg.preparation.normalise import (
    HIGHEST,
    box_of,
    constant_background,
    deviation,
    equalise,
    foreground,
    normalise,
    raw_percentiles,
)


def skull_stripped(background: float = 0.0) -> np.ndarray:
    """A block of tissue in a constant background, [1, 6, 8, 10]."""
    image = np.full((1, 6, 8, 10), background, dtype=np.float32)
    tissue = np.random.default_rng(0).normal(100, 10, (3, 4, 5))
    image[0, 1:4, 2:6, 3:8] = tissue
    return image


@pytest.mark.parametrize("value", [0.0, -1024.0, 37.0])
def test_a_constant_border_is_background_whatever_its_value(value: float) -> None:
    assert constant_background(skull_stripped(value)) == [value]


def test_tissue_at_the_border_is_no_background() -> None:
    crop = np.random.default_rng(0).normal(size=(2, 6, 8, 10)).astype(np.float32)
    crop[1] = skull_stripped()[0]
    assert constant_background(crop) == [None, 0.0]


def test_the_box_holds_what_differs_in_any_channel() -> None:
    image = np.concatenate([skull_stripped(), skull_stripped()])
    assert box_of(foreground(image, [0.0, 0.0])) == ((1, 4), (2, 6), (3, 8))
    image[1, 5, 7, 0] = 1
    assert box_of(foreground(image, [0.0, 0.0])) == ((1, 6), (2, 8), (0, 8))


def test_the_box_is_whole_without_a_background_or_without_tissue() -> None:
    whole = ((0, 6), (0, 8), (0, 10))
    assert box_of(foreground(skull_stripped(), [None])) == whole
    assert box_of(foreground(np.zeros((1, 6, 8, 10), dtype=np.float32), [0.0])) == whole


def test_each_channel_can_have_a_scheme_of_its_own() -> None:
    image = np.concatenate([skull_stripped(), 10 * skull_stripped()])
    ct = {"low": [90, 0], "high": [110, 1], "mean": [100, 0], "std": [5, 1]}
    mixed = normalise(image, [0.0, 0.0], {"name": "mixed", "schemes": ["ct", "zscore"], **ct})
    for index, rule in enumerate(({"name": "ct", **ct}, {"name": "zscore"})):
        alone = normalise(image, [0.0, 0.0], rule)
        np.testing.assert_array_equal(mixed.image[index], alone.image[index])
        assert mixed.background[index] == alone.background[index]


def test_zscore_is_of_the_foreground_alone() -> None:
    image = skull_stripped()
    result = normalise(image, [0.0], {"name": "zscore"})
    inside = result.image[image != 0]
    assert inside.mean() == pytest.approx(0, abs=1e-5)
    assert inside.std() == pytest.approx(1, abs=1e-5)
    assert result.background[0] == pytest.approx(float(result.image[0, 0, 0, 0]))
    assert result.background[0] < inside.min()
    assert result.image.dtype == np.float32


def test_a_scan_without_background_is_normalised_whole() -> None:
    image = np.random.default_rng(0).normal(5, 3, (1, 6, 8, 10)).astype(np.float32)
    result = normalise(image, [None], {"name": "zscore"})
    assert result.image.mean() == pytest.approx(0, abs=1e-5)
    assert result.image.std() == pytest.approx(1, abs=1e-5)


def test_ct_clips_and_scales_all_cases_alike() -> None:
    image = np.array([-2000.0, 0.0, 50.0, 4000.0], dtype=np.float32).reshape(1, 1, 1, 4)
    scale = {"name": "ct", "low": [-100.0], "high": [300.0], "mean": [50.0], "std": [25.0]}
    result = normalise(image, [None], scale)
    np.testing.assert_allclose(result.image.ravel(), [-6, -2, 0, 10])


def test_none_leaves_intensities() -> None:
    image = skull_stripped()
    np.testing.assert_array_equal(normalise(image, [0.0], {"name": "none"}).image, image)


def test_extremes_fit_into_16_bits() -> None:
    image = np.zeros((1, 1, 1, 3), dtype=np.float32)
    image[..., 2] = 1e9
    scale = {"name": "ct", "low": [-1e9], "high": [1e9], "mean": [0.0], "std": [1.0]}
    assert np.isfinite(normalise(image, [None], scale).image.astype(np.float16)).all()


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ValueError, match="expected zscore, ct or none"):
        normalise(skull_stripped(), [0.0], {"name": "minmax"})


def test_equalised_intensities_are_shares() -> None:
    """Each value 0 to 299 as often: the share that is at most as bright grows evenly from 1/300 to 1."""
    channel = np.random.default_rng(0).permutation(np.repeat(np.arange(300.0), 4)).astype(np.float32)
    result, _ = equalise(channel, np.ones(channel.shape, dtype=bool))
    np.testing.assert_allclose(result, (channel + 1) / 300, atol=1 / 300)
    assert (result.min(), result.max()) == (pytest.approx(1 / 300), 1)
    assert result.dtype == np.float32


def test_equalisation_spreads_what_lies_close_and_keeps_order() -> None:
    channel = np.concatenate([np.linspace(0, 10, 900), np.linspace(500, 2000, 100)]).astype(np.float32)
    result, _ = equalise(channel, np.ones(channel.shape, dtype=bool))
    assert (np.diff(result) >= 0).all()
    assert result[899] == pytest.approx(0.9, abs=0.01)


def test_equalisation_sees_the_mask_alone() -> None:
    channel = np.array([-5.0, 1000.0, 1001.0, 9999.0], dtype=np.float32)
    result, _ = equalise(channel, np.array([False, True, True, False]))
    np.testing.assert_array_equal(result[[0, 3]], 0)
    assert result[1] == pytest.approx(0.5)
    assert result[2] == 1


def test_shares_of_a_scan_in_small_units_are_reported_apart() -> None:
    """A scan scaled to 0 to 1 beforehand has less than one intensity unit."""
    channel = np.linspace(0, 1, 1000, dtype=np.float32)
    result, _ = equalise(channel, np.ones(channel.shape, dtype=bool))
    np.testing.assert_allclose(result, channel, atol=0.01)


@pytest.mark.parametrize("value", [0.0, -4.0])
def test_a_single_value_is_the_brightest(value: float) -> None:
    mask = np.array([True, True, False])
    assert equalise(np.full(3, value, dtype=np.float32), mask)[0].tolist() == [1, 1, 0]


def test_nothing_masked_is_nothing() -> None:
    assert equalise(np.ones(3, dtype=np.float32), np.zeros(3, dtype=bool))[0].tolist() == [0, 0, 0]


def test_the_darkest_of_many_voxels_is_no_background_in_16_bits() -> None:
    channel = np.full(200_000, 1000.0, dtype=np.float32)
    channel[0] = 0
    result, _ = equalise(channel, np.ones(channel.shape, dtype=bool))
    assert result[0].astype(np.float16) > 0


@pytest.mark.parametrize("size", [1, 7, 127, 9_999, 1_000_003, 3_000_001])
def test_the_deviation_is_numpys_own_bit_for_bit(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(size).normal(300, 70, size).astype(np.float32)
    expected = float(values.std(dtype=np.float64))
    assert deviation(values) == expected
    monkeypatch.setattr("equireg.preparation.normalise._BLOCK", 1024)
    assert deviation(values) == expected
    cube = values[: size // 6 * 6].reshape(-1, 2, 3) if size > 6 else values.reshape(1, 1, 1)
    assert deviation(cube.ravel()) == float(cube.std(dtype=np.float64))


def tissue(shape: tuple[int, ...] = (24, 24, 12)) -> np.ndarray:
    image = np.zeros((1, *shape), dtype=np.float32)
    image[0, 2:-2, 2:-2, 2:-2] = np.random.default_rng(0).normal(100, 20, [size - 4 for size in shape])
    return image


def test_a_hot_voxel_does_not_squash_the_rest() -> None:
    healthy, hot = tissue(), tissue()
    hot[0, 5, 5, 5] = 1e8
    expected = normalise(healthy, [0.0], {"name": "zscore"})
    found = normalise(hot, [0.0], {"name": "zscore"})
    assert expected.notes == ()
    assert "channel 1: 1 of 3200 voxels lie absurdly far from the rest" in found.notes[0]
    rest = healthy[0] != 0
    rest[5, 5, 5] = False
    assert found.image[0][rest].std() == pytest.approx(float(expected.image[0][rest].std()), rel=0.1)
    assert found.image[0, 5, 5, 5] == found.image.max() <= HIGHEST


def test_a_hot_voxel_does_not_squash_a_histogram() -> None:
    healthy, hot = tissue()[0], tissue()[0]
    hot[5, 5, 5] = 1e8
    mask = healthy != 0
    expected, no_note = equalise(healthy, mask)
    found, note = equalise(hot, mask)
    assert no_note is None
    assert note is not None
    mask[5, 5, 5] = False
    np.testing.assert_allclose(found[mask], expected[mask], atol=0.05)


@pytest.mark.parametrize(("background", "inside", "expected"), [(0.0, 1.0, 1.0), (1.0, 0.0, -1.0), (0.0, 255.0, 1.0)])
def test_a_mask_as_a_channel_is_0_and_1_and_an_empty_one_is_background(
    background: float, inside: float, expected: float
) -> None:
    image = np.full((2, 6, 6, 6), background, dtype=np.float32)
    image[0, 2:4, 2:4, 2:4] = inside
    found = normalise(image, [background] * 2, {"name": "zscore"})
    assert (found.image[0, 2:4, 2:4, 2:4] == expected).all()
    assert np.count_nonzero(found.image) == 8
    assert found.background == (0, 0)


@pytest.mark.parametrize("tail", [1.0, 1.5])
def test_bright_vessels_are_no_absurd_voxels(tail: float) -> None:
    image = tissue()
    image[0, 5, 5:9, 5] = 600 * tail
    inside = image[image != 0]
    found = normalise(image, [0.0], {"name": "zscore"})
    expected = (image[0] - inside.mean(dtype=np.float64)) / inside.std(dtype=np.float64)
    assert found.notes == ()
    np.testing.assert_allclose(found.image[0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("factor", [1e-9, 1e-5, 1.0, 1e6])
def test_the_unit_of_intensities_does_not_matter(factor: float) -> None:
    expected = normalise(tissue(), [0.0], {"name": "zscore"})
    scaled = (tissue() * factor).astype(np.float32)
    found = normalise(scaled, [0.0], {"name": "zscore"})
    np.testing.assert_allclose(found.image, expected.image, rtol=1e-3, atol=1e-3)


def test_constant_tissue_is_no_division_by_zero() -> None:
    image = np.zeros((1, 6, 6, 6), dtype=np.float32)
    image[0, 2:4, 2:4, 2:4] = 7
    found = normalise(image, [0.0], {"name": "zscore"})
    np.testing.assert_array_equal(found.image, image / 7)
    zeros = np.zeros((1, 6, 6, 6), dtype=np.float32)
    assert (normalise(zeros, [None], {"name": "zscore"}).image == 0).all()


def test_percentiles_are_of_the_foreground() -> None:
    image = tissue()
    low, middle, high = raw_percentiles(image, [0.0])[0]
    assert middle == pytest.approx(100, abs=2)
    assert (low, high) == pytest.approx((100 - 2.58 * 20, 100 + 2.58 * 20), abs=6)
